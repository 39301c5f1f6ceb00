"""`show`: everything of one item, a section for each of its parts that are there."""

from __future__ import annotations

from collections.abc import Callable

from conveyor.api.objects import Repository, WorkItem
from conveyor.api.workitem import Gate
from conveyor.cli.hints import scoped
from conveyor.cli.items import dependencies_of
from conveyor.cli.sheet import Card, Column, Listing, Row, Section, Sheet
from conveyor.pipeline.budgets import NOT_IN_TOTAL, cap
from conveyor.pipeline.gates import GATES_TO_LEAVE
from conveyor.pipeline.words import NOT_CONFIGURED

SHORT = 12
"""Characters of a commit id that a table shows."""


def show(item: WorkItem, repository: Repository | None, *, scope: str = "") -> Sheet:
    """Without its Repository an item has no caps to show. `scope`: what printed commands need to mean the same item."""
    parts = (_work, _monitor, _approval, _transition, _gates, _runs)
    found = [_item(item, scope), *(part(item) for part in parts)]
    rest = (_budget(item, repository), _history(item), _requests(item))
    return tuple(section for section in (*found, *rest) if _has_content(section))


def _has_content(section: Section) -> bool:
    if isinstance(section, Listing):
        return bool(section.rows)
    return any(value not in (None, "") for value in section.row.values())


def _card(key: str, *fields: tuple[str, str], title: str = "") -> Callable[[Row], Card]:
    """A maker of cards; a field that a row lacks is empty."""
    columns = tuple(Column(name, field, style="red" if field == "stalled" else "") for name, field in fields)
    empty = {column.key: None for column in columns}
    return lambda row: Card(key, columns, {**empty, **row}, title=title)


_ITEM = _card(
    "item",
    ("Name", "name"),
    ("Namespace", "namespace"),
    ("Key", "key"),
    ("Title", "title"),
    ("Ticket", "ticket"),
    ("Repository", "repository"),
    ("Priority", "priority"),
    ("Depends on", "dependsOn"),
    ("Stage", "stage"),
    ("Since", "stageEnteredTime"),
    ("Waiting", "waiting"),
    ("On", "on"),
    ("Message", "message"),
    ("Stalled", "stalled"),
    ("Held", "held"),
    ("Question", "question"),
    ("Created", "creationTimestamp"),
)


def _item(item: WorkItem, scope: str) -> Card:
    spec, status = item.spec, item.status
    names = (item.name, spec.repository_ref.name)
    waiting, source, last = status.waiting, spec.source, status.last_run
    on = waiting.on if waiting is not None else None
    return _ITEM(
        {
            "name": item.name,
            "namespace": item.metadata.namespace,
            "key": item.key,
            "title": spec.title,
            "ticket": source.url if source is not None else None,
            "repository": spec.repository_ref.name,
            "priority": spec.priority,
            "dependsOn": ", ".join(dependencies_of(item)),
            "stage": status.stage,
            "stageEnteredTime": status.stage_entered_time,
            "waiting": waiting.reason if waiting is not None else None,
            "on": f"{on.kind} {on.name}" if on is not None else None,
            "message": scoped(waiting.message, names, scope) if waiting is not None else None,
            "stalled": status.stalled,
            "held": _held(item),
            "question": last.question if last is not None else None,
            "creationTimestamp": item.metadata.creation_timestamp,
        }
    )


def _held(item: WorkItem) -> str:
    words = {"spec.suspend": item.spec.suspend, "spec.cancel": item.spec.cancel}
    words["it is being deleted"] = item.metadata.deletion_timestamp is not None
    return ", ".join(word for word, holds in words.items() if holds)


_WORK = _card(
    "work",
    ("Branch", "branch"),
    ("Base", "base"),
    ("Head", "headSHA"),
    ("Pull request", "pullRequest"),
    ("Merged as", "mergeSHA"),
    ("Image", "image"),
    ("Revision", "revision"),
    title="Work",
)


def _work(item: WorkItem) -> Card:
    status = item.status
    pull = status.pull_request
    base = f"{status.base_branch} at {(status.base_sha or '')[:SHORT]}" if status.base_branch else None
    return _WORK(
        {
            "branch": status.branch,
            "base": base,
            "headSHA": status.head_sha,
            "pullRequest": f"#{pull.number} {pull.url}" if pull is not None else None,
            "mergeSHA": status.merge_sha,
            "image": status.image,
            "revision": status.revision,
        }
    )


_MONITOR = _card(
    "monitor",
    ("Verdict", "verdict"),
    ("Until", "untilTime"),
    ("Failed", "failures"),
    ("Found", "message"),
    ("Freeze", "freezeID"),
    title="Watch over the deploy",
)


def _monitor(item: WorkItem) -> Card:
    found = item.status.monitor
    if found is None:
        return _MONITOR({})
    return _MONITOR(
        {
            "verdict": found.verdict,
            "untilTime": found.until_time,
            "failures": found.failures or None,
            "message": found.message,
            "freezeID": found.freeze_id,
        }
    )


_APPROVAL = _card(
    "approval", ("Gate", "gate"), ("Commit", "headSHA"), ("Opened", "openedTime"), title="A person has to approve"
)


