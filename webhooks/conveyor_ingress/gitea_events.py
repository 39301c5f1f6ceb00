"""Gitea's deliveries, as recorded from 1.26; routed on `X-Gitea-Event-Type`, whose names are the fine ones.

None of them is an authority: a review's has neither state nor commit, a status names no branch, a push lists five
commits at most. So they are only asked what to look at.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, ValidationError

from conveyor.api.annotations import HintClass
from conveyor_ingress.answers import Why
from conveyor_ingress.events import OTHER, ForgeEvent, Malformed, OptionalText, Part, Skipped, Text, hint_value

_HEADS = "refs/heads/"
_PULL_REF = "refs/pull/"

Ref = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^\x00-\x20\x7f~^:?*\[\\]+$")]
Sha = Annotated[str, Field(pattern=r"^[0-9a-f]{40}([0-9a-f]{24})?$")]
Number = Annotated[int, Field(strict=True, ge=1, le=2**53)]


class _Repository(Part):
    id: Number
    full_name: Text


class _Payload(Part):
    repository: _Repository

    def read(self, event: str) -> ForgeEvent | Skipped:
        raise NotImplementedError


class _Push(_Payload):
    ref: Ref
    after: Sha

    def read(self, event: str) -> ForgeEvent | Skipped:
        # A webhook's test delivery has the short name.
        if self.ref.startswith("refs/") and not self.ref.startswith(_HEADS):
            return Skipped(event, Why.REF)
        return _branch_moved(self, event, self.ref.removeprefix(_HEADS), sha=self.after)


class _Create(_Payload):
    ref: Ref
    ref_type: Text
    sha: Sha | None = None  # absent on deletion

    def read(self, event: str) -> ForgeEvent | Skipped:
        if self.ref_type != "branch":
            return Skipped(event, Why.REF)
        return _branch_moved(self, event, self.ref, sha=self.sha or "")


def _branch_moved(payload: _Payload, event: str, branch: str, *, sha: str) -> ForgeEvent:
    """One value for all that say the same: `create` comes with a `push`, a deletion may come with an all-zero one."""
    value = hint_value(branch, branch, sha.strip("0") and sha)
    return ForgeEvent(event, payload.repository.full_name, HintClass.PUSH, value, branch)


class _Head(Part):
    ref: Ref
    label: OptionalText = None
    sha: Sha
    repo_id: Annotated[int, Field(strict=True)]  # -1 when the fork is gone


class _Pull(Part):
    number: Number
    head: _Head
    updated_at: Text
    merged: bool = False

    def branch_in(self, repository: _Repository) -> str | None:
        """The head's branch if it is one of this repository: a fork's is nobody's item, whatever its name."""
        if self.head.repo_id != repository.id:
            return None
        if not self.head.ref.startswith(_PULL_REF):
            return self.head.ref
        return self.head.label  # the branch is gone, only the label keeps its name


class _PullRequest(_Payload):
    action: Text
    pull_request: _Pull

    def read(self, event: str) -> ForgeEvent | Skipped:
        pull = self.pull_request
        return self._about(
            event, HintClass.PULL_REQUEST, pull.number, self.action, pull.head.sha, pull.updated_at, pull.merged
        )

    def _about(self, event: str, hint: HintClass, *identity: object) -> ForgeEvent:
        value = hint_value(f"#{self.pull_request.number}", *identity)
        branch = self.pull_request.branch_in(self.repository)
        return ForgeEvent(event, self.repository.full_name, hint, value, branch)


class _User(Part):
    login: Text


class _ReviewText(Part):
    content: str | None = None


class _Review(_PullRequest):
    sender: _User
    review: _ReviewText | None = None

    def read(self, event: str) -> ForgeEvent | Skipped:
        pull = self.pull_request
        content = self.review.content if self.review else None
        return self._about(
            event, HintClass.REVIEW, pull.number, event, self.sender.login, content, pull.head.sha, pull.updated_at
        )


class _Status(_Payload):
    id: Number
    sha: Sha
    context: Text
    state: Text
    updated_at: OptionalText = None

    def read(self, event: str) -> ForgeEvent | Skipped:
        value = hint_value(self.sha, self.id, self.context, self.state, self.updated_at)
        return ForgeEvent(event, self.repository.full_name, HintClass.CI, value)


class _Other(Part):
    """Any JSON object."""


_PAYLOADS: Mapping[str, type[_Payload]] = {
    "push": _Push,
    "create": _Create,
    "delete": _Create,
    "pull_request": _PullRequest,
    "pull_request_sync": _PullRequest,
    "pull_request_review_request": _PullRequest,
    "pull_request_review_approved": _Review,
    "pull_request_review_rejected": _Review,
    "pull_request_review_comment": _Review,
    "status": _Status,
}
EVENTS = (*_PAYLOADS, OTHER)

_FINE = {
    "pull_request_approved": "pull_request_review_approved",
    "pull_request_rejected": "pull_request_review_rejected",
    "pull_request_comment": "pull_request_review_comment",
}
"""The coarse names of `X-Gitea-Event`, for a server that sends no other: there the last one means a review."""


def parse(headers: Mapping[str, str], body: bytes) -> ForgeEvent | Skipped:
    """Raises Malformed."""
    coarse = headers.get("X-Gitea-Event", "")
    event = headers.get("X-Gitea-Event-Type") or _FINE.get(coarse, coarse)
    if not event:
        raise Malformed
    payload = _PAYLOADS.get(event)
    try:
        if payload is None:
            _Other.model_validate_json(body)
            return Skipped(OTHER, Why.EVENT)
        return payload.model_validate_json(body).read(event)
    except ValidationError as error:
        raise Malformed from error
