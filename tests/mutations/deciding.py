"""Bugs about decisions: what may be merged, and what must not be believed."""

from __future__ import annotations

from tests.mutations.seed import Bug, engine, pipeline

GATES, LANDING = "operator/conveyor/pipeline/gates.py", "operator/conveyor/pipeline/landing.py"

DECIDING = (
    Bug(
        "a review of another commit is accepted",
        "what is merged was approved",
        "operator/conveyor/pipeline/review_gate.py",
        " and review.official and (review.commit == head or review.commit in carried)\n",
        " and review.official\n",
        pipeline("gates"),
    ),
    Bug(
        "a person's approval of another commit is accepted",
        "what is merged was approved",
        GATES,
        "if recorded is None or not approved_by_a_person(recorded) or recorded.head_sha != head:",
        "if recorded is None or not approved_by_a_person(recorded):",
        pipeline("gates"),
    ),
    Bug(
        "the tests of another commit are accepted",
        "what is merged was tested",
        GATES,
        "if recorded is not None and recorded.passed and recorded.head_sha == head:",
        "if recorded is not None and recorded.passed:",
        pipeline("gates"),
    ),
    Bug(
        "what cannot be read passes a gate",
        "unknown never counts as yes",
        "operator/conveyor/pipeline/words.py",
        '    return NotEvaluated(f"{fact.on} could not be read: {fact.reason}", waiting, unread=True)\n',
        "    return Passed(waiting.value)\n",
        pipeline("rebase"),
    ),
    Bug(
        "a head that somebody pushed is taken for our own rebase",
        "what is merged was reviewed",
        "operator/conveyor/pipeline/rebasing.py",
        "case change if has_base and change == want.change_id:",
        "case change if has_base:",
        pipeline("rebase"),
    ),
    Bug(
        "the base has moved, and the merge is sent",
        "what is merged was tested on its base",
        "operator/conveyor/pipeline/merging.py",
        "case base if base != transition.precondition.base_sha:",
        "case None:",
        pipeline("deploy"),
    ),
    Bug(
        "a freeze whose end cannot be read is none",
        "doubt about a freeze keeps a repository closed",
        "operator/conveyor/pipeline/lane.py",
        "        if until is None:\n            reason = ",
        "        if until is None:\n            return None\n            reason = ",
        pipeline("lane"),
    ),
    Bug(
        "a freeze does not stop a merge",
        "nothing is merged in a freeze of merges",
        LANDING,
        "    return _frozen(judged) or _merge(judged)\n",
        "    return _merge(judged)\n",
        pipeline("deploy"),
    ),
    Bug(
        "a merge is intended by a cached Repository",
        "a freeze stops a merge, seen yet or not",
        "operator/conveyor/engine/newest.py",
        "    return version == case.repository.metadata.resource_version\n",
        "    return bool(version)\n",
        engine("effects"),
    ),
    Bug(
        "the coverage mark goes down",
        "the ratchet goes only upwards",
        "operator/conveyor/pipeline/amending.py",
        "(status.coverage is None or amend.coverage.percent > status.coverage.percent)",
        "amend.coverage.percent >= 0",
        pipeline("coverage"),
    ),
)
