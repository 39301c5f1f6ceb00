"""The whole engine in several processes over one store and forge, with everything that may happen in any order.

The alphabet is that of `tests/model`: a process makes one request after another and may be held up before each; it is
killed, taken for dead while it lives, started anew; what it asked for is lost, lands, or lands long after its sender
is dead; its watch stands still, or tells what is old; its clock jumps; people take away Leases and Jobs, cancel,
freeze, push and merge; the switch for Leases is flipped. The laws are `Audit`'s, asked after each step. At the end all
faults cease, and the item comes to its end or to a person, with nothing left over.
"""

import asyncio
import os
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from conveyor.api.annotations import RESULT_FINALIZER
from conveyor.cluster.protocol import JSONObject, Key, Kind
from conveyor.engine.events import EventRecorder
from conveyor.engine.renewing import renew, sweep
from tests.fakes.gates import ALL, Fate, Request, Strand
from tests.fakes.memory_store import JOBS, LEASES
from tests.quick import QUICK
from tests.unit.engine import starts
from tests.unit.engine.operators import Operator, Operators
from tests.unit.engine.people import PEOPLE
from tests.unit.engine.process import Process
from tests.unit.engine.rig import SHOP, TERMINAL

LEADERS = 3
LINGER_SECONDS = 700.0
"""After the end: longer than Leases last, and than the reaper's rounds are apart."""
EFFECTS = ("merge", "update_by_rebase", "create_branch", "open_pull_request", "create_job", "start_job")
NUMBERS = st.integers(0, LEADERS - 1)
BESIDE: Mapping[str, Callable[[Process], Coroutine[Any, Any, object]]] = {
    "looks at the Repository": lambda process: process._pass((Kind.REPOSITORY, SHOP)),
    "renews": lambda process: renew(process.world, EventRecorder(process.world)),
    "sweeps": lambda process: sweep(process.world, EventRecorder(process.world)),
    "reaps": lambda process: process.reaper.round(),
}
ALL_OF_THEM = bool(os.environ.get("CONVEYOR_TEST_ALL"))


class OperatorsMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()

    def run(self, act: Coroutine[Any, Any, object]) -> None:
        self.runner.run(act)

    @initialize(
        start=st.sampled_from([*starts.STARTS]),
        leaders=st.sampled_from([1, 2, 2]),
        leases=st.sampled_from([True, True, False]),
        alone=st.booleans(),
        late_land=st.booleans(),
    )
    def begin(self, *, start: str, leaders: int, leases: bool, alone: bool, late_land: bool) -> None:
        self.world: Operators = starts.begin(start, transition_lease=leases)
        self.world.crew.coverage = 81.5
        self.items, self.alone, self.late_land = starts.STARTS[start].items, alone, late_land
        for _ in range(leaders):
            self.run(self.world.start())

    def teardown(self) -> None:
        try:
            if hasattr(self, "world"):
                self.run(self.come_to_an_end())
                self.nothing_against_the_law()
        finally:
            self.runner.close()

    # --- what processes do

    def one(self, number: int) -> Operator:
        living = self.world.living()
        return living[number % len(living)]

    def somebody_lives(self) -> bool:
        return bool(self.world.living())

    def is_held(self) -> bool:
        return any(self.held())

    def held(self) -> list[tuple[Operator, Strand]]:
        return [(it, strand) for it in self.world.living() for strand in it.tasks if strand.held]

    def start_pass(self, operator: Operator, item: int) -> None:
        if operator.is_idle(operator.work):
            key = self.items[item % len(self.items)]
            self.world.begin(operator, operator.work, operator.process._pass((Kind.WORKITEM, key)))

    @precondition(somebody_lives)
    @rule(number=NUMBERS, item=st.integers(0, 1), requests=st.sampled_from([0, 1, 2, 3, 5, 8, ALL, ALL]))
    def work(self, number: int, item: int, requests: int) -> None:
        async def act() -> None:
            operator = self.one(number)
            self.start_pass(operator, item)
            await self.world.go_on(operator, operator.work, requests=requests)

        self.run(act())

    @precondition(somebody_lives)
    @rule(number=NUMBERS, item=st.integers(0, 1), passes=st.integers(2, 8))
    def work_on_to_a_write(self, number: int, item: int, passes: int) -> None:
        self.run(self.to(number, item, passes, verbs=(*EFFECTS, "patch_status")))

    @precondition(somebody_lives)
    @rule(number=NUMBERS, item=st.integers(0, 1), passes=st.integers(2, 8))
    def work_on_to_an_effect(self, number: int, item: int, passes: int) -> None:
        """Between its last look and the request."""
        self.run(self.to(number, item, passes, verbs=EFFECTS))

    async def to(self, number: int, item: int, passes: int, *, verbs: tuple[str, ...]) -> None:
        operator = self.one(number)

        def wanted(request: Request) -> bool:
            return request.verb in verbs

        if operator.work.held and wanted(operator.work.held[0][0]):
            await self.world.go_on(operator, operator.work, requests=1)
        for _ in range(passes):
            self.start_pass(operator, item)
            if await self.world.go_on_to(operator, operator.work, wanted):
                return

    @precondition(somebody_lives)
    @rule(
        number=NUMBERS,
        what=st.sampled_from([*BESIDE]),
        requests=st.sampled_from([1, ALL]),
    )
    def work_beside(self, number: int, what: str, requests: int) -> None:
        async def act() -> None:
            operator = self.one(number)
            if operator.is_idle(operator.keeping):
                self.world.begin(operator, operator.keeping, BESIDE[what](operator.process))
            await self.world.go_on(operator, operator.keeping, requests=requests)

        self.run(act())

    @precondition(is_held)
    @rule(number=st.integers(0, 5), fate=st.sampled_from([Fate.LOST, Fate.ANSWER_LOST, Fate.LATE]))
    def request_goes_wrong(self, number: int, fate: Fate) -> None:
        held = self.held()
        operator, strand = held[number % len(held)]
        self.run(self.world.go_on(operator, strand, requests=1, fate=fate))

    @precondition(lambda self: bool(self.world.gate.late))
    @rule(number=st.integers(0, 3), lands=st.sampled_from([True, True, False]))
    def late_request_arrives(self, number: int, lands: bool) -> None:
        late = self.world.gate.late
        if lands:
            self.world.gate.land_late(number % len(late))
        else:
            late.pop(number % len(late))

    # --- their lives

    @precondition(somebody_lives)
    @rule(number=NUMBERS, proof=st.booleans(), in_order=st.booleans())
    def dies(self, number: int, proof: bool, in_order: bool) -> None:
        async def act() -> None:
            operator = self.one(number)
            if in_order and operator.is_idle(operator.keeping):
                await self.world.do(operator, operator.keeping, operator.process.leases.release_all())
            await self.world.kill(operator, proof=proof)

        self.run(act())

    @precondition(lambda self: len(self.world.living()) < LEADERS)
    @rule(leases=st.sampled_from([True, True, False]))
    def starts(self, leases: bool) -> None:
        """The switch is read at the start."""
        self.run(self.world.start(transition_lease=leases))

    @precondition(somebody_lives)
    @rule(number=NUMBERS)
    def is_taken_for_dead(self, number: int) -> None:
        self.world.certify(self.one(number))

    @precondition(lambda self: len(self.world.living()) > 1)
    @rule(number=NUMBERS, item=st.integers(0, 1), passes=st.integers(1, 4))
    def is_overtaken(self, number: int, item: int, passes: int) -> None:
        """Taken for dead, it goes on with what it knew, after another went on in its place."""

        async def act() -> None:
            sleeper, other = self.one(number), self.one(number + 1)
            sleeper.watches = False
            self.world.certify(sleeper)
            for operator in (*[other] * passes, sleeper):
                self.start_pass(operator, item)
                await self.world.go_on(operator, operator.work)

        self.run(act())

    @precondition(somebody_lives)
    @rule(number=NUMBERS, hours=st.integers(-1, 1))
    def clock_jumps(self, number: int, hours: int) -> None:
        self.world.jump(self.one(number), hours=hours)

    @precondition(somebody_lives)
    @rule(number=NUMBERS)
    def watch_stands_still_or_goes_on(self, number: int) -> None:
        operator = self.one(number)
        operator.watches = not operator.watches
        self.world.deliver(operator)

    @precondition(lambda self: self.somebody_lives() and bool(self.world.history))
    @rule(number=NUMBERS, which=st.integers(0, 50))
    def watch_tells_what_is_old(self, number: int, which: int) -> None:
        kind, event, obj = self.world.history[which % len(self.world.history)]
        if event != "DELETED":
            self.one(number).process.seen(kind, event, obj)

    # --- everything else

    @rule(seconds=st.sampled_from([1.0, 11.0, 61.0, 130.0, 901.0, 4000.0]))
    def time_passes(self, seconds: float) -> None:
        self.run(self.world.wait(seconds))

    @rule(fails=st.sampled_from([False, False, True]))
    def others_work(self, fails: bool) -> None:
        self.world.crew.deploy_exit = int(fails)
        self.world.crew.work()

    @rule(what=st.sampled_from([*PEOPLE]), item=st.integers(0, 1))
    def somebody(self, what: str, item: int) -> None:
        PEOPLE[what](self.world, self.items[item % len(self.items)])

    # --- the laws

    @invariant()
    def nothing_against_the_law(self) -> None:
        if hasattr(self, "world"):
            told = self.world.told
            found = [*self.world.audit.offences, *told.violations, *told.failures]
            assert not found, found

    async def come_to_an_end(self) -> None:
        world = self.world
        await self.end_all_faults()
        await world.carry(lambda: all(map(self.is_at_an_end, self.items)), until=86400.0)
        await world.carry(lambda: False, until=LINGER_SECONDS)
        for item in self.items:
            self.has_ended_well(item)
        names = {(world.status(item).get("transition") or {}).get("job", {}).get("name") for item in self.items}
        jobs = [world.cluster.store.object(JOBS, key) for key in world.cluster.store.keys(JOBS)]
        held = {
            job["metadata"]["name"] for job in jobs if RESULT_FINALIZER in (job["metadata"].get("finalizers") or [])
        }
        assert held <= names, f"Jobs are still held: {held - names}"
        parked = any("transition" in world.status(item) for item in self.items)
        assert parked or world.cluster.store.keys(LEASES) == []

    async def end_all_faults(self) -> None:
        world = self.world
        world.crew.deploy_exit = 0
        PEOPLE["thaws"](world, self.items[0])
        for operator, strand in self.held():
            await world.go_on(operator, strand)
        while world.gate.late:
            if self.late_land:
                world.gate.land_late(0)
            else:
                world.gate.late.pop(0)
        for operator in world.living():
            operator.watches = True
            world.jump(operator, hours=0)
        for operator in world.living():
            if self.alone or not world.has_pod(operator):
                await world.kill(operator)  # two of whom each takes the other for dead would go on taking
        if not world.living():
            await world.start()

    def is_at_an_end(self, item: Key) -> bool:
        return self.world.is_ended(item) or bool(self.stalled(item))

    def stalled(self, item: Key) -> str:
        status, reason, _ = self.world.condition(item, "Stalled", Kind.WORKITEM)
        return reason if status == "True" else ""

    def has_ended_well(self, item: Key) -> None:
        """Done, cancelled, or with a person, who is told why; nothing is under way."""
        whole: JSONObject = self.world.cluster.store.object(Kind.WORKITEM, item)
        status, stalled = whole["status"], self.stalled(item)
        assert status["stage"] in TERMINAL or stalled, f"{status['stage']}: {self.world.waiting(item)}"
        assert "activeRun" not in status
        assert "transition" not in status or stalled == "EffectUnknown", status["transition"]
        if status["stage"] in TERMINAL:
            assert not whole["metadata"].get("finalizers")
        if status["stage"] == "done":
            assert status["mergeSHA"] in self.world.forge.ancestors(self.world.forge.branches["main"])


TestOperators = OperatorsMachine.TestCase
TestOperators.settings = settings(
    max_examples=1000 if ALL_OF_THEM else 10 if QUICK else 20,
    derandomize=not ALL_OF_THEM,
    stateful_step_count=40,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
