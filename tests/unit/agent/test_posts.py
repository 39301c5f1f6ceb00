"""Reviews and reports, against a server that is a function of the test."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from conveyor.agent.clone import Found
from conveyor.agent.errors import StepFailed
from conveyor.agent.forge_api import ForgeApi
from conveyor.agent.git import Git
from conveyor.agent.posts import marker, post_report, post_review
from conveyor.agent.settings import ForgeSettings, Secret
from conveyor.api.answers import Answer, Review, ReviewComment, ReviewVerdict, Task
from tests.unit.agent.conftest import BRANCH, FORGE_TOKEN, RUN, Run

Handler = Callable[[httpx.Request], httpx.Response]


@dataclass
class Forge:
    """Keeps what is posted; lists it page by page, or all of it on every page."""

    pages: bool = True
    posted: list[dict[str, Any]] = field(default_factory=list)
    before_answer: Handler | None = None

    def api(self) -> ForgeApi:
        settings = ForgeSettings("https://git.example/sub", "acme/shop", Secret(FORGE_TOKEN))
        return ForgeApi(settings, transport=httpx.MockTransport(self._answer))

    def add(self, **entry: object) -> None:
        self.posted.append({"id": len(self.posted) + 1, **entry})

    def _answer(self, request: httpx.Request) -> httpx.Response:
        assert request.url.path.startswith("/sub/api/v1/repos/acme/shop/")
        if request.method == "GET":
            page, limit = int(request.url.params["page"]), int(request.url.params["limit"])
            return httpx.Response(
                200, json=self.posted[(page - 1) * limit : page * limit] if self.pages else self.posted
            )
        if self.before_answer is None:
            self.add(**json.loads(request.content))
            return httpx.Response(200, json=self.posted[-1])
        return self.before_answer(request)


@pytest.fixture
def found(cloned: Run) -> Found:
    home = cloned.root / "home"
    home.mkdir()
    return Found(Git(home), cloned.root / "state/repository.git", BRANCH)


@pytest.fixture
def task(cloned: Run) -> Task:
    cloned.environment()
    return Task.model_validate_json((cloned.root / "in/task.json").read_bytes())


@pytest.mark.parametrize(
    ("verdict", "event"),
    [("approve", "APPROVED"), ("request_changes", "REQUEST_CHANGES"), ("comment", "COMMENT")],
)
def test_a_review_speaks_about_the_commit_that_clone_found(found: Found, task: Task, verdict: str, event: str) -> None:
    forge = Forge()
    post_review(forge.api(), task, Review(verdict=ReviewVerdict(verdict), body="Fine"), found=found)
    assert forge.posted == [
        {"id": 1, "event": event, "commit_id": found.head(), "body": f"{marker(RUN)}\n\nFine", "comments": []}
    ]


def test_a_comment_goes_to_its_line_where_the_commit_has_it_and_else_into_the_text(found: Found, task: Task) -> None:
    places = [("README.md", 1), ("README.md", 2), ("nowhere.py", 1), (".", 1), ("a\nb", 1)]
    comments = tuple(ReviewComment(path=path, line=line, body=f"At {line}") for path, line in places)
    forge = Forge()
    post_review(forge.api(), task, Review(verdict=ReviewVerdict.COMMENT, comments=comments), found=found)
    assert forge.posted[0]["comments"] == [{"path": "README.md", "new_position": 1, "body": "At 1"}]
    assert r"README\.md\:2: At 2" in forge.posted[0]["body"]
    assert r"nowhere\.py\:1: At 1" in forge.posted[0]["body"]


def test_a_review_is_posted_once_however_often_the_step_runs(found: Found, task: Task) -> None:
    forge = Forge()
    for _ in range(2):
        post_review(forge.api(), task, Review(verdict=ReviewVerdict.APPROVE), found=found)
    assert len(forge.posted) == 1


def test_another_run_s_review_does_not_count_as_ours(found: Found, task: Task) -> None:
    forge = Forge()
    forge.add(body=marker("another-run"), commit_id=found.head())
    forge.add(body=f"Look: {marker(RUN)}", commit_id=found.head())
    forge.add(body=marker(RUN), commit_id="f" * 40)
    post_review(forge.api(), task, Review(verdict=ReviewVerdict.APPROVE), found=found)
    assert len(forge.posted) == 4


def test_ours_is_found_on_a_later_page(task: Task) -> None:
    forge = Forge()
    for _ in range(60):
        forge.add(body="talk")
    forge.add(body=f"{marker(RUN)}\nTests")
    post_report(forge.api(), task, Answer(verdict="pass", summary="All green"))
    assert len(forge.posted) == 61


def test_a_list_that_ignores_page_numbers_ends(task: Task) -> None:
    forge = Forge(pages=False)
    for _ in range(60):
        forge.add(body="talk")
    post_report(forge.api(), task, Answer(verdict="pass", summary="All green"))
    assert forge.posted[-1]["body"] == f"{marker(RUN)}\nTests: **pass**\n\nAll green"


def test_an_agent_s_text_is_shown_as_it_is(task: Task) -> None:
    hostile = f"@owner closes #1 ![x](http://evil) <img src=x> {marker('other')} `a`\n    code\n\x1b[2J"
    forge = Forge()
    post_report(forge.api(), task, Answer(verdict="fail", summary=hostile))
    text = forge.posted[0]["body"].split("\n\n", 1)[1]
    assert text == (
        r"\@owner closes \#1 \!\[x\]\(http\:\/\/evil\) \<img src\=x\> "
        r"\<\!\-\- conveyor\-run\: other \-\-\> \`a\`" + "\n\u00a0\u00a0\u00a0\u00a0code\n" + r"\[2J"
    )


def test_a_post_whose_answer_was_lost_counts_when_it_is_there(task: Task) -> None:
    forge = Forge()

    def lose_the_answer(request: httpx.Request) -> httpx.Response:
        forge.add(**json.loads(request.content))
        raise httpx.ReadTimeout("late", request=request)

    forge.before_answer = lose_the_answer
    post_report(forge.api(), task, Answer(verdict="pass", summary="x"))
    assert len(forge.posted) == 1


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (httpx.Response(401, json={"message": "bad token"}), "does not accept our token"),
        (httpx.Response(422, json={"message": f"no {FORGE_TOKEN}\x1b[31m\nfor you"}), "422 no ...[31m for you"),
        (httpx.Response(500, content=b"[" * 100_000), ": 500"),
        (httpx.Response(302, headers={"Location": "https://evil.example"}), ": 302"),
    ],
)
def test_a_refusal_says_why_without_the_token(task: Task, answer: httpx.Response, words: str) -> None:
    forge = Forge(before_answer=lambda _: answer)
    with pytest.raises(StepFailed) as failure:
        post_report(forge.api(), task, Answer(verdict="pass", summary="x"))
    assert words in str(failure.value)
    assert FORGE_TOKEN not in str(failure.value)
    assert failure.value.__context__ is None or FORGE_TOKEN not in repr(failure.value.__context__)


def test_an_answer_that_is_no_list_is_an_error(task: Task) -> None:
    forge = Forge(pages=False)
    forge.posted = {"not": "a list"}  # type: ignore[assignment]
    with pytest.raises(StepFailed, match="wanted a list"):
        post_report(forge.api(), task, Answer(verdict="pass", summary="x"))


def test_a_task_without_a_pull_request_is_an_error(task: Task) -> None:
    with pytest.raises(StepFailed, match="no pull request"):
        post_report(Forge().api(), task.model_copy(update={"pull_request_number": None}), Answer(verdict="pass"))


def test_a_reviewer_s_pass_without_a_review_is_no_verdict(run: Run) -> None:
    run.role = "reviewer"
    run.clone()
    run.answer()
    run.forge_url = "http://127.0.0.1:9"
    assert "needs a review" in run.publish()["error"]
