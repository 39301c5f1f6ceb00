"""What the forge's reviews say about one commit: an approval counts for the commit that it names."""

from __future__ import annotations

from conveyor.api.workitem import Gate, WaitingReason, WorkItemStatus
from conveyor.pipeline.case import Case
from conveyor.pipeline.facts import ForgeReview, Unknown
from conveyor.pipeline.words import Failed, NotEvaluated, Passed, Word, change_id, unreadable

REVIEW_APPROVED = "review_approved"


def review_approved(case: Case) -> Word:
    match case.facts.pull:
        case Unknown() as unknown:
            return unreadable(unknown)
        case None:
            return NotEvaluated("there is no pull request", WaitingReason.FORGE)
        case pull:
            pass
    match case.facts.reviews:
        case Unknown() as unknown:
            return unreadable(unknown)
        case reviews:
            return review_word(
                reviews,
                head=pull.head_sha,
                carried=carried_heads(case, pull.head_sha),
                needed=case.spec.gates.review.approvals,
                reviewers=frozenset(case.spec.gates.review.reviewers) | _agent_reviewer(case),
                excluded=case.policy.agent_logins - _agent_reviewer(case),
            )


def review_word(
    reviews: tuple[ForgeReview, ...],
    *,
    head: str,
    carried: frozenset[str],
    needed: int,
    reviewers: frozenset[str],
    excluded: frozenset[str],
) -> Word:
    """The newest word of each reviewer; an approval counts for the head, or a commit with the same change, alone.

    Approvals count from `reviewers` alone, change requests from whoever has a say on the forge; `excluded` has neither.
    """
    newest: dict[str, ForgeReview] = {}
    for review in reviews:
        if review.state in ("APPROVED", "REQUEST_CHANGES") and review.author not in excluded and not review.dismissed:
            newest[review.author] = review
    weighty = {author: review for author, review in newest.items() if review.official or author in reviewers}
    against = sorted(author for author, review in weighty.items() if review.state == "REQUEST_CHANGES")
    if against:
        return Failed(f"changes requested by {', '.join(against)}"[:256])
    good = [
        author
        for author, review in newest.items()
        if author in reviewers and review.official and (review.commit == head or review.commit in carried)
    ]
    if len(good) >= needed:
        return Passed(f"approved by {', '.join(sorted(good))}"[:256])
    whose = ", ".join(sorted(reviewers)) or "nobody: no reviewer is known"
    others = sorted((reviewers & newest.keys()) - set(good))
    older = "".join(f"; {author} approved {newest[author].commit[:12]}" for author in others if newest[author].official)
    text = f"{len(good)} of {needed} approvals of {head[:12]}, by {whose}{older}"
    return NotEvaluated(text[:256], WaitingReason.REVIEW)


def carried_heads(case: Case, head: str) -> frozenset[str]:
    """The earlier head whose reviews still speak about `head`: ours brought it there, by a rebase of the same change.

    Only our own rebase keeps the gate's record: with any other head on record it is gone, see `unreviewed`.
    """
    gate, change = case.status.gate(REVIEW_APPROVED), change_id(case)
    if gate is None or case.status.head_sha != head or not change or gate.change_id != change:
        return frozenset()
    return frozenset({gate.head_sha}) - {head}


def reviewed_head(old: Gate | None, *, head: str, change: str) -> str:
    """The commit that the gate's record names: through our own rebase the one that was reviewed."""
    return old.head_sha if old is not None and change and old.change_id == change else head


def unreviewed(status: WorkItemStatus) -> WorkItemStatus:
    """For a head that is not our rebase of the last one: what was said about that speaks no more."""
    gates = tuple(gate for gate in status.gates if gate.name != REVIEW_APPROVED)
    return status.model_copy(update={"gates": gates})


def _agent_reviewer(case: Case) -> frozenset[str]:
    return frozenset({case.policy.reviewer_login}) if case.policy.reviewer_login else frozenset()
