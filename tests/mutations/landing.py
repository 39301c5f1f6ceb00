"""Bugs about what landed: by whose merge, on which branch, and what may be deployed of it."""

from __future__ import annotations

from tests.mutations.seed import Bug, engine, pipeline

LANDING = (
    Bug(
        "the image of an earlier head is deployed where none is built any more",
        "what is deployed was built of what was merged",
        "operator/conveyor/pipeline/job_gates.py",
        " or word.head_sha != status.head_sha or word.reason == NOT_CONFIGURED.reason:",
        " or word.head_sha != status.head_sha:",
        engine("gates_changed"),
    ),
    Bug(
        "the base that a pull request goes to is not looked at before its merge",
        "what is merged goes to the item's base",
        "operator/conveyor/pipeline/merging.py",
        'case PullRequest(state="open") as pull if (pull.head_sha, pull.base) == wanted:',
        'case PullRequest(state="open") as pull if pull.head_sha == head:',
        pipeline("deploy"),
    ),
    Bug(
        "a head on the base that nobody merged is done",
        "nobody knows who brought it there: a person is asked",
        "operator/conveyor/pipeline/pulls.py",
        '    return _asked_of_a_person(case, pull, f"{seen}: see who brought it there")',
        "    return _merged_by_a_person(case, pull, seen)",
        engine("other_merges"),
    ),
    Bug(
        "a merge of ours after the cancellation is told to nobody",
        "a merge that lands late is told",
        "operator/conveyor/pipeline/decide.py",
        "    return merged_late(case) or monitor(case)",
        "    return monitor(case)",
        pipeline("deploy"),
    ),
    Bug(
        "a commit is deployed over a later one",
        "nothing that was deployed is taken back by a deploy",
        "operator/conveyor/pipeline/landing.py",
        "    if (later := overtaken(case)) is not None:\n        return later\n",
        "",
        pipeline("production_job"),
    ),
    Bug(
        "a Job whose pod is gone with its word has passed",
        "unknown never counts as yes",
        "operator/conveyor/pipeline/answers.py",
        "    if job.pod_gone:\n",
        "    if job.pod_gone and not job.complete:\n",
        pipeline("answers"),
    ),
    Bug(
        "a freeze names its item by name alone",
        "a namesake made later does not pass the freeze",
        "operator/conveyor/pipeline/lane.py",
        "        if freeze.item_uid is not None:\n            return freeze.item_uid == self.uid\n",
        "",
        pipeline("lane"),
    ),
    Bug(
        "what a freeze stops keeps the Lease of the merge",
        "the mend that thaws a repository can land",
        "operator/conveyor/pipeline/leases.py",
        "    if status.waiting is not None and status.waiting.reason in _FOR_A_PERSON:\n        return False\n",
        "",
        engine("leased"),
    ),
    Bug(
        "a deploy begins beside another that has no Lease any more",
        "one deploy of a repository at a time",
        "operator/conveyor/engine/deploying.py",
        """    return at_work or next""",
        """    return "" or next""",
        engine("deploy_lease"),
    ),
    Bug(
        "what is deployed is put on record over a later one",
        "the record of what is deployed never moves backwards",
        "operator/conveyor/pipeline/amending.py",
        "    if amend.production is not None and status.production == amend.replaces:\n",
        "    if amend.production is not None:\n",
        pipeline("production_job"),
    ),
    Bug(
        "any head after a rebase is the change that was approved",
        "approval of another commit",
        "operator/conveyor/engine/changes.py",
        "        return before == await forge.series(pull.base, pull.head_sha)\n",
        "        return True\n",
        engine("late_pulls"),
    ),
)
