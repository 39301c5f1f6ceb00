"""The trusted steps on a real Gitea: commits and reviews arrive there, and its refusals can be read."""

import json
import os
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from conveyor.agent.main import main
from tests.cluster.fixtures import unique_name
from tests.cluster.gitea import Gitea, Repository, User

BRANCH = "feature/ET-17-greet"


@dataclass(frozen=True)
class People:
    developer: User
    reviewer: User


@dataclass
class Pod:
    """The volumes of one run, and the two steps on them."""

    root: Path
    gitea: Gitea
    repository: Repository
    user: User
    role: str
    pull_request: int | None = None
    token: str = ""

    def clone(self) -> int:
        for name in ("workspace", "state", "files"):
            (self.root / name).mkdir(parents=True)
        return self.step("clone")

    def step(self, name: str) -> int:
        files = self.root / "files"
        task = {
            "item": "shop-et-17", "uid": "uid-1", "key": "ET-17", "run": self.root.name, "repository": "shop",
            "role": self.role, "stage": "development", "attempt": 1, "branch": BRANCH, "baseBranch": "main",
            "baseSHA": "0" * 40, "documents": "docs", "title": "Greet", "pullRequestNumber": self.pull_request,
        }  # fmt: skip
        (files / "source.json").write_text(json.dumps(task))
        (files / "forge-token").write_text(self.token or self.user.token)
        (files / "run-token").write_text("run-token")
        variables = {
            "TASK_SOURCE_FILE": files / "source.json",
            "TASK_FILE": files / "task.json",
            "ANSWER_FILE": files / "answer.json",
            "TERMINATION_FILE": files / "termination",
            "FORGE_TOKEN_FILE": files / "forge-token",
            "RUN_TOKEN_FILE": files / "run-token",
            "WORKSPACE": self.root / "workspace",
            "STATE_DIR": self.root / "state",
            "FORGE_URL": self.gitea.url,
            "FORGE_REPOSITORY": f"{self.repository.owner}/{self.repository.name}",
        }
        return main([name], {f"CONVEYOR_{key}": str(value) for key, value in variables.items()})

    def publish(self, **answer: object) -> dict[str, Any]:
        (self.root / "files/answer.json").write_text(json.dumps({"verdict": "pass", "summary": "Done"} | answer))
        code = self.step("publish")
        message = self.message()
        assert ("verdict" in message) == (code == 0)
        return message

    def message(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads((self.root / "files/termination").read_text())
        return message

    def head(self) -> str:
        return str(self.gitea.api("GET", f"{self.repository.path}/branches/{BRANCH}")["commit"]["id"])

    def reviews(self) -> list[dict[str, Any]]:
        reviews: list[dict[str, Any]] = self.gitea.api(
            "GET", f"{self.repository.path}/pulls/{self.pull_request}/reviews"
        )
        return reviews


@pytest.fixture
def repository(gitea: Gitea, gitea_repository: Repository) -> Repository:
    """With a feature branch of one commit."""
    gitea.commit(gitea_repository, {"greet.py": "one\ntwo\nthree\n"}, message="Greet", branch="main", new=BRANCH)
    return gitea_repository


@pytest.fixture
def people(gitea: Gitea, repository: Repository) -> People:
    names = [unique_name("developer"), unique_name("reviewer")]
    users = [gitea.create_user(name, scopes=("write:repository", "write:issue")) for name in names]
    for user in users:
        gitea.add_collaborator(repository, user.name)
    return People(*users)


@pytest.fixture
def pull_request(gitea: Gitea, repository: Repository, people: People) -> int:
    body = {"base": "main", "head": BRANCH, "title": "Greet"}
    return int(gitea.api("POST", f"{repository.path}/pulls", token=people.developer.token, json=body)["number"])


@pytest.fixture
def developer(tmp_path: Path, gitea: Gitea, repository: Repository, people: People) -> Pod:
    return Pod(tmp_path / "developer-1", gitea, repository, people.developer, "developer")


@pytest.fixture
def reviewer(tmp_path: Path, gitea: Gitea, repository: Repository, people: People, pull_request: int) -> Pod:
    return Pod(tmp_path / "reviewer-1", gitea, repository, people.reviewer, "reviewer", pull_request)


def test_what_a_developer_commits_and_leaves_is_on_the_branch(developer: Pod) -> None:
    assert developer.clone() == 0
    workspace = developer.root / "workspace"
    (workspace / "a.txt").write_text("a\n")
    environment = {"PATH": os.environ["PATH"], "HOME": str(developer.root)}
    for command in (["add", "a.txt"], ["commit", "-q", "-m", "Add a"]):
        subprocess.run(["git", *command], cwd=workspace, env=environment, check=True, timeout=60)
    (workspace / "b.txt").write_text("b\n")
    message = developer.publish(summary="Add b")
    assert message["sha"] == developer.head()
    commits = developer.gitea.api("GET", f"{developer.repository.path}/commits", sha=BRANCH)
    assert [(one["commit"]["message"].strip(), one["commit"]["author"]["name"]) for one in commits[:2]] == [
        ("Add b", "developer"),
        ("Add a", "developer"),
    ]


def test_a_branch_that_moved_meanwhile_keeps_the_other_commit(developer: Pod) -> None:
    developer.clone()
    theirs = developer.gitea.commit(developer.repository, {"c.txt": "c"}, message="Theirs", branch=BRANCH)
    (developer.root / "workspace/b.txt").write_text("b\n")
    assert "moved meanwhile" in developer.publish()["error"]
    assert developer.head() == theirs


def test_a_protected_branch_s_refusal_is_shown(developer: Pod) -> None:
    developer.clone()
    developer.gitea.protect(developer.repository, BRANCH)
    (developer.root / "workspace/b.txt").write_text("b\n")
    before = developer.head()
    assert "protected branch" in developer.publish()["error"]
    assert developer.head() == before


def test_a_wrong_token_is_said_at_clone_without_showing_it(developer: Pod) -> None:
    developer.token = "0123456789abcdef0123456789abcdef01234567"
    assert developer.clone() == 1
    error = developer.message()["error"]
    assert "does not accept our token" in error
    assert developer.token not in error


def test_a_token_revoked_meanwhile_is_said_at_publish_without_showing_it(developer: Pod) -> None:
    developer.clone()
    developer.token = "0123456789abcdef0123456789abcdef01234567"
    (developer.root / "workspace/b.txt").write_text("b\n")
    error = developer.publish()["error"]
    assert "does not accept our token" in error
    assert developer.token not in error


def test_a_review_counts_for_the_commit_it_was_made_of(reviewer: Pod) -> None:
    reviewer.clone()
    judged = reviewer.head()
    newer = reviewer.gitea.commit(reviewer.repository, {"c.txt": "c"}, message="Newer", branch=BRANCH)
    message = reviewer.publish(review={"verdict": "approve", "body": "Fine"})
    assert message["sha"] == judged != newer
    (review,) = reviewer.reviews()
    assert (review["state"], review["commit_id"], review["user"]["login"]) == ("APPROVED", judged, reviewer.user.name)
    assert review["official"]


def test_a_change_request_has_its_comments_at_their_lines(reviewer: Pod) -> None:
    reviewer.clone()
    comments = [
        {"path": "greet.py", "line": 2, "body": "why?"},
        {"path": "README.md", "line": 1, "body": "unchanged here"},
        {"path": "greet.py", "line": 99, "body": "no such line"},
    ]
    reviewer.publish(review={"verdict": "request_changes", "body": "", "comments": comments})
    (review,) = reviewer.reviews()
    assert review["state"] == "REQUEST_CHANGES"
    path = f"{reviewer.repository.path}/pulls/{reviewer.pull_request}/reviews/{review['id']}/comments"
    posted = {(one["path"], one["position"], one["body"]) for one in reviewer.gitea.api("GET", path)}
    assert posted == {("greet.py", 2, r"why\?"), ("README.md", 1, "unchanged here")}
    assert "no such line" in review["body"]


def test_a_review_is_there_once_after_two_pods_of_one_run(reviewer: Pod, tmp_path: Path) -> None:
    for place in ("first", "second"):
        pod = replace(reviewer, root=tmp_path / place / "reviewer-1")
        pod.clone()
        pod.publish(review={"verdict": "approve"})
    assert len(reviewer.reviews()) == 1


def test_an_author_s_own_approval_is_refused_readably(reviewer: Pod, people: People) -> None:
    reviewer.user = people.developer
    reviewer.clone()
    assert "422 approve your own pull is not allowed" in reviewer.publish(review={"verdict": "approve"})["error"]
    assert reviewer.reviews() == []


def test_a_tester_s_report_is_a_comment_once_that_mentions_nobody(reviewer: Pod, tmp_path: Path) -> None:
    for place in ("first", "second"):
        pod = replace(reviewer, root=tmp_path / place / "tester-1", role="tester")
        pod.clone()
        message = pod.publish(verdict="fail", summary=f"2 failed, see #1 @{reviewer.user.name}", coverage=81.5)
        assert (message["verdict"], message["coverage"]) == ("fail", 81.5)
    path = f"{reviewer.repository.path}/issues/{reviewer.pull_request}/comments"
    (comment,) = reviewer.gitea.api("GET", path)
    assert comment["body"].endswith(f"2 failed\\, see \\#1 \\@{reviewer.user.name}".replace("-", r"\-"))
