"""What the forge's reviews say about one commit: an approval counts for the commit that it names."""

from __future__ import annotations

from conveyor.api.workitem import WaitingReason
from conveyor.pipeline.case import Case
from conveyor.pipeline.facts import ForgeReview, Unknown
from conveyor.pipeline.words import Failed, NotEvaluated, Passed, Word, unreadable


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
    return NotEvaluated(f"{len(good)} of {needed} approvals of this commit, by {whose}"[:256], WaitingReason.REVIEW)


def carried_heads(case: Case, head: str) -> frozenset[str]:
    """Earlier heads whose review still speaks about `head`: our own rebase with an unchanged change."""
    match case.facts.change_id:
        case str() as change if change:
            return frozenset(
                gate.head_sha
                for gate in case.status.gates
                if gate.name == "review_approved" and gate.change_id == change
            ) - {head}
        case _:
            return frozenset()


def _agent_reviewer(case: Case) -> frozenset[str]:
    return frozenset({case.policy.reviewer_login}) if case.policy.reviewer_login else frozenset()
