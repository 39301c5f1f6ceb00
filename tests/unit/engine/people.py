"""What people do to an item while operators work on it: each a function of the world, which may find nothing to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from conveyor.api.annotations import LABEL_EFFECT
from conveyor.cluster.protocol import JSONObject, Key, Kind
from tests.fakes.memory_store import JOBS, LEASES
from tests.unit.engine.rig import SHOP, Rig

FREEZE: JSONObject = {"conveyor.dev/freeze": "audit", "conveyor.dev/freeze-scope": "merge"}


def delete_leases(world: Rig, _: Key) -> None:
    for key in world.cluster.store.keys(LEASES):
        world.cluster.store.remove(LEASES, key)


def delete_effect_jobs(world: Rig, _: Key) -> None:
    """Their pods are stopped; our finalizer holds them until they are read."""
    for key in _effect_jobs(world):
        at_work = world.cluster.store.objects[JOBS, key].get("status", {}).get("active")
        world.cluster.store.delete(JOBS, key)
        if at_work and (JOBS, key) in world.cluster.store.objects:
            world.cluster.end_job(key, exit_code=143)


def remove_effect_jobs(world: Rig, item: Key) -> None:
    """By force, in spite of the finalizer; nothing protects a Job that nobody has put on record yet."""
    recorded = (world.status(item).get("transition") or {}).get("job") or {}
    for key in _effect_jobs(world):
        if key.name == recorded.get("name") and recorded.get("uid"):
            world.cluster.store.remove(JOBS, key)


def _effect_jobs(world: Rig) -> list[Key]:
    store = world.cluster.store
    return [key for key in store.keys(JOBS) if LABEL_EFFECT in store.objects[JOBS, key]["metadata"]["labels"]]


def cancel(world: Rig, item: Key) -> None:
    world.cluster.store.edit(Kind.WORKITEM, item, {"spec": {"cancel": True}})


def freeze(world: Rig, _: Key) -> None:
    world.cluster.store.edit(Kind.REPOSITORY, SHOP, {"metadata": {"annotations": FREEZE}})


def thaw(world: Rig, _: Key) -> None:
    """Also what the product itself froze."""
    ask = {"request.conveyor.dev/unfreeze": f"u{world.cluster.store.version} by=anna all"}
    world.cluster.store.edit(Kind.REPOSITORY, SHOP, {"metadata": {"annotations": dict.fromkeys(FREEZE) | ask}})


def move_base(world: Rig, _: Key) -> None:
    world.forge.push("main", f"other-{len(world.forge.commits)}.py")


def push(world: Rig, item: Key) -> None:
    branch = world.status(item).get("branch")
    if branch in world.forge.branches:
        world.forge.push(branch, f"foreign-{len(world.forge.commits)}.py")


def merge(world: Rig, item: Key) -> None:
    """Fast-forward, as the forge lets people do too."""
    number = (world.status(item).get("pullRequest") or {}).get("number")
    pull = world.forge.pulls.get(number or 0)
    if (
        pull is not None
        and pull.state == "open"
        and world.forge.branches["main"] in world.forge.ancestors(pull.head_sha)
    ):
        world.forge.branches["main"] = pull.head_sha
        world.forge.pulls[pull.number] = replace(
            pull, state="closed", merged=True, merged_by="anna", merge_sha=pull.head_sha
        )


def ask(verb: str) -> Callable[[Rig, Key], None]:
    def act(world: Rig, item: Key) -> None:
        value = f"{verb}-{world.cluster.store.version} by=anna mend it"
        world.cluster.store.edit(
            Kind.WORKITEM, item, {"metadata": {"annotations": {f"request.conveyor.dev/{verb}": value}}}
        )

    return act


def hint(world: Rig, item: Key) -> None:
    value = str(world.cluster.store.version)
    world.cluster.store.edit(Kind.WORKITEM, item, {"metadata": {"annotations": {"hint.conveyor.dev/push": value}}})


PEOPLE: Mapping[str, Callable[[Rig, Key], None]] = {
    "deletes the Leases": delete_leases,
    "deletes the effect's Job": delete_effect_jobs,
    "removes the effect's Job by force": remove_effect_jobs,
    "cancels": cancel,
    "freezes": freeze,
    "thaws": thaw,
    "moves the base": move_base,
    "pushes to the branch": push,
    "merges": merge,
    "says resume": ask("resume"),
    "says retry": ask("retry"),
    "says rework": ask("rework"),
    "says release-lease": ask("release-lease"),
    "sends a hint": hint,
}
