"""The seeded bugs: each takes one guard of the protocol away, as a patch of one place in one file."""

from __future__ import annotations

from dataclasses import dataclass

SUBSET = (
    "tests/unit/pipeline/test_effects.py",
    "tests/unit/pipeline/test_effect_jobs.py",
    "tests/unit/engine/test_identity.py",
    "tests/unit/engine/test_leases.py",
    "tests/unit/forge/test_gitea.py",
    "tests/unit/engine/test_manifests.py",
    "tests/unit/engine/test_effects.py",
    "tests/unit/engine/test_old_cache.py",
)
"""What must be green as it is, and red with each bug; the fastest first."""
EFFECTS = "operator/conveyor/engine/effects.py"
LEASES, IDENTITY = "operator/conveyor/engine/leases.py", "operator/conveyor/engine/identity.py"


@dataclass(frozen=True)
class Bug:
    name: str
    file: str
    old: str
    new: str
    law: str
    first: str
    """The file of the subset that is asked first."""


def _engine(name: str) -> str:
    return f"tests/unit/engine/test_{name}.py"


def _pipeline(name: str) -> str:
    return f"tests/unit/pipeline/test_{name}.py"


BUGS = (
    Bug(
        "an intent of another is not adopted",
        "operator/conveyor/pipeline/effects.py",
        "if transition.holder != case.policy.holder[:256] or",
        "if",
        "one sender per token",
        _pipeline("effects"),
    ),
    Bug(
        "adoption does not raise the token",
        "operator/conveyor/pipeline/intents.py",
        "    token = (case.status.fencing_token or 0) + 1\n    mine",
        "    token = case.status.fencing_token or 0\n    mine",
        "one sender per token",
        _pipeline("effects"),
    ),
    Bug(
        "no last look at the intent",
        EFFECTS,
        "        transition.id,\n        transition.holder,\n        transition.fencing_token,\n    )",
        "        transition.id,\n        transition.holder,\n        transition.fencing_token,\n    ) or True",
        "one sender per token",
        _engine("effects"),
    ),
    Bug(
        "the last look forgets the token",
        EFFECTS,
        'recorded.get("fencingToken"))',
        "transition.fencing_token)",
        "one sender per token",
        _engine("effects"),
    ),
    Bug(
        "unknown is taken for dead",
        LEASES,
        "            case Liveness.DEAD:\n",
        "            case Liveness.DEAD | Liveness.UNKNOWN:\n",
        "a living holder keeps its Lease",
        _engine("leases"),
    ),
    Bug(
        "a living owner is ignored",
        LEASES,
        'return "Expired" if self._is_stale(key, found) else None',
        'return "Expired"',
        "a living holder keeps its Lease",
        _engine("leases"),
    ),
    Bug(
        "a pod that cannot be read is dead",
        IDENTITY,
        "    except OutsideError:\n        return Liveness.UNKNOWN",
        "    except OutsideError:\n        return Liveness.DEAD",
        "unknown is no proof of death",
        _engine("identity"),
    ),
    Bug(
        "the last look does not see another holder",
        LEASES,
        "if found is None or found.spec.holder != self.holder(owner.uid) or found.uid != mine.record.uid:",
        "if found is None:",
        "the Lease is ours when the effect is sent",
        _engine("leases"),
    ),
    Bug(
        "an answer that proves nothing holds a Lease",
        LEASES,
        '            return Unsure(f"{type(error).__name__}: {str(error)[:200]}")',
        "            return Held()",
        "unknown never counts as yes",
        _engine("leases"),
    ),
    Bug(
        "a merge is not fast-forward only",
        "operator/conveyor/forge/gitea.py",
        '{"Do": "fast-forward-only", "head_commit_id": head}',
        '{"Do": "rebase", "head_commit_id": head}',
        "the forge refuses a moved base",
        "tests/unit/forge/test_gitea.py",
    ),
    Bug(
        "a merge does not name its commit",
        "operator/conveyor/forge/gitea.py",
        '{"Do": "fast-forward-only", "head_commit_id": head}',
        '{"Do": "fast-forward-only"}',
        "the forge refuses a moved head",
        "tests/unit/forge/test_gitea.py",
    ),
    Bug(
        "a Job that went is created again",
        "operator/conveyor/pipeline/effect_jobs.py",
        "        if recorded.uid is not None:\n            return parked(case, transition)\n",
        "",
        "an intent has its effect once",
        _pipeline("effect_jobs"),
    ),
    Bug(
        "a Job with another uid is taken for ours",
        "operator/conveyor/pipeline/effect_jobs.py",
        "if job.item_uid != case.item.metadata.uid or recorded.uid not in (None, job.uid):",
        "if job.item_uid != case.item.metadata.uid:",
        "an intent has its effect once",
        _pipeline("effect_jobs"),
    ),
    Bug(
        "a Job of an effect begins as soon as it is created",
        "operator/conveyor/engine/manifests.py",
        ' | {"suspend": True}}',
        "}",
        "an intent has its effect once",
        "tests/unit/engine/test_late_jobs.py",
    ),
    Bug(
        "a Job of an effect has no finalizer",
        "operator/conveyor/engine/manifests.py",
        ' | {"finalizers": [names.RESULT_FINALIZER]}',
        "",
        "a Job's name is held until its result is stored",
        _engine("manifests"),
    ),
    Bug(
        "a Job is let go by an old cache",
        "operator/conveyor/engine/runs.py",
        "if (job.has_finalizer or job.deleted) and await _is_waited_for(world, job):",
        "if job.deleted and await _is_waited_for(world, job):",
        "a Job's name is held until its result is stored",
        _engine("old_cache"),
    ),
)
