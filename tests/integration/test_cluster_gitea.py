"""A real Gitea: users with narrow tokens, repositories of one test each, webhooks that reach this host."""

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from queue import Queue

import pytest

from tests.cluster.fixtures import unique_name
from tests.cluster.gitea import Gitea, GiteaError, Repository, token_in

Delivery = tuple[dict[str, str], bytes]


class Listener:
    """An HTTP server that keeps what it is sent."""

    def __init__(self) -> None:
        self.deliveries: Queue[Delivery] = Queue()
        deliveries = self.deliveries

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                deliveries.put((dict(self.headers), body))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def delivery(self, after: str) -> Delivery:
        """The push that ended at this commit. The repository's first push may come before it."""
        while True:
            headers, body = self.deliveries.get(timeout=15)
            if json.loads(body).get("after") == after:
                return headers, body

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def listener() -> Iterator[Listener]:
    server = Listener()
    yield server
    server.close()


def test_push_is_delivered_to_this_host_with_a_signature(
    gitea: Gitea, gitea_repository: Repository, listener: Listener
) -> None:
    gitea.create_hook(gitea_repository, url=listener.url, secret="s3cret", events=["push"])
    sha = gitea.commit(gitea_repository, {"a.py": "x = 1\n"}, message="Add a")
    headers, body = listener.delivery(after=sha)

    assert headers["X-Gitea-Event"] == "push"
    assert headers["X-Gitea-Signature"] == hmac.new(b"s3cret", body, hashlib.sha256).hexdigest()


def test_commit_rewrites_a_file_and_can_open_a_branch(gitea: Gitea, gitea_repository: Repository) -> None:
    sha = gitea.commit(gitea_repository, {"README.md": "new\n"}, message="Rewrite", new="feature/x")
    branch = gitea.api("GET", f"{gitea_repository.path}/branches/feature/x")
    main = gitea.api("GET", f"{gitea_repository.path}/branches/main")

    assert (branch["commit"]["id"], main["commit"]["id"]) == (sha, gitea_repository.head_sha)


def test_collaborators_token_writes_here_and_sees_nothing_else(gitea: Gitea, gitea_repository: Repository) -> None:
    other = gitea.create_repository("tests", unique_name("other"), files={"README.md": ""})
    user = gitea.create_user(unique_name("bot"))
    gitea.add_collaborator(gitea_repository, user.name)

    assert gitea.commit(gitea_repository, {"a": "b"}, message="By the bot", token=user.token)
    with pytest.raises(GiteaError) as refusal:
        gitea.api("GET", other.path, token=user.token)
    assert refusal.value.code == 404


def test_protected_branch_refuses_a_push(gitea: Gitea, gitea_repository: Repository) -> None:
    user = gitea.create_user(unique_name("bot"))
    gitea.add_collaborator(gitea_repository, user.name)
    gitea.protect(gitea_repository)
    with pytest.raises(GiteaError) as refusal:
        gitea.commit(gitea_repository, {"a": "b"}, message="Not so", token=user.token)

    assert refusal.value.code == 403


def test_repository_merges_as_the_pipeline_needs_it(gitea: Gitea, gitea_repository: Repository) -> None:
    found = gitea.api("GET", gitea_repository.path)
    wanted = ("allow_fast_forward_only_merge", "allow_rebase_update", "allow_manual_merge")

    assert {name: found[name] for name in wanted} == dict.fromkeys(wanted, True)


def test_killed_gitea_comes_back_with_what_it_had(gitea: Gitea, gitea_repository: Repository) -> None:
    gitea.kill()
    gitea.start()

    assert gitea.api("GET", f"{gitea_repository.path}/branches/main")["commit"]["id"] == gitea_repository.head_sha


@pytest.mark.parametrize("said", ["{log}\n{token}\n", "{token}\n{log}\n"], ids=["before", "behind"])
def test_token_is_found_whatever_gitea_logs_around_it(said: str) -> None:
    token, log = "6f7ca78e306287dbc2c6d2cb7c17c4060740066f", "2026/11/21 setting.go:190 [E] You have been warned."
    assert token_in(said.format(token=token, log=log)) == token
