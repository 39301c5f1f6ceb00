"""Two operators on one item: a request of the first is held on its way while something happens to it.

The second one follows and brings the item to its end. Then the held request arrives, and the first goes on, if it can.
"""

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from tests.cluster.api import STRATEGIC
from tests.faults.agents import Work
from tests.faults.desk import Desk, Write
from tests.faults.judge import Evidence, errors, findings, unfinished
from tests.faults.lane import SHORTER, Lane, Object, Servers
from tests.faults.objects import write_kubeconfig
from tests.faults.proxy import Proxy
from tests.faults.scenarios import PLAIN
from tests.integration.engine_process import OperatorProcess

SOONER = """
import conveyor.app.leader as l; l.LEASE_SECONDS, l.RENEW_DEADLINE_SECONDS, l.RENEW_SECONDS = 6, 4.0, 1.0
import conveyor.engine.leases as e; e.RENEW_SECONDS, e.LAST_LOOK_SECONDS = 4.0, 10.0
import conveyor.engine.renewing as r; r.RENEW_SECONDS = 4.0
"""
"""Nobody waits fifteen seconds for a leader, nor sixty for a Lease (`LEASE_SECONDS`)."""
LEASE_SECONDS = 20
LEADER = "conveyor-operator"
HELD_SECONDS, DONE_SECONDS, END_SECONDS, QUIET_SECONDS = 120.0, 120.0, 30.0, 1.0
LOST = "leadership"
ITEM = "c1"


class Holding(Desk):
    """Holds the first write of this name until `go` is set."""

    def __init__(self, crash: Callable[[], None], name: str) -> None:
        super().__init__(crash)
        self.name, self.arrived, self.go = name, asyncio.Event(), asyncio.Event()
        self.held: Write | None = None

    async def before(self, write: Write) -> None:
        if write.name == self.name and self.held is None:
            self.held = write
            self.arrived.set()
            await self.go.wait()


class Pair(Lane):
    """`async with`. The first operator leads; the second stands by, where there is one. Each is in a pod."""

    def __init__(self, servers: Servers, namespace: str, write: str, *, with_second: bool = True) -> None:
        super().__init__(servers, namespace, PLAIN.spec, patch=SOONER)
        self.desk: Holding = Holding(self._crash, write)
        self.other_desk = Desk(lambda: None)
        self._with_second = with_second

    async def _start(self, stack: contextlib.AsyncExitStack) -> None:
        await super()._start(stack)
        if not self._with_second:
            return
        api = await stack.enter_async_context(Proxy(self.upstream, self.other_desk))
        self.other = OperatorProcess(
            write_kubeconfig(self.directory / "other.kubeconfig", api.url),
            self.namespace,
            self.directory / "other.log",
            before=SHORTER + SOONER,
            **await self._in_pod("operator-1"),
        )
        stack.enter_context(self.other)
        async with asyncio.timeout(HELD_SECONDS):
            while not await asyncio.to_thread(self.other.is_ready):  # noqa: ASYNC110 - tells nobody
                await asyncio.sleep(0.2)

    async def _settings(self) -> Object:
        return await self._in_pod("operator-0")

    async def _in_pod(self, name: str) -> Object:
        """The settings of an operator in a pod that runs, as far as anybody can tell."""
        path = f"/api/v1/namespaces/{self.namespace}/pods"
        body: Object = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}}
        spec = {"containers": [{"name": "operator", "image": "operator:1"}]}
        made = await self.kube.request("POST", path, body=body | {"spec": spec})
        entry: Object = {"name": "operator", "image": "x", "imageID": "", "ready": True, "restartCount": 0}
        entry["state"] = {"running": {"startedAt": made["metadata"]["creationTimestamp"]}}
        status = {"status": {"phase": "Running", "containerStatuses": [entry]}}
        await self.kube.request("PATCH", f"{path}/{name}/status", body=status, content_type=STRATEGIC)
        own = {"POD_UID": made["metadata"]["uid"], "POD_NAME": name, "TRANSITION_LEASE_SECONDS": LEASE_SECONDS}
        return await super()._settings() | own

    def leader(self) -> str:
        """Who holds the leader's Lease."""
        return str((self.audit.leases.get(LEADER, {}).get("spec") or {}).get("holderIdentity") or "")

    # --- what happens to the first

    async def stand_still(self) -> None:
        self.operator.send(signal.SIGSTOP)

    async def end_in_order(self) -> None:
        self.operator.send(signal.SIGTERM)

    async def start_again(self) -> None:
        self.operator.restart()

    async def lose_its_pod(self) -> None:
        """Its object is gone and it does not renew, yet the process lives: the proof of its death is wrong."""
        self.operator.send(signal.SIGSTOP)
        path = f"/api/v1/namespaces/{self.namespace}/pods/operator-0"
        await self.kube.request("DELETE", path, body={"gracePeriodSeconds": 0})


@dataclass(frozen=True)
class Race:
    """`write` is held while `act` happens to its sender."""

    write: str
    act: Callable[[Pair], Awaitable[None]]
    ends: int | None = None
    """With what the first operator ends afterwards; None: it works on."""
    with_second: bool = True


@dataclass
class Result:
    findings: list[str]
    answers: list[int]
    """What the held request was answered in the end."""
    accepted: list[str]
    """Status writes of the first operator that were carried out after another had followed it."""
    log: str = field(repr=False)


async def run(servers: Servers, namespace: str, race: Race) -> Result:
    async with Pair(servers, namespace, race.write, with_second=race.with_second) as pair:
        before = await asyncio.to_thread(pair.project.look)
        work = Work(pair.project)
        await pair.begin(ITEM, work)
        async with asyncio.timeout(HELD_SECONDS):
            await pair.desk.arrived.wait()
        leader = pair.leader()
        await race.act(pair)
        await pair.until(lambda: pair.leader() not in ("", leader), HELD_SECONDS)
        followed = len(pair.desk.writes)
        await pair.until(lambda: not any(unfinished(pair.audit, ITEM, PLAIN.expected)), DONE_SECONDS)
        pair.desk.go.set()
        pair.operator.send(signal.SIGCONT)
        wrong = await _ended(pair, race)
        await asyncio.sleep(QUIET_SECONDS)
        logs = pair.log.read_text() + ((pair.directory / "other.log").read_text() if race.with_second else "")
        evidence = Evidence(
            audit=pair.audit,
            name=ITEM,
            found=(await asyncio.to_thread(pair.project.look)).since(before),
            ran=list(work.ran),
            offences=[*pair.desk.offences, *pair.other_desk.offences, *pair.audit.offences],
        )
        wrong += [*findings(evidence, PLAIN.expected), *(line for line in errors(logs) if LOST not in line)]
        late = [write for write in pair.desk.writes[followed:] if race.with_second and write.name.startswith("item:")]
        accepted = [str(write) for write in late if any(code < 400 for code in write.answers)]
        assert pair.desk.held is not None
        return Result(wrong, pair.desk.held.answers, accepted, logs[-6000:])


async def _ended(pair: Pair, race: Race) -> list[str]:
    if race.ends is None:
        return []
    await pair.until(lambda: not pair.operator.is_running(), END_SECONDS)
    if pair.operator.is_running():
        return [f"half: the first operator works on after {END_SECONDS:.0f} s"]
    code = pair.operator.ended(within=1)
    return [] if code == race.ends else [f"error: the first operator ended with {code}, wanted {race.ends}"]
