"""`kubectl workitem` and `conveyor-operator` together on a real API server, with the forge away all the time.

| command | what is there afterwards |
|---|---|
| freeze, unfreeze | the annotation and `status.effectiveFreeze`; a deploy's freeze cleared, and by whom |
| override | an edge that the pipeline does not have, with its author in history |
| release-lease | no Lease, and an Event |
| tree | the Lease, seen with the user's rights |
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from conveyor.cli.main import main
from tests.cluster.api import ApiError, Kube
from tests.integration.crd_objects import AT, FORGE
from tests.integration.engine_process import OperatorProcess, Store, until

Command = Callable[..., tuple[int, str, str]]
SPEC = {**FORGE, "url": "https://127.0.0.1:1"}


@pytest.fixture
def store(kube: Kube, crds: None, namespace: str) -> Store:
    """A Repository and an item of it."""
    store = Store(kube, namespace)
    store.repository("shop", SPEC)
    store.item("mend-login")
    return store


@pytest.fixture
def operator(kubeconfig: Path, store: Store, tmp_path: Path) -> Iterator[OperatorProcess]:
    with OperatorProcess(kubeconfig, store.namespace, tmp_path / "log") as process:
        until(process.is_ready, within=120, what=lambda: process.answer("/readyz"))
        until(lambda: store.stage("mend-login") == "created")
        yield process


@pytest.fixture
def command(kubeconfig: Path, namespace: str, capsys: pytest.CaptureFixture[str]) -> Command:
    """Exit code, standard output and standard error of a command."""

    def run(*words: str) -> tuple[int, str, str]:
        code = main([*words, "--kubeconfig", str(kubeconfig), "-n", namespace])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


def me(kube: Kube) -> str:
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    answer = kube.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", review)
    return str(answer["status"]["userInfo"]["username"])


def effective(store: Store) -> Any:
    return store.status("shop", "repositories").get("effectiveFreeze")


@pytest.mark.usefixtures("operator")
def test_a_repository_is_frozen_and_thawed_by_its_annotation(store: Store, command: Command) -> None:
    code, output, errors = command("freeze", "shop", "--scope", "merge", "release", "week")
    assert (code, output) == (
        0,
        "freeze shop: frozen by the annotation, nothing new starts or is merged: release week\n",
    )
    assert "Git" in errors
    assert (effective(store)["source"], effective(store)["scope"]) == ("Annotation", "merge")
    assert command("unfreeze", "shop")[:2] == (0, "unfreeze shop: not frozen\n")
    assert effective(store) is None


@pytest.mark.usefixtures("operator")
@pytest.mark.long
def test_a_deploys_freeze_is_cleared_in_the_users_name(store: Store, command: Command, kube: Kube) -> None:
    stands = {"id": "t-1", "reason": "the deploy failed", "scope": "merge", "sinceTime": AT}
    kube.patch(f"{store.path('repositories', 'shop')}/status", {"status": {"freezes": [stands]}})
    until(lambda: effective(store) is not None)
    assert command("unfreeze", "shop", "t-9") == (
        1, "", "unfreeze shop: Refused: no automatic freeze t-9 stands; there stand t-1\n"
    )  # fmt: skip
    assert command("unfreeze", "shop", "t-1", "mended") == (0, "unfreeze shop: Accepted\n", "")
    (freeze,) = store.status("shop", "repositories")["freezes"]
    assert freeze["clearedBy"] == me(kube)
    assert effective(store) is None
    assert ("Unfrozen", f"freeze t-1 (the deploy failed) cleared by {me(kube)}: mended") in store.notes("shop")


@pytest.mark.usefixtures("operator")
@pytest.mark.long
def test_an_item_is_moved_past_its_gates_in_the_users_name(store: Store, command: Command, kube: Kube) -> None:
    refused = command("override", "mend-login", "deploy", "why", "not")
    assert refused == (1, "", "override mend-login: Refused: nothing is merged: deploy needs status.mergeSHA\n")
    assert command("override", "mend-login", "created>done", "merged by hand") == (
        0,
        "override mend-login: Accepted\n",
        "",
    )
    status = store.status("mend-login")
    assert (status["stage"], status["override"]["by"], status["override"]["reason"]) == (
        "done",
        me(kube),
        "merged by hand",
    )
    last = status["history"][-1]
    assert (last["from"], last["to"], last["actor"]) == ("created", "done", me(kube))
    code, _, errors = command("override", "mend-login", "done>review", "back")
    assert (code, errors) == (1, "override mend-login: Refused: the item is done\n")


@pytest.mark.usefixtures("operator")
def test_a_lease_of_a_lost_process_is_seen_and_taken_away(store: Store, command: Command, kube: Kube) -> None:
    uid = kube.get(store.path("workitems", "mend-login"))["metadata"]["uid"]
    leases = f"/apis/coordination.k8s.io/v1/namespaces/{store.namespace}/leases"
    labels = {"conveyor.dev/workitem": "mend-login", "conveyor.dev/repository": "shop"}
    metadata = {"name": f"transition-{uid}", "labels": labels}
    kube.post(leases, {"metadata": metadata, "spec": {"holderIdentity": f"lost/{uid}", "leaseDurationSeconds": 60}})
    rows = json.loads(command("tree", "mend-login", "-o", "json")[1])["tree"]
    assert [(row["kind"], row["message"]) for row in rows if row["kind"] == "Lease"] == [("Lease", f"by lost/{uid}")]
    assert command("release-lease", "mend-login", "its node is lost") == (0, "release-lease mend-login: Accepted\n", "")
    with pytest.raises(ApiError) as gone:
        kube.get(f"{leases}/transition-{uid}")
    assert gone.value.code == 404
    assert any(reason == "LeaseReleased" for reason, _ in store.notes("mend-login"))
    again = command("release-lease", "mend-login")
    assert again == (1, "", "release-lease mend-login: Refused: no Lease of this item is there\n")
