"""The servers of `whole-path`: control plane, Gitea, a stand-in for Plane, ingress, and a node that answers at once.

Gitea and Plane send their webhooks to the ingress, as in production.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx

from benchmarks import machine
from benchmarks.store import say
from conveyor.api.names import item_name
from conveyor.api.stages import Role
from conveyor_ingress.secrets import CHECK_SECONDS
from examples.demo import programs
from examples.demo.forge import HOOK_EVENTS
from examples.demo.mounted_secret import mount
from tests.cluster import binaries, crds
from tests.cluster.api import AsyncKube, Kube
from tests.cluster.control_plane import ControlPlane
from tests.cluster.gitea import Gitea, GiteaError
from tests.cluster.node import Outcome, Pod
from tests.cluster.processes import Server, free_ports, temporary_directory
from tests.fakes.plane import FakePlane
from tests.faults.agents import Agents, Work
from tests.faults.audit import Audit
from tests.faults.objects import HEALTHY
from tests.faults.project import CI_CONTEXT, Accounts, Project, accounts
from tests.faults.scenarios import WHOLE

NAMESPACE = "shop"
SECRETS = f"/api/v1/namespaces/{NAMESPACE}/secrets"
REPOSITORIES = f"/apis/conveyor.dev/v1alpha1/namespaces/{NAMESPACE}/repositories"
TRACKER_REQUESTS_PER_MINUTE = 100_000
"""Plane's own limit, 60 unless it is told otherwise, would be what is measured."""
READY_SECONDS = 300.0
TRIES = 5
PAUSE_SECONDS = 1.0
SERVERS = ("etcd", "kube-apiserver", "kube-controller-manager", "gitea")
RETEST_SECONDS = 3600
"""The first to come to the re-test wait there for the last: that is no CI that is silent."""

T = TypeVar("T")
MONITOR = {"windowSeconds": 10, "intervalSeconds": 5}

Object = dict[str, Any]


@dataclass(frozen=True)
class Item:
    """One of a lane's, by its place there from 0; `ticket` is its id in the tracker."""

    name: str
    lane: str
    place: int
    ticket: str


def patiently(ask: Callable[[], T]) -> T:
    """Again where Gitea does not answer in time, or says 5xx: an agent or a CI would do so, too."""
    for left in reversed(range(TRIES)):
        try:
            return ask()
        except httpx.TransportError as error:
            say(f"Gitea did not answer in time ({type(error).__name__}), {left} tries left")
        except GiteaError as error:
            if error.code < 500:
                raise
            say(f"{str(error)[:200]}, {left} tries left")
            time.sleep(PAUSE_SECONDS)
    raise TimeoutError("Gitea does not answer")


class PatientAgents(Agents):
    def _work(self, pod: Pod, work: Work) -> Outcome:
        return patiently(lambda: super(PatientAgents, self)._work(pod, work))


