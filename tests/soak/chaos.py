"""What goes wrong, every few seconds, by a schedule that the seed alone decides; each kind has its weight.

| kind | what |
|---|---|
| operator | SIGKILL, SIGTERM, or SIGSTOP for up to 90 s and on; the other one is left to itself meanwhile |
| API server, Gitea | SIGKILL or SIGTERM, and back after a while |
| ingress | killed for a while: webhooks are lost |
| watch | an operator's next event is lost, repeated, cut, answered with 410, or the watch freezes |
"""

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.control_plane import ControlPlane
from tests.cluster.gitea import Gitea
from tests.cluster.processes import ServerFailedError
from tests.faults.faults import Stale
from tests.faults.stale import StaleTarget
from tests.soak.ingress import Ingress
from tests.soak.replica import Replica

PAUSE_SECONDS = (1.0, 8.0)
"""Between two of them."""
PATIENCE, WORK_SECONDS = 0.85, 5.0
"""The part of what is done to operators that waits until it is up and at work, or it would meet starts alone."""
LONGEST_STOP_SECONDS = 90.0
WATCHED = ("workitems", "repositories", "jobs")
HEARD = [kind for kind in Stale if kind is not Stale.OLD_LIST]


@dataclass(frozen=True)
class Victims:
    plane: ControlPlane
    gitea: Gitea
    ingress: Ingress
    replicas: Sequence[Replica]


class Chaos:
    """`run` until cancelled, then `cease`. `happened` counts by kind."""

    def __init__(self, victims: Victims, dice: random.Random, *, record: Path, pace: float) -> None:
        """`pace` is what the pauses are multiplied by: a busy machine takes long to start what was killed."""
        self._victims, self._dice, self._record, self._pace = victims, dice, record, pace
        self.happened: Counter[str] = Counter()
        self.took: list[float] = []
        """Seconds from SIGTERM to an operator's end."""
        self.findings: list[str] = []
        self.locks = 0
        """Locks of Gits that were killed with Gitea; an administrator would have to remove them."""
        self._away: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        while True:
            await asyncio.sleep(self._pace * self._dice.uniform(*PAUSE_SECONDS))
            kind = self._dice.choices(list(KINDS), weights=[weight for weight, _ in KINDS.values()])[0]
            plan = KINDS[kind][1](self)  # drawn whether or not it can be carried out: the schedule is the seed's
            if plan is not None and plan.victim not in self._away:
                self._begin(kind, plan)

    def _begin(self, kind: str, plan: "Plan") -> None:
        self.happened[kind] += 1
        self._away.add(plan.victim)
        with self._record.open("a") as file:
            said = {"time": time.time(), "kind": kind, "victim": plan.victim, "how": plan.how}
            file.write(json.dumps(said) + "\n")
        task = asyncio.create_task(self._carry_out(plan))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry_out(self, plan: "Plan") -> None:
        try:
            if plan.once_up is not None:
                await plan.once_up.until_up()
                await asyncio.sleep(plan.work)
            await plan.act()
        except ServerFailedError as error:
            self.findings.append(f"broken: {plan.victim} did not come back: {error}")
        finally:
            self._away.discard(plan.victim)

    async def cease(self) -> None:
        """All that is away comes back, in its own time."""
        await asyncio.gather(*self._tasks)
        for replica in self._victims.replicas:
            replica.watches.begin(None)

    # --- kinds

    def _some_seconds(self, longest: float) -> float:
        """Mostly short."""
        return round(longest * self._dice.random() ** 2, 2)

    def _replica(self) -> tuple[str, Replica]:
        number = self._dice.randrange(len(self._victims.replicas))
        return f"operator {number + 1}", self._victims.replicas[number]

    def _once_up(self, replica: Replica) -> tuple[Replica | None, float]:
        patient, work = self._dice.random() < PATIENCE, self._dice.uniform(0.0, WORK_SECONDS)
        return (replica, work) if patient else (None, 0.0)

    def _kill_operator(self) -> "Plan":
        name, replica = self._replica()
        pause = self._some_seconds(6.0)
        return Plan(name, f"back after {pause} s", lambda: replica.kill(pause), *self._once_up(replica))

    def _terminate_operator(self) -> "Plan":
        name, replica = self._replica()
        pause = self._some_seconds(6.0)

        async def act() -> None:
            self.took.append(await replica.terminate(pause))

        return Plan(name, f"back after {pause} s", act, *self._once_up(replica))

    def _stop_operator(self) -> "Plan | None":
        name, replica = self._replica()
        seconds = 1.0 + self._some_seconds(LONGEST_STOP_SECONDS - 1.0)
        if any(other.stopped for other in self._victims.replicas):
            return None  # one at least may work
        return Plan(name, f"for {seconds} s", lambda: replica.stand_still(seconds), *self._once_up(replica))

    def _restart_apiserver(self) -> "Plan":
        gently, pause = self._dice.random() < 0.5, self._some_seconds(8.0)

        async def act() -> None:
            plane = self._victims.plane
            await asyncio.to_thread(plane.stop_apiserver if gently else plane.kill_apiserver)
            await asyncio.sleep(pause)
            await asyncio.to_thread(plane.start_apiserver)

        return Plan("API server", f"{'SIGTERM' if gently else 'SIGKILL'}, back after {pause} s", act)

    def _restart_gitea(self) -> "Plan":
        gently, pause = self._dice.random() < 0.5, self._some_seconds(10.0)

        async def act() -> None:
            gitea = self._victims.gitea
            await asyncio.to_thread(gitea.stop if gently else gitea.kill)
            await asyncio.sleep(pause)
            self.locks += _remove_locks(gitea)
            await asyncio.to_thread(gitea.start)

        return Plan("Gitea", f"{'SIGTERM' if gently else 'SIGKILL'}, back after {pause} s", act)

    def _ingress_away(self) -> "Plan":
        seconds = self._some_seconds(20.0)
        return Plan("ingress", f"for {seconds} s", lambda: self._victims.ingress.be_away(seconds))

    def _spoil_watch(self) -> "Plan":
        name, replica = self._replica()
        target = StaleTarget(self._dice.choice(HEARD), self._dice.choice(WATCHED), self._dice.randint(1, 4))

        async def act() -> None:
            replica.watches.begin(target)

        return Plan(f"watch of {name}", f"{target.kind}: {target}", act)


def _remove_locks(gitea: Gitea) -> int:
    left = list(gitea.repositories.rglob("*.lock"))
    for lock in left:
        lock.unlink()
    return len(left)


@dataclass(frozen=True)
class Plan:
    """While it is carried out nothing else happens to its victim."""

    victim: str
    how: str
    act: Callable[[], Awaitable[None]]
    once_up: Replica | None = None
    """Who has to be up before that, and to have worked for `work` seconds."""
    work: float = 0.0


KINDS: Mapping[str, tuple[float, Callable[[Chaos], Plan | None]]] = {
    "operator SIGKILL": (40, Chaos._kill_operator),
    "operator SIGTERM": (12, Chaos._terminate_operator),
    "operator SIGSTOP and on": (7, Chaos._stop_operator),
    "API server restarted": (5, Chaos._restart_apiserver),
    "Gitea restarted": (9, Chaos._restart_gitea),
    "ingress away": (10, Chaos._ingress_away),
    "watch spoiled": (12, Chaos._spoil_watch),
}
