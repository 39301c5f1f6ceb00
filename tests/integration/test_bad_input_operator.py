"""What people see on a real API server and a real Gitea when what they gave the operator is wrong.

One operator works on all cases at once, as in life: what is wrong in one place keeps nothing else from going on.

| wrong | seen |
|---|---|
| Secret missing, without a key, with a wrong token or another host | Ready=False BadCredentials, with what to mend |
| forge unreachable, or not to be talked to | Ready=False Unreachable |
| no branch protection, twin | Ready=False Unprotected, Twin |
| role that does not exist, name too long | the API server refuses it |
| item without Repository or dependency, hostile title | waiting, or a branch all the same |
| object in the store that no version of ours would write | an Event; others go on, after a restart too |
"""

import copy
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.api import ApiError, Kube
from tests.cluster.crds import install
from tests.cluster.fixtures import unique_name
from tests.cluster.gitea import Gitea, Repository, User
from tests.integration.engine_process import OperatorProcess, Store, forge, until

AUTO = {"approval": {"analysis": "Auto", "deploy": "Auto"}}
WRONG_TOKEN = "f0" * 20
WORKITEMS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/workitems.conveyor.dev"


@dataclass
class Place:
    """A namespace with good and bad objects, and the operator that works on them."""

    store: Store
    operator: OperatorProcess
    token: str

    def stage_is(self, name: str, stage: str) -> None:
        until(lambda: self.store.stage(name) == stage, within=60, what=lambda: f"{name}: {self.store.status(name)}")


def made(gitea: Gitea, operator: User, name: str, *, protected: bool = True) -> Repository:
    repository = gitea.create_repository("tests", unique_name(name), files={"README.md": "# For a test\n"})
    gitea.add_collaborator(repository, operator.name, permission="admin")
    if protected:
        only = {"enable_push_whitelist": True, "push_whitelist_usernames": [operator.name]}
        gitea.protect(repository, "main", enable_push=True, **only)
    return repository


def give_secrets(store: Store, gitea: Gitea, token: str) -> None:
    store.secret("forge", token=token, url=gitea.url)
    store.secret("keyless", url=gitea.url)
    store.secret("wrong", token=WRONG_TOKEN, url=gitea.url)
    store.secret("elsewhere", token=token, url="http://127.0.0.1:1")


def give_repositories(store: Store, gitea: Gitea, operator: User) -> None:
    good = made(gitea, operator, "good")
    store.repository("shop", forge(gitea, good), gates=AUTO)
    for name in ("missing", "keyless", "wrong", "elsewhere"):
        store.repository(name, forge(gitea, good, secret=name) | {"name": f"r-{name}"})
    store.repository("unreachable", forge(gitea, good) | {"url": "http://127.0.0.1:1"})
    store.repository("forbidden", forge(gitea, good) | {"url": "http://forge.example"})
    store.repository("unprotected", forge(gitea, made(gitea, operator, "bare", protected=False)))
    store.repository("unseen", forge(gitea, good) | {"name": "not-there"})
    older = forge(gitea, made(gitea, operator, "twins"))
    store.repository("older", older)
    time.sleep(1.1)  # creation times are whole seconds, and within one the uid decides who is older
    store.repository("younger", older)


def store_what_no_version_writes(kube: Kube, store: Store) -> None:
    """As an operator of another time may have left it: through a CRD that lets everything in."""
    crd = kube.get(WORKITEMS)
    loose = copy.deepcopy(crd["spec"])
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    for version in loose["versions"]:
        version["schema"]["openAPIV3Schema"] = anything
        version.pop("selectableFields", None)  # they must be in the schema
    kube.patch(WORKITEMS, {"spec": {"versions": loose["versions"]}})
    try:
        store.item("malformed", repository="older")
        wrong = {"status": {"stage": "analysis", "activeRun": ["no", "run"], "conditions": "none", "runs": "many"}}
        until(lambda: is_taken(kube, store, wrong))
    finally:
        install(kube)


def is_taken(kube: Kube, store: Store, status: dict[str, Any]) -> bool:
    """The API server takes a moment to follow a changed CRD."""
    path = store.path("workitems", "malformed")
    try:
        kube.patch(f"{path}/status", status)
    except ApiError as error:
        if error.code == 422:
            return False
        raise
    return bool(kube.get(path)["status"]["conditions"] == "none")


