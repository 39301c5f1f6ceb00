"""What a reviewer or a tester says on the pull request, once per run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from conveyor.agent.clone import Found
from conveyor.agent.errors import StepFailed
from conveyor.agent.forge_api import ForgeApi, ForgeFailed
from conveyor.agent.git import GitFailed
from conveyor.api.answers import Answer, Review, ReviewComment, ReviewVerdict, Task
from conveyor.api.text import as_markdown

_EVENTS = {
    ReviewVerdict.APPROVE: "APPROVED",
    ReviewVerdict.REQUEST_CHANGES: "REQUEST_CHANGES",
    ReviewVerdict.COMMENT: "COMMENT",
}


def marker(run: str) -> str:
    """Begins everything a run posts. Nobody sees it, and text of an agent cannot contain it: that is escaped."""
    return f"<!-- conveyor-run: {run} -->"


def post_review(api: ForgeApi, task: Task, review: Review, *, found: Found) -> None:
    """Post the review of the commit that clone found, unless this run has already. Raises StepFailed."""
    sha, path = found.head(), f"/pulls/{_number(task)}/reviews"
    inline = [comment for comment in review.comments if _has_line(found, sha, comment)]
    rest = [comment for comment in review.comments if comment not in inline]
    body = {
        "event": _EVENTS[review.verdict],
        "commit_id": sha,
        "body": _body(task, review.body, rest),
        "comments": [
            {"path": comment.path, "new_position": comment.line, "body": as_markdown(comment.body)}
            for comment in inline
        ],
    }
    _post_once(api, path, body, is_ours=lambda one: one.get("commit_id") == sha and _is_of(task, one))


def post_report(api: ForgeApi, task: Task, answer: Answer) -> None:
    """Post a tester's summary as a comment, unless this run has already. Raises StepFailed."""
    head = f"Tests: **{answer.verdict}**"
    body = {"body": f"{marker(task.run)}\n{head}\n\n{as_markdown(answer.summary)}"}
    _post_once(api, f"/issues/{_number(task)}/comments", body, is_ours=lambda one: _is_of(task, one))


def _number(task: Task) -> int:
    if task.pull_request_number is None:
        raise StepFailed(f"the task of a {task.role} names no pull request")
    return task.pull_request_number


def _is_of(task: Task, posted: dict[str, Any]) -> bool:
    return str(posted.get("body", "")).startswith(marker(task.run))


def _post_once(api: ForgeApi, path: str, body: object, *, is_ours: Callable[[dict[str, Any]], bool]) -> None:
    def is_there() -> bool:
        return any(is_ours(one) for one in api.pages(path))

    if is_there():
        return
    try:
        api.post(path, body)
    except ForgeFailed:
        if not is_there():  # else only the answer was lost
            raise


def _body(task: Task, text: str, rest: list[ReviewComment]) -> str:
    """The review's text, and below it the comments on places the commit does not have."""
    parts = [as_markdown(text)] if text.strip() else []
    parts += [f"{as_markdown(f'{one.path}:{one.line}')}: {as_markdown(one.body)}" for one in rest]
    return "\n\n".join([marker(task.run), *parts])


def _has_line(found: Found, sha: str, comment: ReviewComment) -> bool:
    """Whether the commit has that line. Gitea fails half way, with a review begun, on one that it cannot find."""
    if "\n" in comment.path:
        return False
    try:
        answer = found.run(
            "cat-file", "--batch", stdin=f"{sha}:{comment.path}\n".encode(), what="a file cannot be read"
        )
    except GitFailed:  # larger than what we read
        return False
    head, _, content = answer.partition(b"\n")
    return head.split(b" ")[1:2] == [b"blob"] and comment.line <= len(content[:-1].splitlines())
