"""`kubectl workitem` on a real API server: reading, selecting, asking, and every way of not getting there."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from conveyor.api.annotations import parse_request
from conveyor.cli.cluster_api import Login, connect
from conveyor.cli.main import main
from tests.cluster import binaries
from tests.cluster.api import Kube
from tests.integration import crd_objects
from tests.integration.crd_objects import AT, FORGE, HAND_MADE, SOURCE, Objects

ROOT = Path(__file__).parents[2]


@dataclass
class Answer:
    code: int
    output: str
    errors: str


Command = Callable[..., Answer]


@pytest.fixture
def items(kube: Kube, crds: None, namespace: str) -> Objects:
    items = crd_objects.workitems(kube, namespace)
    items.create("mend-login", HAND_MADE)
    items.create("shop-et-17", {"repositoryRef": {"name": "shop"}, "source": SOURCE})
    items.write_status("mend-login", {"stage": "created", "stageEnteredTime": AT})
    items.write_status("mend-login", {"stage": "analysis", "waiting": {"reason": "Approval", "message": "say yes"}})
    crd_objects.repositories(kube, namespace).create("shop", {"forge": FORGE})
    return items


@pytest.fixture
def command(kubeconfig: Path, namespace: str, capsys: pytest.CaptureFixture[str]) -> Command:
    def run(*words: str, file: Path = kubeconfig) -> Answer:
        code = main([*words, "--kubeconfig", str(file), *([] if "-A" in words else ["-n", namespace])])
        printed = capsys.readouterr()
        return Answer(code, printed.out, printed.err)

    return run


@pytest.fixture
def operator(kube: Kube, items: Objects) -> Iterator[None]:
    """Answers the requests on `mend-login`."""
    stop = threading.Event()
    thread = threading.Thread(target=_answer, args=(items, stop), daemon=True)
    thread.start()
    yield
    stop.set()
    thread.join(timeout=10)


def _answer(items: Objects, stop: threading.Event) -> None:
    while not stop.wait(0.05):
        found = items.get("mend-login")["metadata"].get("annotations", {})
        requests = [parse_request(key, value) for key, value in found.items()]
        echoes = [
            {
                "verb": request.verb.value,
                "id": request.id,
                "result": f"Refused: {request.by} {request.text}",
                "time": AT,
            }
            if request.verb == "reject"
            else {"verb": request.verb.value, "id": request.id, "result": "Accepted", "time": AT}
            for request in requests
            if request is not None
        ]
        if echoes:
            items.write_status("mend-login", {"handledRequests": echoes})


def test_items_are_listed_with_stage_and_reason(items: Objects, command: Command) -> None:
    rows = json.loads(command("list", "-o", "json").output)["items"]
    assert [(row["name"], row["key"], row["stage"], row["waiting"]) for row in rows] == [
        ("mend-login", "MEND-LOGIN", "analysis", "Approval"),
        ("shop-et-17", "ET-17", None, None),
    ]


def test_a_repository_and_labels_select(items: Objects, command: Command) -> None:
    assert json.loads(command("list", "--repository", "web", "-o", "json").output) == {"items": []}
    assert json.loads(command("list", "-l", "a=b", "-o", "json").output) == {"items": []}
    assert len(json.loads(command("list", "--repository", "shop", "-o", "json").output)["items"]) == 2


def test_all_namespaces_include_ours(items: Objects, command: Command, namespace: str) -> None:
    rows = json.loads(command("list", "-A", "-o", "json").output)["items"]
    assert (namespace, "mend-login") in {(row["namespace"], row["name"]) for row in rows}


def test_the_queue_says_who_is_under_way(items: Objects, command: Command) -> None:
    rows = json.loads(command("queue", "-o", "json").output)["items"]
    assert [(row["position"], row["name"], row["ahead"]) for row in rows] == [
        (0, "mend-login", ""),
        (1, "shop-et-17", "mend-login"),
    ]


def test_why_ends_with_the_next_command_in_this_namespace(items: Objects, command: Command, namespace: str) -> None:
    answer = command("why", "mend-login", "--exit-code")
    next_line = answer.output.splitlines()[-1]
    assert next_line.startswith(f"Next        kubectl workitem approve mend-login -n {namespace} --kubeconfig ")
    assert answer.code == 10


def test_show_has_the_item(items: Objects, command: Command) -> None:
    assert "Title        Mend the login\n" in command("show", "mend-login").output


def test_a_verb_is_answered_and_names_its_author(items: Objects, operator: None, command: Command, kube: Kube) -> None:
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    me = kube.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", review)["status"]["userInfo"]["username"]
    approved = command("approve", "mend-login")
    rejected = command("reject", "mend-login", "not like this")
    assert (approved.code, approved.output) == (0, "approve mend-login: Accepted\n")
    assert (rejected.code, rejected.errors) == (1, f"reject mend-login: Refused: {me} not like this\n")


def test_hold_and_resume_change_spec(items: Objects, command: Command) -> None:
    assert command("hold", "mend-login").code == 0
    held = items.get("mend-login")["spec"]["suspend"]
    assert command("resume", "mend-login").code == 0
    assert (held, items.get("mend-login")["spec"]["suspend"]) == (True, False)


@pytest.mark.parametrize("words", [("why", "nobody"), ("show", "nobody"), ("approve", "nobody"), ("hold", "nobody")])
def test_an_item_that_is_not_there_ends_with_1_and_one_line(
    crds: None, command: Command, words: tuple[str, ...]
) -> None:
    answer = command(*words)
    assert (answer.code, answer.output, answer.errors.count("\n")) == (1, "", 1)
    assert "nobody" in answer.errors


def test_a_person_without_rights_is_refused_in_one_line(
    kube: Kube, items: Objects, command: Command, namespace: str, kubeconfig: Path, tmp_path: Path
) -> None:
    account = f"/api/v1/namespaces/{namespace}/serviceaccounts/default/token"
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": None}}
    token = kube.post(account, request)["status"]["token"]
    answer = command("approve", "mend-login", file=_changed(kubeconfig, tmp_path, user={"token": token}))
    assert (answer.code, answer.errors.count("\n")) == (1, 1)
    assert "403 Forbidden" in answer.errors
    assert token not in answer.errors


def test_a_token_that_is_not_accepted_ends_with_1(
    crds: None, command: Command, kubeconfig: Path, tmp_path: Path
) -> None:
    answer = command("list", file=_changed(kubeconfig, tmp_path, user={"token": "wrong"}))
    assert answer.code == 1
    assert "does not accept our credentials" in answer.errors


def test_a_server_that_does_not_answer_ends_with_3(command: Command, kubeconfig: Path, tmp_path: Path) -> None:
    answer = command("list", file=_changed(kubeconfig, tmp_path, server="https://127.0.0.1:1"))
    assert (answer.code, answer.errors.count("\n")) == (3, 1)
    assert "no connection to the API server" in answer.errors


@pytest.mark.parametrize("content", [None, "", "[]", "{", "kind: Config\n", "current-context: nowhere\ncontexts: []\n"])
def test_a_kubeconfig_that_is_none_ends_with_3(command: Command, tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "config"
    if content is not None:
        file.write_text(content)
    answer = command("list", file=file)
    assert (answer.code, answer.errors.count("\n")) == (3, 1)
    assert str(file) in answer.errors


def test_an_unknown_context_ends_with_3(command: Command) -> None:
    assert command("list", "--context", "nowhere").code == 3


async def test_a_listing_of_several_pages_is_whole(items: Objects, kubeconfig: Path, namespace: str) -> None:
    for number in range(3):
        items.create(f"more-{number}", HAND_MADE)
    async with await connect(Login(str(kubeconfig)), page=2) as api:
        found = await api.workitems(namespace)
    assert len({obj["metadata"]["uid"] for obj in found}) == 5


def test_kubectl_runs_it_as_its_plugin(items: Objects, kubeconfig: Path, namespace: str, tmp_path: Path) -> None:
    plugin = tmp_path / "kubectl-workitem"
    plugin.write_text(f"#!{sys.executable}\nimport sys\nfrom conveyor.cli.main import main\nsys.exit(main())\n")
    plugin.chmod(0o755)
    kubectl = str(binaries.ensure(["kubectl"])["kubectl"])
    environment = {"PATH": str(tmp_path), "PYTHONPATH": str(ROOT / "operator"), "KUBECONFIG": str(kubeconfig)}
    answer = subprocess.run(
        [kubectl, "workitem", "-n", namespace, "list", "-o", "name"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=environment | {"HOME": os.environ.get("HOME", "/")},
    )
    assert answer.stdout == "workitem.conveyor.dev/mend-login\nworkitem.conveyor.dev/shop-et-17\n", answer.stderr


def _changed(kubeconfig: Path, directory: Path, *, user: dict[str, Any] | None = None, server: str = "") -> Path:
    """A copy of a kubeconfig with another user or server."""
    content = yaml.safe_load(kubeconfig.read_text())
    if user is not None:
        content["users"][0]["user"] = user
    if server:
        content["clusters"][0]["cluster"]["server"] = server
    file = directory / "other-config"
    file.write_text(yaml.safe_dump(content))
    return file
