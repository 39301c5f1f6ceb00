"""Moments of an item's way to begin a test at, made once by an operator that has died since."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any

from conveyor.cluster.protocol import JSONObject, Key, Kind
from tests.fakes.memory_store import JOBS, LEASES
from tests.unit.engine.operators import Operators
from tests.unit.engine.rig import NAMESPACE, SHOP

POD: JSONObject = {"spec": {"containers": [{"name": "work", "image": "work:1"}]}}
GATES: JSONObject = {
    "approval": {"analysis": "Auto", "deploy": "Auto"},
    "image": {"enabled": True, "template": POD},
    "coverage": {"enabled": True},
}
SPEC: JSONObject = {
    "gates": GATES,
    "staging": {"template": POD},
    "deploy": {"template": POD, "rollbackTemplate": POD, "onFailure": "Rework"},
}
BEFORE = {"image": "registry.test/cart@sha256:" + "0" * 64, "sha": "b" * 40, "item": "before"}
CART, PEAR = Key(NAMESPACE, "cart"), Key(NAMESPACE, "pear")
Moment = Callable[[Operators], bool]


@dataclass(frozen=True)
class Start:
    moment: Moment
    spec: Mapping[str, Any]
    items: tuple[Key, ...] = (CART,)
    base_moves: bool = False
    deploy_exit: int = 0
    keeps: frozenset[str] = frozenset()


def _intends(effect: str) -> Moment:
    return lambda operators: operators.status(CART).get("transition", {}).get("effect") == effect


def _tested(operators: Operators) -> bool:
    return operators.stage(CART) == "deploy-staging" and not operators.is_open(CART, "transition")


def _failed(operators: Operators) -> bool:
    """The deploy has failed, and nobody has read that."""
    store = operators.cluster.store
    return any(
        key.name.startswith("cart-production") and store.objects[JOBS, key]["status"].get("failed")
        for key in store.keys(JOBS)
    )


def _both_tested(operators: Operators) -> bool:
    return all(operators.stage(key) == "deploy-staging" for key in (CART, PEAR))


SIMPLE: JSONObject = {"gates": {"approval": GATES["approval"]}, "deploy": SPEC["deploy"]}
"""Without image, staging and coverage."""
STARTS: Mapping[str, Start] = {
    "tested": Start(_tested, spec=SIMPLE),
    "behind its base": Start(_tested, spec=SIMPLE, base_moves=True),
    "an image to be built": Start(_intends("Image"), SPEC),
    "to be merged": Start(_intends("Merge"), SPEC),
    "to be deployed": Start(_intends("Production"), SPEC),
    "its deploy failed": Start(_failed, SPEC, deploy_exit=1),
    "two at once": Start(
        _both_tested,
        spec={**SPEC, "serialGate": {"mode": "Disabled"}},
        items=(CART, PEAR),
        keeps=frozenset({"Image"}),
    ),
    "created": Start(lambda _: True, spec=SIMPLE),
}
OF_THE_STORE = ("objects", "pods", "version", "_uids")
OF_THE_FORGE = ("commits", "branches", "pulls", "commit_statuses", "pull_reviews")
OF_THE_AUDIT = ("intents", "executed", "_runs", "_statuses", "_repositories", "_jobs", "_landed", "_marks")


def begin(name: str, **settings: Any) -> Operators:
    """That moment, with nobody at work."""
    operators, (now, parts) = Operators(**settings), _made(name)
    operators.clock.advance(now - operators.seconds())
    for target, values in zip(_targets(operators), copy.deepcopy(parts), strict=True):
        for part, value in values.items():
            setattr(target, part, value)
    return operators


@cache
def _made(name: str) -> tuple[float, tuple[dict[str, Any], ...]]:
    with ThreadPoolExecutor(1) as pool:  # the caller may have a loop of its own
        return pool.submit(lambda: asyncio.run(_make(STARTS[name]))).result()


async def _make(start: Start) -> tuple[float, tuple[dict[str, Any], ...]]:
    operators = Operators()
    operators.repository(**start.spec)
    operators.cluster.store.set_status(Kind.REPOSITORY, SHOP, {"production": BEFORE})
    for item in start.items:
        operators.item(item.name, title=item.name)
    operators.crew.coverage, operators.crew.deploy_exit, operators.crew.keeps = 81.5, 0, start.keeps
    operators.crew.exits["Production"] = [start.deploy_exit]
    if start.base_moves:
        operators.crew.then["tester"] = [lambda: operators.forge.push("main", "other.py")]
    maker = await operators.start()
    await operators.carry(lambda: start.moment(operators), until=600)
    assert start.moment(operators)
    await operators.kill(maker)
    for key in operators.cluster.store.keys(LEASES):
        operators.cluster.store.remove(LEASES, key)
    names = (OF_THE_STORE, OF_THE_FORGE, OF_THE_AUDIT, ("secrets",), ("effects",))
    found = zip(_targets(operators), names, strict=True)
    return operators.seconds(), tuple({part: getattr(target, part) for part in parts} for target, parts in found)


def _targets(operators: Operators) -> tuple[object, ...]:
    cluster, forge = operators.cluster, operators.forge
    return cluster.store, forge, operators.audit, cluster, forge.calls