@pytest.fixture(scope="module")
def place(
    kube: Kube, crds: None, gitea: Gitea, kubeconfig: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    name = unique_name("bad-input")
    kube.post("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    store, user = Store(kube, name), gitea.create_user(unique_name("operator"))
    give_secrets(store, gitea, user.token)
    give_repositories(store, gitea, user)
    store_what_no_version_writes(kube, store)
    store.item("lost", repository="nowhere")
    store.item("dependent", dependsOn=[{"name": "absent"}], repository="shop")
    store.item("hostile", title="\x1b[31m$(touch /tmp/owned) ../../ 修复", priority=5)
    with OperatorProcess(kubeconfig, name, tmp_path_factory.mktemp("bad-input") / "log") as operator:
        until(operator.is_ready)
        yield Place(store, operator, user.token)
    kube.delete(f"/api/v1/namespaces/{name}")


NOT_READY = {
    "missing": ("BadCredentials", "check the Secret and its rights"),
    "keyless": ("BadCredentials", "Secret keyless has no key token"),
    "wrong": ("BadCredentials", "check the Secret and its rights"),
    "elsewhere": ("Unreachable", "the Secret's url is not on 127.0.0.1"),
    "unreachable": ("Unreachable", "http://127.0.0.1:1 could not be asked"),
    "forbidden": ("Unreachable", "forge.example"),
    "unprotected": ("Unprotected", "main"),
    "unseen": ("BadCredentials", "check the Secret and its rights"),
    "younger": ("Twin", "older"),
}


@pytest.mark.parametrize(("name", "reason", "part"), [(name, *seen) for name, seen in NOT_READY.items()], ids=NOT_READY)
def test_repository_says_what_is_wrong_with_it(place: Place, name: str, reason: str, part: str) -> None:
    until(lambda: place.store.ready(name)[0])
    status, found, message = place.store.ready(name)
    assert (status, found) == ("False", reason)
    assert part in message


@pytest.mark.parametrize("name", ["shop", "older"])
def test_repository_beside_wrong_ones_is_ready(place: Place, name: str) -> None:
    until(lambda: place.store.ready(name)[0])
    assert place.store.ready(name)[:2] == ("True", "Ready")


def test_role_that_does_not_exist_is_refused_by_the_api_server(place: Place) -> None:
    spec = place.store.kube.get(place.store.path("repositories", "shop"))["spec"]
    with pytest.raises(ApiError, match="astrologer"):
        place.store.repository("role", spec["forge"], agents=[{"role": "astrologer", "image": "a:1"}])


@pytest.mark.parametrize("name", ["x" * 51, "Upper", "a_b"])
def test_name_that_gives_no_branch_is_refused_by_the_api_server(place: Place, name: str) -> None:
    with pytest.raises(ApiError, match="name"):
        place.store.item(name)


def test_item_without_repository_says_so(place: Place) -> None:
    until(lambda: place.store.waiting("lost")[0])
    wanted = f"there is no Repository nowhere in namespace {place.store.namespace}: create or mend it"
    assert place.store.waiting("lost") == ("Forge", wanted)


def test_item_without_dependency_says_so(place: Place) -> None:
    until(lambda: place.store.waiting("dependent")[0])
    assert place.store.waiting("dependent") == ("DependencyMissing", "there is no WorkItem absent")


def test_hostile_title_gives_a_branch_all_the_same(place: Place) -> None:
    place.stage_is("hostile", "analysis")
    assert place.store.status("hostile")["branch"] == "feature/HOSTILE-31m-touch-tmp-owned"


def test_malformed_object_is_told_of_and_others_go_on_after_a_restart_too(place: Place) -> None:
    before = place.store.status("malformed")
    until(lambda: "Unreadable" in dict(place.store.notes("malformed")), within=40)
    place.stage_is("hostile", "analysis")
    place.operator.restart()
    place.store.item("next", repository="unreachable")
    place.stage_is("next", "created")
    until(lambda: place.operator.answer("/queue")[1].count('"name":"malformed"'))
    assert place.store.status("malformed") == before
    assert float(place.operator.metric('conveyor_invariant_violations{what="UnreadableWorkItem"}')) >= 1


def test_malformed_object_keeps_its_own_repository_closed(place: Place) -> None:
    place.store.item("behind", repository="older")
    until(lambda: place.store.waiting("behind")[0])
    assert place.store.waiting("behind")[0] == "EarlierItem"


def test_no_token_is_in_the_log_in_an_event_or_in_a_status(place: Place) -> None:
    kube, namespace = place.store.kube, place.store.namespace
    seen = [place.operator.log.read_text(), place.operator.answer("/queue")[1], place.operator.answer("/metrics")[1]]
    seen += [str(kube.get(place.store.path(plural))) for plural in ("repositories", "workitems")]
    seen.append(str(kube.get(f"/apis/events.k8s.io/v1/namespaces/{namespace}/events")))
    assert not [text for text in seen if place.token in text or WRONG_TOKEN in text]
