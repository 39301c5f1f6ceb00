"""The gates: each looks at facts and says whether it holds for a commit. Adding one is an entry and a function.

A gate that cannot be evaluated has not passed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from conveyor.api.names import document_folder
from conveyor.api.stages import Stage
from conveyor.api.workitem import Gate, WaitingReason, WorkItemStatus
from conveyor.pipeline.case import Case
from conveyor.pipeline.ci_gate import REBASED, ci_green
from conveyor.pipeline.coverage import coverage_ratchet, is_testers_pass
from conveyor.pipeline.facts import ChangedFile, Ticket, Unknown
from conveyor.pipeline.job_gates import image_fresh, staging_healthy
from conveyor.pipeline.review_gate import REVIEW_APPROVED, review_approved, reviewed_head
from conveyor.pipeline.words import (
    AUTO,
    Failed,
    GateFunction,
    NotEvaluated,
    Passed,
    Word,
    approved_by_a_person,
    change_id,
    head_sha,
    unreadable,
)

BRANCH_MERGEABLE = "branch_mergeable"
MOVED, MOVED_AGAIN = "the base has moved", "the base has moved again"
CONFLICT = "the base conflicts: "
"""How the reason of `branch_mergeable` begins where our rebase met a conflict."""
CARRIED = ("coverage_ratchet", "deploy_approved", "tests_passed")
"""What our own rebase puts on record for the new head; of a review see `review_gate`."""


def analysis_complete(case: Case) -> Word:
    folder = document_folder(case.item.key)

    def counts(path: str) -> bool:
        rest = path.removeprefix(folder)
        return path.startswith(folder) and not rest.startswith(("06-adr/", "07-"))

    return _documents(case, counts, f"no file was added or changed under {folder}")


def architecture_documented(case: Case) -> Word:
    folder = document_folder(case.item.key)

    def counts(path: str) -> bool:
        return path.startswith(f"{folder}06-adr/") or path == f"{folder}07-infra-requirements.md"

    return _documents(case, counts, f"no decision record was added or changed under {folder}06-adr/")


def _documents(case: Case, counts: Callable[[str], bool], missing: str) -> Word:
    match case.facts.changed:
        case Unknown() as unknown:
            return unreadable(unknown)
        case files:
            good = [file for file in files if _stays(file) and counts(file.path)]
            return Passed(good[0].path[:200]) if good else Failed(missing)


def _stays(file: ChangedFile) -> bool:
    return file.status not in ("removed", "deleted")


def pull_request_open(case: Case) -> Word:
    match case.facts.pull:
        case Unknown() as unknown:
            return unreadable(unknown)
        case None:
            return NotEvaluated("there is no pull request", WaitingReason.FORGE)
        case pull:
            if pull.state == "open":
                return Passed(f"#{pull.number}")
            return NotEvaluated(f"#{pull.number} is {pull.state}", WaitingReason.FORGE)


def tests_passed(case: Case) -> Word:
    """The tester's word for this very head; our own rebase puts it on record for the new one."""
    head, last = head_sha(case), case.status.last_run
    if not head:
        return NotEvaluated("the commit tested could not be read", WaitingReason.FORGE, unread=True)
    if is_testers_pass(last) and last is not None and last.sha == head:
        return Passed("the tester's answer")
    recorded = case.status.gate("tests_passed")
    if recorded is not None and recorded.passed and recorded.head_sha == head:
        return Passed(recorded.reason)
    return NotEvaluated("the tester has not passed this commit", WaitingReason.RUN)


def analysis_approved(case: Case) -> Word:
    return _approved(case, "analysis_approved", auto=case.spec.gates.approval.analysis == "Auto")


def deploy_approved(case: Case) -> Word:
    return _approved(case, "deploy_approved", auto=case.spec.gates.approval.deploy == "Auto")


def _approved(case: Case, name: str, *, auto: bool) -> Word:
    """A person's recorded verdict, by verb or ticket (`people`), for this very head; our own rebase carries it."""
    if auto:
        return AUTO
    recorded = case.status.gate(name)
    head = head_sha(case)
    if not head:
        return NotEvaluated("the commit to approve could not be read", WaitingReason.FORGE, unread=True)
    if recorded is None or not approved_by_a_person(recorded) or recorded.head_sha != head:
        return NotEvaluated("a person has to approve", WaitingReason.APPROVAL)
    match case.facts.ticket:
        case Ticket() as ticket if recorded.text_digest and recorded.text_digest != ticket.text_digest:
            return NotEvaluated("the ticket was edited since it was approved", WaitingReason.APPROVAL)
        case _:
            return Passed(recorded.reason)


def branch_mergeable(case: Case) -> Word:
    """The head contains the base's newest commit, so that the base can be fast-forwarded to exactly it."""
    match case.facts.base_in_head:
        case Unknown() as unknown:
            return unreadable(unknown)
        case True:
            return Passed("the head contains the base")
        case _:
            return Failed(MOVED_AGAIN if _was_mergeable(case) else MOVED)


