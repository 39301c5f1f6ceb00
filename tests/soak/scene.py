"""Everything a soak needs, started in order and ended the other way round."""

import asyncio
import contextlib
import random
import secrets
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.cluster.api import AsyncKube
from tests.cluster.control_plane import ControlPlane
from tests.cluster.gitea import Gitea
from tests.cluster.pod_api import PodApi
from tests.faults.objects import AGENTS, FORGE, repository_spec
from tests.faults.project import Accounts, Project
from tests.faults.proxy import Proxy, Upstream
from tests.soak.chaos import Chaos, Victims
from tests.soak.dice import Dice
from tests.soak.history import History
from tests.soak.ingress import ingress
from tests.soak.people import Health, Job, People
from tests.soak.replica import Place, Replica, replica
from tests.soak.ways import PLOTS
from tests.soak.workers import Workers

Object = dict[str, Any]
FAULT_RATE = 0.025
"""Of all writes: one or two for each item."""
READY_SECONDS = 120.0
REPLICAS = 2
LEADER = "conveyor-operator"


@dataclass(frozen=True)
class Servers:
    plane: ControlPlane
    gitea: Gitea
    accounts: Accounts
    logs: Path
    pace: float = 1.0


@dataclass(frozen=True)
class Scene:
    history: History
    people: People
    workers: Workers
    projects: Mapping[str, Project]
    replicas: tuple[Replica, ...]
    forge_desk: Dice
    chaos: Chaos
    jobs: list[Job]

    @property
    def desks(self) -> tuple[Dice, ...]:
        return (self.forge_desk, *(replica.desk for replica in self.replicas))

    def leader(self) -> Replica | None:
        """By the Lease: who has sent what arrives at the forge, almost always."""
        holder = (self.history.leases.get(LEADER, {}).get("spec") or {}).get("holderIdentity") or ""
        return next((one for one in self.replicas if f"/{one.process.pid}." in holder), None)


async def set_up(stack: contextlib.AsyncExitStack, servers: Servers, seed: int) -> Scene:
    """Until all Repositories are ready, and nothing was disturbed yet. Raises TimeoutError where they do not get so."""
    dice, enter = random.Random(seed), stack.enter_async_context  # noqa: S311 - to be had again, not to be secret
    namespace, kubeconfig = f"soak-{secrets.token_hex(3)}", servers.plane.kubeconfig
    kube = await enter(AsyncKube(kubeconfig))
    api = PodApi(kube)
    await api.call("POST", "/api/v1/namespaces", _object("v1", "Namespace", namespace))
    history = History(kubeconfig, namespace, etcd=servers.plane.etcd_url, record=servers.logs / "history.jsonl")
    await enter(history)
    workers = await enter(Workers(kubeconfig, namespace, _dice(dice), deploys=servers.logs / "deploys"))
    people = People(api, history, namespace, dice=_dice(dice))
    projects = {plot.name: Project(servers.gitea, servers.accounts, f"{namespace}-{plot.name}") for plot in PLOTS}
    hooks = stack.enter_context(ingress(kubeconfig, namespace, servers.logs, projects=projects.items()))
    forge_desk = Dice(lambda: _crash(scene.leader()), _dice(dice), rate=0.0)
    forge = await enter(Proxy(Upstream(servers.gitea.url), forge_desk))
    for name, values in _secrets(servers.accounts, forge.url).items():
        body = _object("v1", "Secret", name) | {"stringData": values}
        await api.call("POST", f"/api/v1/namespaces/{namespace}/secrets", body)
    place = Place(kubeconfig, namespace, servers.logs)
    numbers = range(1, REPLICAS + 1)
    replicas = tuple([await enter(replica(f"operator-{one}", place, _dice(dice), rate=0.0)) for one in numbers])
    victims = Victims(servers.plane, servers.gitea, hooks, replicas)
    chaos = Chaos(victims, _dice(dice), record=servers.logs / "chaos.jsonl", pace=servers.pace)
    scene = Scene(history, people, workers, projects, replicas, forge_desk, chaos, [])
    healthy = await enter(_probed(people.health))
    for plot in PLOTS:
        spec = repository_spec(
            servers.accounts, projects[plot.name], plot.spec, forge=forge.url, healthy=f"{healthy}/{plot.name}"
        )
        await people.create("repositories", _object("conveyor.dev/v1alpha1", "Repository", plot.name) | {"spec": spec})
    async with asyncio.timeout(READY_SECONDS):
        while any(history.ready(plot.name) != "True" for plot in PLOTS):  # noqa: ASYNC110 - tells nobody
            await asyncio.sleep(0.2)
    return scene


def _dice(of: random.Random) -> random.Random:
    """Each part has its own, so that what one draws does not depend on how fast another is."""
    return random.Random(of.random())  # noqa: S311


def _crash(replica: Replica | None) -> None:
    if replica is not None:
        replica.crash()


def _object(version: str, kind: str, name: str) -> Object:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}}


def _secrets(accounts: Accounts, forge: str) -> Mapping[str, Mapping[str, str]]:
    return {
        FORGE: {"url": forge, "token": accounts.users["conveyor"].token},
        AGENTS: {"url": forge, **accounts.role_tokens()},
    }


@contextlib.asynccontextmanager
async def _probed(health: Health) -> AsyncIterator[str]:
    """What the monitors ask: one path for each Repository."""

    async def answer(request: web.BaseRequest) -> web.Response:
        return web.Response(status=500 if request.path.strip("/") in health.ill else 200)

    runner = web.ServerRunner(web.Server(answer, access_log=None), shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