class WholeWorld:
    """`async with`: all Repositories are Ready, the tickets written, none started."""

    def __init__(self, *, lanes: int, items: int) -> None:
        self.lanes = {f"lane-{number:02d}": f"L{number:02d}" for number in range(lanes)}
        self._per_lane = items
        self.items: dict[str, Item] = {}
        self.projects: dict[str, Project] = {}
        self._stack = contextlib.AsyncExitStack()
        self.directory = self._stack.enter_context(temporary_directory("bench"))
        self.control = ControlPlane(self.directory / "cluster", say=say)
        self.gitea = Gitea(self.directory / "gitea", say=say)
        self.tracker = FakePlane(requests_per_minute=TRACKER_REQUESTS_PER_MINUTE)
        self.result = self.directory / "operator.json"

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _start(self) -> None:
        enter = self._stack.enter_async_context
        await asyncio.to_thread(binaries.ensure, [*binaries.CONTROL_PLANE, "gitea"], say)
        for place in (self.control, self.gitea):
            self._stack.push(place)
        await asyncio.gather(asyncio.to_thread(self.control.start), asyncio.to_thread(self.gitea.start))
        self.directory.joinpath("logs").mkdir()
        await enter(self.tracker)
        self.kube = await enter(AsyncKube(self.control.kubeconfig))
        say(f"setting up {len(self.lanes)} repositories")
        ingress = programs.ingress(self.directory / "logs", self.control.kubeconfig, mounted=self.directory / "mounted")
        projects = {lane: self._write_tickets(lane, prefix) for lane, prefix in self.lanes.items()}
        hook = self.tracker.add_webhook(f"{ingress.url}/webhooks/plane/{NAMESPACE}")
        await asyncio.to_thread(self._furnish, ingress.url, projects, hook.secret)
        self.audit = await enter(Audit(self.control.kubeconfig, NAMESPACE))
        self.agents = await enter(PatientAgents(self.control.kubeconfig, NAMESPACE, deploys=self.directory / "deploys"))
        for item in self.items.values():
            self.agents.works[item.name] = Work(
                self.projects[item.lane], coverage=50.0 + item.place, beside={"tester": Project.move_main}
            )
        mounting = asyncio.create_task(
            mount(self.kube, f"{SECRETS}/conveyor-ingress-secrets", self.directory / "mounted")
        )
        self._stack.callback(mounting.cancel)
        self.operator, self._ingress = self._operator(), ingress.server
        for server in (ingress.server, self.operator):
            self._stack.callback(server.stop)
            await asyncio.to_thread(server.start)
        await self._until_ready()

    def cpu_seconds(self) -> dict[str, float]:
        """Processor time so far of everything that is at work here. Agents, people and Plane are this process."""
        pids = machine.servers(self.directory, SERVERS) | {"operator": self.operator.pid, "ingress": self._ingress.pid}
        found = {name: machine.cpu_seconds(pid, children=True) for name, pid in sorted(pids.items())}
        return found | {"the benchmark itself": machine.cpu_seconds("self")}

    async def metrics(self) -> str:
        """The API server's."""

        def read() -> str:
            with Kube(self.control.kubeconfig) as kube:
                return kube.raw("/metrics")

        return await asyncio.to_thread(read)

    def _operator(self) -> Server:
        (port,) = free_ports(1)
        settings = {
            "KUBECONFIG": self.control.kubeconfig,
            "POD_NAMESPACE": NAMESPACE,
            "NAMESPACES": NAMESPACE,
            "HTTP_ADDRESS": f"127.0.0.1:{port}",
            "ALLOWED_HOSTS": "127.0.0.1",
            "AGENT_TOOLS_IMAGE": "conveyor:bench",
            "MAX_CONCURRENT_RUNS": len(self.lanes),
            "TRACKER_REQUESTS_PER_MINUTE": TRACKER_REQUESTS_PER_MINUTE,
        }
        command: list[str | Path] = [sys.executable, "-m", "benchmarks.whole_path_process", self.result]
        program = programs.started_as(
            "operator", command, self.directory / "logs", settings=settings, ports=(port, port)
        )
        return program.server

    # --- who was there before

    def _write_tickets(self, lane: str, prefix: str) -> str:
        """Gives the project's id."""
        tracked = self.tracker.create_project(lane, prefix)
        for place in range(self._per_lane):
            ticket = self.tracker.create_ticket(tracked.id, "Let customers pay by invoice", state="Backlog")
            name = item_name(lane, ticket.key) or ""
            self.items[name] = Item(name, lane, place, ticket.id)
        return tracked.id

    def _furnish(self, ingress: str, projects: Mapping[str, str], plane_secret: str) -> None:
        made = accounts(self.gitea)
        hooks = {"gitea": secrets.token_urlsafe(16), "plane": plane_secret}
        with Kube(self.control.kubeconfig) as kube:
            crds.install(kube)
            kube.post("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
            forge = {"url": self.gitea.url}
            given = {
                "forge": forge | {"token": made.users["conveyor"].token},
                "forge-agents": forge | made.role_tokens(),
                "tracker": {"url": self.tracker.url, "token": self.tracker.api_key},
                **{f"webhook-{sender}": {"secret": secret} for sender, secret in hooks.items()},
            }
            for name, values in given.items():
                body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": values}
                kube.post(SECRETS, body)
            for lane, project_id in projects.items():
                project = self.projects[lane] = Project(self.gitea, made, lane)
                address = f"{ingress}/webhooks/gitea/{NAMESPACE}/{lane}"
                self.gitea.create_hook(project.repository, url=address, secret=hooks["gitea"], events=HOOK_EVENTS)
                body = {"apiVersion": "conveyor.dev/v1alpha1", "kind": "Repository", "metadata": {"name": lane}}
                kube.post(REPOSITORIES, body | {"spec": self._spec(made, lane, tracked=project_id)})

    def _spec(self, made: Accounts, lane: str, *, tracked: str) -> Object:
        """All there is, people at both gates."""
        whole: Object = json.loads(json.dumps(WHOLE.spec).replace(HEALTHY, f"{self.gitea.url}/api/healthz"))
        ci = {"contexts": [CI_CONTEXT], "creators": [made.users["ci-bot"].name]}
        return whole | {
            "forge": {
                "url": self.gitea.url,
                "owner": made.owner,
                "name": lane,
                "credentialsSecretRef": {"name": "forge"},
                "webhookSecretRef": {"name": "webhook-gitea"},
            },
            "tracker": {
                "url": self.tracker.url,
                "workspace": self.tracker.workspace,
                "projectID": tracked,
                "identifier": self.lanes[lane],
                "credentialsSecretRef": {"name": "tracker"},
                "webhookSecretRef": {"name": "webhook-plane"},
            },
            "agents": [{"role": role.value, "image": "agent:1"} for role in Role],
            "agentCredentialsSecretRef": {"name": "forge-agents"},
            "gates": whole["gates"] | {"ci": ci, "approval": {"analysis": "Person", "deploy": "Person"}},
            "merge": {"retestTimeoutSeconds": RETEST_SECONDS},
            "monitor": whole["monitor"] | MONITOR,
        }

    async def _until_ready(self) -> None:
        """Ready, and known to the ingress: a ticket that it ignored would be found by the poll, half a minute later."""
        end = time.monotonic() + READY_SECONDS
        while problems := {self._problem(lane) for lane in self.lanes} - {"True"}:
            if time.monotonic() > end:
                raise TimeoutError(f"not Ready: {problems}\n{self.operator.log_tail()}")
            await asyncio.sleep(0.2)
        await asyncio.sleep(2 * CHECK_SECONDS)

    def _problem(self, lane: str) -> str:
        if not (self.directory / "mounted" / f"gitea.{NAMESPACE}.{lane}").exists():
            return "its webhook secrets are not mounted"
        starts = (self.audit.repository(lane).get("tracker") or {}).get("startStateIDs")
        return self.audit.ready(lane) if starts else "its starting states are not known"