def _was_mergeable(case: Case) -> bool:
    """Whether this very head could be merged before, and the base has moved since."""
    before = case.status.gate(BRANCH_MERGEABLE)
    return before is not None and before.head_sha == head_sha(case) and (before.passed or before.reason == MOVED_AGAIN)


GATES: Mapping[str, GateFunction] = {
    "analysis_complete": analysis_complete,
    "analysis_approved": analysis_approved,
    "architecture_documented": architecture_documented,
    "pull_request_open": pull_request_open,
    "ci_green": ci_green,
    "review_approved": review_approved,
    "tests_passed": tests_passed,
    "deploy_approved": deploy_approved,
    "branch_mergeable": branch_mergeable,
    "image_fresh": image_fresh,
    "staging_healthy": staging_healthy,
    "coverage_ratchet": coverage_ratchet,
}

GATES_TO_LEAVE: Mapping[Stage, tuple[str, ...]] = {
    Stage.ANALYSIS: ("analysis_complete", "analysis_approved"),
    Stage.ARCHITECTURE: ("architecture_documented",),
    Stage.DEVELOPMENT: ("pull_request_open", "ci_green"),
    Stage.REVIEW: ("review_approved",),
    Stage.TESTING: ("tests_passed",),
    Stage.DEPLOY_STAGING: (
        "pull_request_open",
        "ci_green",
        "review_approved",
        "tests_passed",
        "deploy_approved",
        "branch_mergeable",
        "image_fresh",
        "staging_healthy",
        "coverage_ratchet",
    ),
}
"""What must hold to go on from a stage; before the merge everything that speaks about the head once more."""


def evaluate(case: Case, stage: Stage) -> tuple[tuple[str, Word], ...]:
    """The words of a stage's gates in order, up to and with the first that has not passed."""
    words: list[tuple[str, Word]] = []
    for name in GATES_TO_LEAVE[stage]:
        word = GATES[name](case)
        words.append((name, word))
        match word:
            case Passed():
                continue
            case Failed() | NotEvaluated():
                break
    return tuple(words)


def first_open(words: tuple[tuple[str, Word], ...]) -> tuple[str, Failed | NotEvaluated] | None:
    """The gate that holds the item, None where all passed."""
    for name, word in words:
        match word:
            case Passed():
                continue
            case Failed() | NotEvaluated():
                return name, word
    return None


def recorded(case: Case, status: WorkItemStatus, words: tuple[tuple[str, Word], ...]) -> WorkItemStatus:
    """The status with these words in it; one that has not changed keeps its time, so that nothing is written for it."""
    gates = {gate.name: gate for gate in status.gates}
    head, change = head_sha(case), change_id(case)
    for name, word in words:
        if isinstance(word, NotEvaluated) and (word.unread or word.needs is not None):
            continue
        old = gates.get(name)
        new = Gate(
            name=name,
            passed=isinstance(word, Passed),
            head_sha=reviewed_head(old, head=head, change=change) if name == REVIEW_APPROVED else head,
            change_id=change,
            text_digest=old.text_digest if old is not None else "",
            reason=word.reason[:256],
            checked_time=case.now,
        )
        same = old is not None and (old.passed, old.head_sha, old.reason) == (new.passed, new.head_sha, new.reason)
        if not same or (old is not None and change and old.change_id != change):
            gates[name] = new
    return status.model_copy(update={"gates": tuple(gates[name] for name in sorted(gates))})


def rebased(status: WorkItemStatus, *, to: str, on: str, now: datetime) -> WorkItemStatus:
    """The status after our own rebase of the head on record to `to`: what outlives it, and the re-test's beginning."""
    kept = [
        gate.model_copy(update={"head_sha": to}) if gate.name in CARRIED and gate.head_sha == status.head_sha else gate
        for gate in status.gates
        if gate.name != BRANCH_MERGEABLE
    ]
    mergeable = Gate(
        name=BRANCH_MERGEABLE,
        passed=True,
        head_sha=to,
        change_id=status.change_id or "",
        reason=f"{REBASED}{on[:12]}",
        checked_time=now,
    )
    gates = tuple(sorted([*kept, mergeable], key=lambda gate: gate.name))
    return status.model_copy(update={"head_sha": to, "base_sha": on, "gates": gates})


def conflicting(case: Case, reason: str) -> WorkItemStatus:
    """The status with a conflict as the last word on whether the head can be merged."""
    return recorded(case, case.status, ((BRANCH_MERGEABLE, Failed(f"{CONFLICT}{reason}")),))


def is_conflicting(case: Case) -> bool:
    """Whether a rebase of this very head met a conflict."""
    last = case.status.gate(BRANCH_MERGEABLE)
    return last is not None and last.head_sha == head_sha(case) and last.reason.startswith(CONFLICT)
