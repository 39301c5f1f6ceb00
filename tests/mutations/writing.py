"""Bugs about conditional writes and cancellation: what becomes of a step that somebody overtook or stopped."""

from __future__ import annotations

from tests.mutations.seed import Bug, engine

CLIENT, ITEMS = "operator/conveyor/cluster/client.py", "operator/conveyor/engine/items.py"
CONDITIONS = "tests/unit/cluster/test_conditions.py"

WRITING = (
    Bug(
        "a status is written blindly, without its version",
        "whoever decided upon an older version loses",
        CLIENT,
        '"metadata": {"resourceVersion": resource_version}, "status": status}',
        '"status": status}',
        CONDITIONS,
    ),
    Bug(
        "a Lease is written blindly, without its version",
        "of two who take a Lease one loses",
        CLIENT,
        '{"resourceVersion": resource_version} | labelled, "spec": spec_of(lease)}',
        'labelled, "spec": spec_of(lease)}',
        CONDITIONS,
    ),
    Bug(
        "a Lease is deleted whoever has it now",
        "only its owner gives a Lease up",
        CLIENT,
        '{"preconditions": {"uid": uid, "resourceVersion": resource_version}}',
        "{}",
        CONDITIONS,
    ),
    Bug(
        "a conditional write that lost is sent again without deciding anew",
        "who loses a write reads and decides again",
        ITEMS,
        "        return await self._world.cluster.patch_status("
        "Kind.WORKITEM, key, resource_version=version, status=patch)\n",
        "        cluster = self._world.cluster\n"
        "        done = await cluster.patch_status(Kind.WORKITEM, key, resource_version=version, status=patch)\n"
        "        if isinstance(done, Lost) and (fresh := await cluster.get(Kind.WORKITEM, key)) is not None:\n"
        '            version = fresh["metadata"]["resourceVersion"]\n'
        "            return await cluster.patch_status(Kind.WORKITEM, key, resource_version=version, status=patch)\n"
        "        return done\n",
        engine("effects"),
    ),
    Bug(
        "a lost claim of a lane counts as won",
        "of two who are admitted at once one loses",
        "operator/conveyor/engine/admission.py",
        "        case Lost() | Uncertain():\n            world.telemetry.conflict()\n            return Again(0.1)\n",
        "        case Lost() | Uncertain():\n            return fresh\n",
        engine("admission"),
    ),
    Bug(
        "a cancellation is swallowed by a worker",
        "a process that is told to end takes no further step",
        "operator/conveyor/engine/workers.py",
        "            if _is_being_cancelled():\n                raise\n",
        "",
        engine("workers"),
    ),
)
