"""`scripts/bench whole-path`: items from "To Analyse" to done on real servers, and every call that this takes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks import machine
from benchmarks.api_costs import Request, costs, taken
from benchmarks.attribution import shares
from benchmarks.calls import WRITES, Behalf, Call
from benchmarks.report import Report, percentile
from benchmarks.store import say
from benchmarks.whole_people import People
from benchmarks.whole_world import WholeWorld

HOLD_SECONDS = 30.0
LIMIT_SECONDS = 3000.0
SAY_SECONDS = 15.0
STOP_SECONDS = 120.0
"""For the operator to end, and to write down a few hundred thousand calls."""


@dataclass(frozen=True)
class Measured:
    began: float
    held: tuple[float, float]
    """From when on all first items waited in the re-test, and until when they were kept there."""
    ended: float
    items: int
    cpu: Mapping[str, float]
    """Processor time of each process, in seconds."""
    costs: Mapping[Request, float]
    """Seconds of the API server for a request of each kind."""
    calls: Sequence[Call]
    works: Mapping[int, str]
    """By the pass's number, what each pass over an item was about."""
    passes: int
    lag: Sequence[tuple[float, float]]


def measure(report: Report, *, runs: int, lanes: int, items: int) -> None:
    for number in range(runs):
        say(f"run {number + 1} of {runs}: {lanes} repositories, {items} items each, load {machine.load()[0]}")
        found = asyncio.run(_run(lanes=lanes, items=items))
        _add(report, found)
        say(_way(found))


async def _run(*, lanes: int, items: int) -> Measured:
    async with WholeWorld(lanes=lanes, items=items) as world:
        people = People(world)
        working = asyncio.create_task(people.run())
        began, before, taken_before = time.monotonic(), world.cpu_seconds(), taken(await world.metrics())
        await _begin(world, people)
        await _until(lambda: people.in_retest() == lanes or working.done(), people, "in the re-test")
        waiting = time.monotonic()
        await asyncio.sleep(HOLD_SECONDS)
        people.released.set()
        held = (waiting, time.monotonic())
        await _until(lambda: all(map(people.is_done, world.items.values())) or working.done(), people, "to the end")
        if working.done():
            await working  # for ever, if nothing has failed
        ended, after, taken_after = time.monotonic(), world.cpu_seconds(), taken(await world.metrics())
        cpu = {name: seconds - before[name] for name, seconds in after.items()}
        working.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await working
        await asyncio.to_thread(world.operator.stop, STOP_SECONDS)
        result = json.loads(world.result.read_text())
        return Measured(
            began=began,
            held=held,
            ended=ended,
            items=len(world.items),
            cpu=cpu,
            costs=costs(taken_before, taken_after, cpu=cpu["kube-apiserver"]),
            calls=_calls(result, began, ended),
            works={int(number): work for number, work in result["works"].items()},
            passes=result["passes"],
            lag=result["lag"],
        )


async def _begin(world: WholeWorld, people: People) -> None:
    """In their order in each lane, which goes by when an item was made: coverage rises from one to the next."""
    for place in sorted({item.place for item in world.items.values()}):
        next_ones = [item for item in world.items.values() if item.place == place]
        for item in next_ones:
            world.tracker.move(item.ticket, "To Analyse")
        await _until(lambda: all(item.name in world.audit.items for item in next_ones), people, "into the lanes")  # noqa: B023


def _calls(result: dict[str, Any], began: float, ended: float) -> list[Call]:
    found = (Call(**call | {"behalf": Behalf(**call["behalf"])}) for call in result["calls"])
    return [call for call in found if began <= call.time <= ended]


async def _until(condition: Callable[[], bool], people: People, what: str) -> None:
    end, said = time.monotonic() + LIMIT_SECONDS, 0.0
    while not condition():
        now = time.monotonic()
        if back := people.sent_back():
            raise RuntimeError(f"{back} was sent back to work: people answer each gate once")
        if now > end:
            raise TimeoutError(f"not all came {what}: {people.stages()}")
        if now - said > SAY_SECONDS:
            said = now
            say(f"{people.stages()}, {people.in_retest()} in the re-test, load {machine.load()[0]}")
        await asyncio.sleep(0.2)


def _add(report: Report, found: Measured) -> None:
    seconds, hold = found.ended - found.began, found.held[1] - found.held[0]
    report.add("items", found.items, "")
    report.add("throughput without the hold", 60 * found.items / (seconds - hold), "1/min")
    report.add("duration", seconds, "s")
    for name, cpu in (dict(found.cpu) | {"all together": sum(found.cpu.values())}).items():
        report.add(f"processor time per item, {name}", 1000 * cpu / found.items, "ms")
    report.add("operator, share of the time", 100 * found.cpu["operator"] / seconds, "%")
    for name, (begin, end) in {"whole run": (found.began, found.ended), "while all re-tests wait": found.held}.items():
        late = [1000 * lag for time_, lag in found.lag if begin <= time_ <= end]
        for share in (50, 99):
            report.add(f"loop lag p{share}, {name}", percentile(late, share), "ms")
        report.add(f"loop lag max, {name}", max(late), "ms")
    held = [call for call in found.calls if found.held[0] <= call.time <= found.held[1]]
    report.add("calls while all re-tests wait", len(held), "")
    report.add("passes per item", found.passes / found.items, "")
    for system in ("api", "forge", "tracker"):
        calls = [call for call in found.calls if call.system == system]
        report.add(f"{system}: calls per item", len(calls) / found.items, "")
        report.add(f"{system}: writes per item", sum(call.method in WRITES for call in calls) / found.items, "")
    _add_shares(report, found)
    for (system, method, route), count in sorted(Counter(map(_name, found.calls)).items()):
        report.add(f"{system} {method} {route}", count / found.items, "")


def _add_shares(report: Report, found: Measured) -> None:
    ours = shares(found.calls, found.works, found.costs)
    others = found.cpu["kube-apiserver"] - sum(share.cpu for share in ours.values())
    report.add("all other clients: API server CPU", 1000 * others / found.items, "ms")
    for group, share in sorted(ours.items()):
        for system in ("api", "forge", "tracker"):
            if count := share.calls[system]:
                report.add(f"{group}: {system} calls", count / found.items, "")
        if writes := share.writes["api"]:
            report.add(f"{group}: api writes", writes / found.items, "")
        report.add(f"{group}: API server CPU", 1000 * share.cpu / found.items, "ms")


def _name(call: Call) -> tuple[str, str, str]:
    return call.system, call.method, call.route


def _way(found: Measured) -> str:
    """Each call of the last item that began, in their order, by pass."""
    last = max((call for call in found.calls if call.behalf.actor == "item"), key=lambda call: call.time).behalf.name
    mine = [call for call in found.calls if call.behalf.name == last]
    lines, number = [f"the way of {last}:"], 0
    for call in sorted(mine, key=lambda call: (call.behalf.pass_number, call.time)):
        if call.behalf.pass_number != number:
            number = call.behalf.pass_number
            lines.append(f"{call.time - found.began:7.2f} s  {call.behalf.actor} {call.behalf.stage}")
        lines.append(f"             {call.system:7} {call.method:6} {call.route} {call.status}")
    return "\n".join(lines)
