"""Annotation, label and finalizer keys, and what the values of a person's requests look like."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

GROUP = "conveyor.dev"
VERSION = "v1alpha1"

FREEZE = f"{GROUP}/freeze"
FREEZE_UNTIL = f"{GROUP}/freeze-until"
FREEZE_SCOPE = f"{GROUP}/freeze-scope"

REQUEST_PREFIX = f"request.{GROUP}/"
HINT_PREFIX = f"hint.{GROUP}/"

LABEL_WORKITEM = f"{GROUP}/workitem"
LABEL_WORKITEM_UID = f"{GROUP}/workitem-uid"
LABEL_REPOSITORY = f"{GROUP}/repository"
LABEL_STAGE = f"{GROUP}/stage"
LABEL_ROLE = f"{GROUP}/role"
LABEL_ATTEMPT = f"{GROUP}/attempt"
LABEL_EFFECT = f"{GROUP}/effect"

TASK_ANNOTATION = f"{GROUP}/task"
"""On a run's Job template: the task file, brought into the pod through the downward API (at most 64 KiB)."""

RESULT_FINALIZER = f"{GROUP}/result"
"""On an effect Job until its result is stored in the item."""
TRANSITION_FINALIZER = f"{GROUP}/transition"
"""On an item from its first intent to its last result: what it began is finished or ended before it goes."""
ITEMS_FINALIZER = f"{GROUP}/items"
"""On a Repository while items of it are under way or an automatic freeze stands."""


class HintClass(StrEnum):
    """What a hint says may have changed."""

    PUSH = "push"
    CI = "ci"
    REVIEW = "review"
    PULL_REQUEST = "pull-request"
    TICKET = "ticket"


class Verb(StrEnum):
    """What a person can ask for once, by annotation."""

    APPROVE = "approve"
    REJECT = "reject"
    RESUME = "resume"
    RETRY = "retry"
    REWORK = "rework"
    REFRESH = "refresh"
    RELEASE_LEASE = "release-lease"
    OVERRIDE = "override"
    UNFREEZE = "unfreeze"


_VERBS = frozenset(verb.value for verb in Verb)
_HINTS = frozenset(hint.value for hint in HintClass)

MAX_REQUEST_LENGTH = 1024
_BLANKS = " \t\n\f\r"
"""What separates the parts: as the admission policy on overrides, which sees who asks, has it in RE2."""
_REQUEST = re.compile(
    rf"(?P<id>[A-Za-z0-9][A-Za-z0-9._-]{{0,63}})(?:[{_BLANKS}]+by=(?P<by>[^{_BLANKS}]{{1,128}}))?"
    rf"(?:[{_BLANKS}]+(?P<text>.*))?",
    re.DOTALL,
)


@dataclass(frozen=True)
class Request:
    """A person's verb as read from an annotation: `<id> [by=<user>] [text]`."""

    verb: Verb
    id: str
    by: str
    text: str


def parse_request(key: str, value: str) -> Request | None:
    """The request in one annotation, or None where key or value is not one."""
    if not key.startswith(REQUEST_PREFIX) or len(value) > MAX_REQUEST_LENGTH:
        return None
    name = key.removeprefix(REQUEST_PREFIX)
    match = _REQUEST.fullmatch(value.strip(_BLANKS))
    if match is None or name not in _VERBS:
        return None
    return Request(verb=Verb(name), id=match["id"], by=match["by"] or "", text=(match["text"] or "").strip())


def requests(annotations: Mapping[str, str]) -> tuple[Request, ...]:
    """All readable requests of an object, by verb name, so that everybody handles them in one order."""
    found = (parse_request(key, annotations[key]) for key in sorted(annotations))
    return tuple(request for request in found if request is not None)


def hints(annotations: Mapping[str, str]) -> dict[HintClass, str]:
    """The hints of an object: class to the semantic key of the newest event."""
    found = {}
    for key, value in annotations.items():
        name = key.removeprefix(HINT_PREFIX)
        if key.startswith(HINT_PREFIX) and name in _HINTS:
            found[HintClass(name)] = value
    return found
