"""The API server takes what the models make, and refuses what they would not."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings

from conveyor.api.objects import Repository, WorkItem
from conveyor.api.repository import RepositorySpec, RepositoryStatus
from conveyor.api.stages import Stage
from conveyor.api.workitem import Cause, WorkItemSpec, WorkItemStatus
from tests import strategies
from tests.cluster.api import ApiError, Kube
from tests.integration import crd_objects
from tests.integration.crd_objects import (
    AT,
    FORGE,
    HAND_MADE,
    TRACKER,
    Object,
    Objects,
    namespace_for,
    workitems,
)

against_a_server = settings(
    max_examples=25,
    deadline=None,  # another process answers
    derandomize=True,  # the same run for everybody: the server is slow to search with
    suppress_health_check=[HealthCheck.too_slow],
)


@pytest.fixture(scope="module")
def namespace_of_all(kube: Kube) -> Iterator[str]:
    with namespace_for(kube, "crd-schema") as namespace:
        yield namespace


@pytest.fixture(scope="module")
def items(kube: Kube, crds: None, namespace_of_all: str) -> Objects:
    items = workitems(kube, namespace_of_all)
    items.create("mend-login", HAND_MADE)
    return items


@pytest.fixture(scope="module")
def repositories(kube: Kube, crds: None, namespace_of_all: str) -> Objects:
    repositories = crd_objects.repositories(kube, namespace_of_all)
    repositories.create("shop", {"forge": FORGE, "tracker": TRACKER})
    return repositories


@pytest.mark.parametrize("plural", ["workitems", "repositories"])
def test_the_crd_is_accepted_without_a_complaint(kube: Kube, crds: None, plural: str) -> None:
    crd = kube.get(f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{plural}.conveyor.dev")
    conditions = {condition["type"]: condition["status"] for condition in crd["status"]["conditions"]}
    assert conditions == {"NamesAccepted": "True", "Established": "True"}


@against_a_server
@given(spec=strategies.workitem_specs())
def test_any_workitem_spec_is_taken(items: Objects, spec: WorkItemSpec) -> None:
    assert items.refusal_of_new("new", spec.dump()) is None


@against_a_server
@given(status=strategies.workitem_statuses())
def test_any_workitem_status_is_taken(items: Objects, status: WorkItemStatus) -> None:
    first = status.model_copy(update={"stage": Stage.CREATED})
    assert items.refusal_of_status("mend-login", first.dump()) is None


@against_a_server
@given(spec=strategies.repository_specs())
def test_any_repository_spec_is_taken(repositories: Objects, spec: RepositorySpec) -> None:
    assert repositories.refusal_of_new("new", spec.dump()) is None


@against_a_server
@given(status=strategies.repository_statuses())
def test_any_repository_status_is_taken(repositories: Objects, status: RepositoryStatus) -> None:
    assert repositories.refusal_of_status("shop", status.dump()) is None


def test_the_api_servers_defaults_are_the_models(repositories: Objects) -> None:
    stored = repositories.get("shop")["spec"]
    assert RepositorySpec.model_validate(stored) == RepositorySpec.model_validate({"forge": FORGE, "tracker": TRACKER})
    assert stored["serialGate"] == {"mode": "Enabled", "onStalled": "Hold", "waitForMonitor": True}


def test_a_new_workitem_holds_nothing_that_was_not_said(items: Objects) -> None:
    assert items.get("mend-login")["spec"] == HAND_MADE


def full_status(*, history: int = 20) -> Object:
    """Every list as long and every text as wide as they may be."""
    text, word, sha = "щ" * 1024, "w" * 64, "a" * 64
    condition = {"status": "True", "reason": "R" * 64, "message": text, "lastTransitionTime": AT}
    gate = {"passed": True, "headSHA": sha, "changeID": sha, "reason": "r" * 256, "checkedTime": AT}
    moved = {"from": "review", "to": "development", "time": AT, "actor": "a" * 256, "cause": "c" * 256}
    return {
        "conditions": [condition | {"type": f"Type{number}"} for number in range(8)],
        "waiting": {"reason": "Person", "message": text, "on": {"kind": word, "name": "n" * 256}},
        "dependencies": [{"name": f"item-{number}", "source": "Spec"} for number in range(64)],
        "attempts": [{"cause": cause.value, "count": 3, "sha": sha} for cause in Cause],
        "gates": [gate | {"name": f"gate-{number}"} for number in range(16)],
        "handledRequests": [
            {"verb": f"verb-{number}", "id": word, "result": "r" * 256, "time": AT} for number in range(16)
        ],
        "history": [moved | {"transitionID": word}] * history,
        "override": {"id": word, "from": "created", "to": "review", "reason": text},
        "fencingToken": 2**62,
        "runs": 2**62,
    }


def test_a_stage_moves_on_an_item_that_is_full_to_the_brim(items: Objects) -> None:
    """The rules' cost at run time is bounded by the API server too, and a list's longest is where it shows."""
    items.create("full", HAND_MADE)
    items.write_status("full", full_status() | {"stage": "created"})
    raised = [{"cause": cause.value, "count": 4} for cause in reversed(Cause)]
    moved = items.write_status("full", {"stage": "analysis", "attempts": raised, "runs": 2**62 + 1})
    assert moved["status"]["stage"] == "analysis"


@pytest.mark.parametrize(
    ("status", "field"),
    [
        (full_status(history=21), "status.history"),
        ({"conditions": full_status()["conditions"][:1] * 2}, "status.conditions"),
        ({"gates": full_status()["gates"][:1] * 2}, "status.gates"),
        ({"attempts": [{"cause": "CI", "count": 1}, {"cause": "CI", "count": 2}]}, "status.attempts"),
        ({"attempts": [{"cause": "Gremlins", "count": 1}]}, "status.attempts"),
        ({"stage": "deployed"}, "status.stage"),
        ({"waiting": {"reason": "Person", "message": "x" * 1025}}, "status.waiting.message"),
        ({"waiting": {"reason": "Boredom", "message": ""}}, "status.waiting.reason"),
        ({"headSHA": "HEAD"}, "status.headSHA"),
        ({"stageEnteredTime": "yesterday"}, "status.stageEnteredTime"),
        ({"pullRequest": {"number": 0, "url": ""}}, "status.pullRequest.number"),
        ({"activeRun": {"name": "r"}}, "status.activeRun.role"),
        ({"fencingToken": -1}, "status.fencingToken"),
        ({"override": {"id": "", "from": "created", "to": "review"}}, "status.override.id"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_status_beyond_its_limits_is_refused(items: Objects, status: Object, field: str) -> None:
    assert field in str(items.refusal_of_status("mend-login", status))


@pytest.mark.parametrize(
    ("name", "spec", "field"),
    [
        ("x" * 51, {}, "metadata.name"),
        ("new", {"title": "x" * 257}, "spec.title"),
        ("new", {"description": "x" * 32769}, "spec.description"),
        ("new", {"repositoryRef": {"name": ""}}, "spec.repositoryRef.name"),
        ("new", {"dependsOn": [{"name": "a"}] * 2}, "spec.dependsOn"),
        ("new", {"dependsOn": [{"name": f"a{number}"} for number in range(33)]}, "spec.dependsOn"),
        ("new", {"priority": 2**31}, "spec.priority"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_workitem_beyond_its_limits_is_refused(items: Objects, name: str, spec: Object, field: str) -> None:
    assert field in str(items.refusal_of_new(name, HAND_MADE | spec))


def test_the_longest_name_is_taken(items: Objects) -> None:
    assert items.refusal_of_new("x" * 50, HAND_MADE) is None


@pytest.mark.parametrize("status", [{"bogus": 1}, {"waiting": {"reason": "Run", "message": "", "why": "x"}}], ids=str)
def test_an_unknown_field_of_a_status_is_refused_when_asked_to(items: Objects, status: Object) -> None:
    assert items.refusal_of_status("mend-login", status) is not None


def test_an_unknown_field_of_a_new_item_is_refused_when_asked_to(items: Objects) -> None:
    assert "unknown field" in str(items.refusal_of_new("new", HAND_MADE | {"prioritty": 3}))


def test_an_object_is_read_as_the_api_server_gives_it(items: Objects, repositories: Objects) -> None:
    item = WorkItem.model_validate(items.get("mend-login"))
    repository = Repository.model_validate(repositories.get("shop"))
    assert (item.name, item.key, item.status) == ("mend-login", "MEND-LOGIN", WorkItemStatus())
    assert (item.spec.title, repository.spec.forge.owner) == ("Mend the login", "acme")
    assert item.metadata.uid != repository.metadata.uid


def test_a_pod_template_is_kept_as_it_is(repositories: Objects) -> None:
    template = {"spec": {"containers": [{"name": "deploy", "image": "x", "env": [{"name": "A", "value": "b"}]}]}}
    repositories.create("deployed", {"forge": FORGE, "deploy": {"template": template}})
    assert repositories.get("deployed")["spec"]["deploy"]["template"] == template


def test_items_are_found_by_stage_and_by_repository(kube: Kube, crds: None, namespace: str) -> None:
    items = workitems(kube, namespace)
    items.create("mend-login", HAND_MADE)
    items.create("other", HAND_MADE | {"repositoryRef": {"name": "tools"}})
    items.write_status("other", {"stage": "created"})
    assert items.names("status.stage=created") == ["other"]
    assert items.names("status.stage=") == ["mend-login"]
    assert items.names("spec.repositoryRef.name=shop") == ["mend-login"]
    assert items.names("status.stage=created,spec.repositoryRef.name=shop") == []


def test_items_are_not_found_by_a_field_that_is_not_selectable(items: Objects) -> None:
    with pytest.raises(ApiError, match="field label not supported"):
        items.names("spec.priority=1")
