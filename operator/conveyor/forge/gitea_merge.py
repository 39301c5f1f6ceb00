"""What Gitea's answer to a merge call means: its 405 and its 500 stand for very different things."""

from __future__ import annotations

from conveyor.web.answer import Answer
from conveyor.web.errors import Ambiguous, Conflict, Refused, Unavailable

ANSWERS = (200, 405, 409, 500)
"""What `raise_for` takes; every other status has its usual meaning."""

_TRY_LATER = "Please try again later"
_ALREADY_MERGED = "already merged"
_BASE_MOVED = "DivergingFastForwardOnly"
_BLOCKED = "is blocked by an open dependency"


def raise_for(answer: Answer) -> None:
    """Return where Gitea says it is merged, which is no proof.

    405 "try again later" is the recheck after any push, and also a conflict, for ever: the caller must stop asking.
    A base that moved is answered with 500, as is nearly everything Gitea did not foresee, and whose token is not a site
    administrator's is not told which (services/context/api.go, apiErrorInternal).
    """
    if answer.status == 200:
        return
    reason = answer.reason()
    message = f"{answer.subject} answered {answer.status}: {reason or 'without a reason'}"
    if answer.status == 409 or _ALREADY_MERGED in reason or (answer.status == 500 and _BASE_MOVED in reason):
        raise Conflict(message, status=answer.status)
    if answer.status == 405 and _TRY_LATER in reason:
        raise Unavailable(message, status=405)
    if answer.status == 405 or _BLOCKED in reason:
        raise Refused(message, status=answer.status)
    raise Ambiguous(message, status=answer.status)
