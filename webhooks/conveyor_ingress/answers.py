"""The answer table: every answer the ingress gives to a sender, and the word it is counted under.

Bodies are constants: whoever could not sign learns nothing but the status.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum


class Why(StrEnum):
    """Why a verified delivery is nothing of ours."""

    EVENT = "event not used"
    REF = "not a branch"
    REPOSITORY_UNKNOWN = "repository unknown"
    REPOSITORY_OTHER = "another repository"
    PROJECT = "project unknown"
    HOOK = "another webhook or workspace"
    STATE = "not a starting state"
    STATES_UNKNOWN = "starting states not known yet"
    NAME = "ticket gives no name"


@dataclass(frozen=True)
class Answer:
    code: int
    word: str
    """What it is counted under in `conveyor_webhooks_total{answer}`."""
    body: str


def _said(code: int, word: str, **body: str) -> Answer:
    return Answer(code=code, word=word, body=json.dumps(body))


ACCEPTED = _said(202, "accepted", status="accepted")
DUPLICATE = _said(200, "duplicate", status="duplicate")
MALFORMED = _said(400, "malformed", error="malformed")
UNAUTHORIZED = _said(401, "unauthorized", error="unauthorized")
METHOD_NOT_ALLOWED = _said(405, "method_not_allowed", error="method not allowed")
TOO_LARGE = _said(413, "too_large", error="too large")
UNSUPPORTED_TYPE = _said(415, "unsupported_type", error="unsupported type")
UNAVAILABLE = _said(503, "unavailable", error="unavailable")
IGNORED = "ignored"

BEFORE_VERIFICATION = (MALFORMED, UNAUTHORIZED, METHOD_NOT_ALLOWED, TOO_LARGE, UNSUPPORTED_TYPE, UNAVAILABLE)
AFTER_VERIFICATION = ("accepted", "duplicate", IGNORED, "malformed", "unavailable")


def ignored(why: Why) -> Answer:
    return _said(200, IGNORED, status="ignored", reason=why.value)


class Refusal(Exception):
    """The delivery ends here, with this answer. Carries nothing of the request."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.word)
        self.answer = answer
