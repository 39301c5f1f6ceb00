"""The task file: at most 64 KiB of JSON whatever a ticket holds, and no words of those whom a role judges."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conveyor.api.answers import MAX_TASK_BYTES, Task
from conveyor.api.stages import ROLE_OF_STAGE, Role, Stage
from conveyor.api.workitem import ActiveRun
from conveyor.engine.tasks import build_task
from conveyor.pipeline.facts import ForgeReview, Ticket, TicketComment
from tests.unit.pipeline.builders import NOW, item, repository

TICKET = Ticket("i", "ET-17", "A cart", "Text of the ticket", "s", "now", (), "https://plane.test/17")
COMMENTS = tuple(TicketComment(str(number), "mira", "now", f"comment {number}") for number in range(3))
REVIEW = ForgeReview("rev", "REQUEST_CHANGES", "c", official=True, dismissed=False, stale=False, body="Mend it", url="")


def task(role: Role = Role.DEVELOPER, **given: Any) -> dict[str, Any]:
    stage = next(stage for stage, its in ROLE_OF_STAGE.items() if its == role)
    run = ActiveRun(
        name="r", role=role, stage=stage, attempt=2, token="t0ps3cret", started_time=NOW, reason=given.pop("reason", "")
    )
    whole: dict[str, Any] = {"ticket": TICKET, "comments": COMMENTS, "reviews": (REVIEW,)} | given
    found: dict[str, Any] = json.loads(build_task(item(Stage.DEVELOPMENT), repository(), run, **whole))
    return found


def test_task_says_what_is_to_be_done() -> None:
    found = task(reason="red CI")
    assert (found["title"], found["description"], found["attempt"]) == ("A cart", "Text of the ticket", 2)
    assert found["reason"] == "red CI\n\nrev: Mend it"
    assert [comment["text"] for comment in found["comments"]] == ["comment 0", "comment 1", "comment 2"]


@pytest.mark.parametrize("role", [Role.REVIEWER, Role.TESTER])
def test_judges_get_no_words_of_those_they_judge(role: Role) -> None:
    found = task(role, reason="the developer says it is fine")
    assert found["comments"] == []
    assert found["reason"] == ""


def test_run_token_is_not_in_the_task() -> None:
    assert "t0ps3cret" not in json.dumps(task())


def test_newest_comments_stay_where_not_all_fit() -> None:
    many = tuple(TicketComment(str(number), "mira", "now", f"{number} " + "x" * 5000) for number in range(10))
    assert [comment["text"].split()[0] for comment in task(comments=many)["comments"]] == ["7", "8", "9"]


@settings(max_examples=40, deadline=None)
@given(
    letter=st.sampled_from(["x", "\x00", "щ", "🚀", '"', "\\"]),
    title=st.integers(0, 100_000),
    text=st.integers(0, 200_000),
    comment=st.integers(0, 50_000),
    reason=st.integers(0, 1024),
)
def test_task_is_never_too_large(letter: str, title: int, text: int, comment: int, reason: int) -> None:
    ticket = Ticket("i", "ET-17", letter * title, letter * text, "s", "now", (), "https://plane.test/17")
    comments = (TicketComment("1", letter * 1000, "now", letter * comment),)
    reviews = (
        ForgeReview(
            "r", "REQUEST_CHANGES", "c", official=True, dismissed=False, stale=False, body=letter * text, url=""
        ),
    )
    run = ActiveRun(
        name="r",
        role=Role.DEVELOPER,
        stage=Stage.DEVELOPMENT,
        attempt=1,
        token="t",
        started_time=NOW,
        reason="red" + "x" * (reason - 3 if reason > 3 else 0),
    )
    built = build_task(item(Stage.DEVELOPMENT), repository(), run, ticket=ticket, comments=comments, reviews=reviews)
    assert len(built.encode()) <= MAX_TASK_BYTES
    Task.model_validate_json(built)