def _approval(item: WorkItem) -> Card:
    found = item.status.approval
    if found is None:
        return _APPROVAL({})
    return _APPROVAL({"gate": found.gate, "headSHA": found.head_sha, "openedTime": found.opened_time})


_TRANSITION = _card(
    "transition",
    ("Effect", "effect"),
    ("To", "to"),
    ("Phase", "phase"),
    ("Job", "job"),
    ("Holder", "holder"),
    ("Deadline", "deadlineTime"),
    ("Id", "id"),
    title="Side effect under way",
)


def _transition(item: WorkItem) -> Card:
    found = item.status.transition
    if found is None:
        return _TRANSITION({})
    return _TRANSITION(
        {
            "effect": found.effect,
            "to": found.to_stage,
            "phase": found.phase,
            "job": found.job.name if found.job is not None else None,
            "holder": found.holder,
            "deadlineTime": found.deadline_time,
            "id": found.id,
        }
    )


_GATES = (
    Column("GATE", "name"),
    Column("STATE", "state"),
    Column("COMMIT", "commit"),
    Column("CHECKED", "checkedTime"),
    Column("REASON", "reason", flexible=True),
)


def _gates(item: WorkItem) -> Listing:
    """All on record, and those that the stage still has to ask."""
    status = item.status
    rows: list[Row] = [
        {
            "name": gate.name,
            "state": _state(gate),
            "commit": gate.head_sha[:SHORT],
            "checkedTime": gate.checked_time,
            "reason": gate.reason,
        }
        for gate in status.gates
    ]
    ahead = GATES_TO_LEAVE.get(status.stage, ()) if status.stage is not None else ()
    rows += [
        {"name": name, "state": "not asked yet", "commit": None, "checkedTime": None, "reason": None}
        for name in ahead
        if status.gate(name) is None
    ]
    return Listing("gates", _GATES, tuple(rows), title="Gates")


def _state(gate: Gate) -> str:
    """A gate that nobody asked for holds nothing back, and has not passed either."""
    if gate.passed and gate.reason == NOT_CONFIGURED.reason:
        return "not configured"
    return "passed" if gate.passed else "open"


_RUNS = (
    Column("RUN", "name"),
    Column("ROLE", "role"),
    Column("STAGE", "stage"),
    Column("ATTEMPT", "attempt"),
    Column("VERDICT", "verdict"),
    Column("STARTED", "startedTime"),
    Column("FINISHED", "finishedTime"),
    Column("SUMMARY", "summary", flexible=True),
)


def _runs(item: WorkItem) -> Listing:
    """The one at work and the newest finished one; the status keeps no others."""
    active, last = item.status.active_run, item.status.last_run
    rows: list[Row] = []
    if active is not None:
        rows.append(
            {
                "name": active.name,
                "role": active.role,
                "stage": active.stage,
                "attempt": active.attempt,
                "verdict": "at work",
                "startedTime": active.started_time,
                "finishedTime": None,
                "summary": active.reason,
            }
        )
    if last is not None:
        rows.append(
            {
                "name": last.name,
                "role": last.role,
                "stage": last.stage,
                "attempt": None,
                "verdict": last.verdict,
                "startedTime": last.started_time,
                "finishedTime": last.finished_time,
                "summary": last.summary,
            }
        )
    return Listing("runs", _RUNS, tuple(rows), title="Runs")


_BUDGET = (
    Column("CAUSE", "cause"),
    Column("USED", "count"),
    Column("CAP", "cap"),
    Column("COMMIT", "commit"),
)


def _budget(item: WorkItem, repository: Repository | None) -> Listing:
    used = [attempt for attempt in item.status.attempts if attempt.count]
    rows: list[Row] = [
        {
            "cause": attempt.cause,
            "count": attempt.count,
            "cap": cap(repository.spec, attempt.cause) if repository is not None else None,
            "commit": attempt.sha[:SHORT],
        }
        for attempt in used
    ]
    if rows:
        total = sum(attempt.count for attempt in used if attempt.cause not in NOT_IN_TOTAL)
        limit = repository.spec.cap_total if repository is not None else None
        rows.append({"cause": "total", "count": total, "cap": limit, "commit": None})
    return Listing("budget", _BUDGET, tuple(rows), title="Rework charged")


_HISTORY = (
    Column("FROM", "from"),
    Column("TO", "to"),
    Column("AGE", "time"),
    Column("BY", "actor"),
    Column("CAUSE", "cause", flexible=True),
)


def _history(item: WorkItem) -> Listing:
    rows: list[Row] = [
        {
            "from": entry.from_stage,
            "to": entry.to_stage,
            "time": entry.time,
            "actor": entry.actor,
            "cause": entry.cause,
        }
        for entry in item.status.history
    ]
    return Listing("history", _HISTORY, tuple(rows), title="History")


_REQUESTS = (
    Column("VERB", "verb"),
    Column("ID", "id"),
    Column("AGE", "time"),
    Column("RESULT", "result", flexible=True),
)


def _requests(item: WorkItem) -> Listing:
    rows: list[Row] = [
        {"verb": entry.verb, "id": entry.id, "time": entry.time, "result": entry.result}
        for entry in item.status.handled_requests
    ]
    return Listing("requests", _REQUESTS, tuple(rows), title="Requests answered")
