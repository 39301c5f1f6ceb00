"""Covers: each answer to a merge call that was measured, and what is not foreseen."""

import json

import pytest

from conveyor.forge.gitea_merge import raise_for
from conveyor.web.answer import Answer
from conveyor.web.errors import Ambiguous, Conflict, OutsideError, Refused, Unavailable

DIVERGED = "Merge DivergingFastForwardOnly Error: exit status 128 - fatal: Not possible to fast-forward, aborting"
STYLE = "fast-forward-only is not allowed an allowed merge style for this repository"


def answer(status: int, message: str | None) -> Answer:
    body = b"" if message is None else json.dumps({"message": message, "url": "https://git.example/api"}).encode()
    return Answer(status, {}, body, subject="POST /merge", wrote=True)


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (405, "Please try again later", Unavailable),
        (405, "The PR is already merged", Conflict),
        (405, "User not allowed to merge PR", Refused),
        (405, "Does not have enough approvals", Refused),
        (405, "Not all required status checks successful", Refused),
        (405, "Work in progress PRs cannot be merged", Refused),
        (405, STYLE, Refused),
        (405, None, Refused),
        (409, "head out of date", Conflict),
        (409, "PushRejected with remote message: cannot lock ref 'refs/heads/main'", Conflict),
        (409, None, Conflict),
        (500, DIVERGED, Conflict),
        (500, "[1] is blocked by an open dependency", Refused),
        (500, "git commit: exit status 1 - On branch base", Ambiguous),
        (500, None, Ambiguous),
    ],
)
def test_answer_means_this_error(status: int, message: str | None, kind: type[OutsideError]) -> None:
    with pytest.raises(OutsideError) as caught:
        raise_for(answer(status, message))
    assert (type(caught.value), caught.value.status) == (kind, status)
    assert (message or "without a reason") in str(caught.value)


def test_merge_said_to_have_happened_raises_nothing() -> None:
    raise_for(answer(200, None))


def test_conflict_in_its_own_shape_is_a_conflict() -> None:
    body = b'{"Style":"merge","StdOut":"CONFLICT (content)","StdErr":"","Err":{}}'
    with pytest.raises(Conflict):
        raise_for(Answer(409, {}, body, subject="POST /merge", wrote=True))
