"""The task file of a run: what an agent is told. Ticket text is data here, cut to what a pod's annotation may hold."""

from __future__ import annotations

from conveyor.api.answers import MAX_TASK_BYTES, Task, TaskComment, TaskLinks
from conveyor.api.names import document_folder
from conveyor.api.objects import Repository, WorkItem
from conveyor.api.stages import WRITERS
from conveyor.api.workitem import ActiveRun
from conveyor.pipeline.facts import ForgeReview, Ticket, TicketComment

MAX_TITLE, MAX_URL = 1024, 2048
MAX_DESCRIPTION = 32 * 1024
MAX_COMMENTS = 16 * 1024
MAX_REASON = 6 * 1024
"""Characters of up to four bytes each are cut once more, by bytes, in `fit`."""


def build_task(
    item: WorkItem,
    repository: Repository,
    run: ActiveRun,
    *,
    ticket: Ticket | None,
    comments: tuple[TicketComment, ...],
    reviews: tuple[ForgeReview, ...],
) -> str:
    """The task as JSON of at most 64 KiB. A reviewer or tester gets no text of the role it judges."""
    judges = run.role not in WRITERS
    status, pull = item.status, item.status.pull_request
    task = Task(
        item=item.name,
        uid=item.metadata.uid,
        key=item.key,
        run=run.name,
        repository=repository.name,
        role=run.role,
        stage=run.stage,
        attempt=run.attempt,
        branch=status.branch or "",
        base_branch=status.base_branch or "",
        base_sha=status.base_sha or "",
        documents=document_folder(item.key),
        title=(ticket.name if ticket is not None else item.spec.title or "")[:MAX_TITLE],
        description=(ticket.text if ticket is not None else item.spec.description or "")[:MAX_DESCRIPTION],
        reason="" if judges else _reason(run.reason, reviews)[:MAX_REASON],
        links=TaskLinks(
            ticket=ticket.url[:MAX_URL] if ticket is not None else "",
            pull_request=pull.url if pull is not None else "",
            repository=f"{repository.spec.forge.url.rstrip('/')}/{repository.spec.forge.owner}/{repository.spec.forge.name}",
        ),
        pull_request_number=pull.number if pull is not None else None,
        comments=() if judges else _newest(comments),
    )
    return fit(task)


def _reason(reason: str, reviews: tuple[ForgeReview, ...]) -> str:
    """Why the role works again, with what the reviewers wrote."""
    if not reason:
        return ""
    asked = [f"{review.author}: {review.body}" for review in reviews if review.state == "REQUEST_CHANGES"]
    return "\n\n".join([reason, *asked[-3:]])


def _newest(comments: tuple[TicketComment, ...]) -> tuple[TaskComment, ...]:
    kept: list[TaskComment] = []
    left = MAX_COMMENTS
    for comment in reversed(comments):
        left -= len(comment.text)
        if left < 0:
            break
        kept.append(TaskComment(author=comment.author, time=comment.time, text=comment.text))
    return tuple(reversed(kept))


def fit(task: Task) -> str:
    """As JSON within the limit: comments go first, then the description's end."""
    text = _dump(task)
    if len(text.encode()) > MAX_TASK_BYTES and task.comments:
        return fit(task.model_copy(update={"comments": ()}))
    if len(text.encode()) > MAX_TASK_BYTES and task.description:
        return fit(task.model_copy(update={"description": task.description[: len(task.description) // 2]}))
    return text


def _dump(task: Task) -> str:
    return task.model_dump_json(by_alias=True, exclude_none=True)
