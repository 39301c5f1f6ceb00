"""Bugs about Leases: who holds one, who is dead, and who may take it away."""

from __future__ import annotations

from tests.mutations.seed import Bug, engine

LEASES = "operator/conveyor/engine/leases.py"

OWNING = (
    Bug(
        "unknown is taken for dead",
        "a living holder keeps its Lease",
        LEASES,
        "            case Liveness.DEAD if not self._certificates",
        "            case Liveness.DEAD | Liveness.UNKNOWN if not self._certificates",
        engine("leases"),
    ),
    Bug(
        "a pod that cannot be read is dead",
        "unknown is no proof of death",
        "operator/conveyor/engine/identity.py",
        "    except OutsideError:\n        return Liveness.UNKNOWN",
        "    except OutsideError:\n        return Liveness.DEAD",
        engine("identity"),
    ),
    Bug(
        "a living owner is ignored when a Lease is taken",
        "a living holder keeps its Lease",
        LEASES,
        'return "Expired" if self._is_stale(key, found) else None',
        'return "Expired"',
        engine("leases"),
    ),
    Bug(
        "the reaper ignores a living owner",
        "a living holder keeps its Lease",
        LEASES,
        " or await self._why_free(key, found) is None:\n            return False\n",
        ":\n            return False\n",
        engine("reaper"),
    ),
    Bug(
        "a foreign Lease is released",
        "only its owner gives a Lease up",
        LEASES,
        "self.cluster.delete_lease(key, uid=mine.record.uid, resource_version=mine.record.resource_version)",
        "self.force(key, await self.cluster.lease(key) or mine.record)",
        engine("leases"),
    ),
    Bug(
        "the last look does not see another holder",
        "the Lease is ours when the effect is sent",
        LEASES,
        "if found is None or found.spec.holder != self.holder(owner.uid) or found.uid != mine.record.uid:",
        "if found is None:",
        engine("leases"),
    ),
    Bug(
        "a lost claim of a Lease counts as won",
        "of two who take a Lease one loses",
        LEASES,
        '                return Unsure("somebody else wrote it first")\n',
        "                return Held()\n",
        engine("leases"),
    ),
    Bug(
        "an answer that proves nothing holds a Lease",
        "unknown never counts as yes",
        LEASES,
        '            return Unsure(f"{type(error).__name__}: {str(error)[:200]}")',
        "            return Held()",
        engine("leases"),
    ),
)
