"""Everything the demo runs on, started and, whatever happens, stopped again."""

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import AsyncGenerator, Coroutine
from pathlib import Path
from typing import Any, Self

from examples.demo import lead, objects, programs
from examples.demo.forge import Forge, add_hook, set_up
from examples.demo.mounted_secret import mount
from examples.demo.site import serve
from examples.demo.tickets import NAMESPACE
from examples.demo.watching import Watched
from tests.cluster import binaries, crds
from tests.cluster.api import AsyncKube, Kube, Object
from tests.cluster.control_plane import ControlPlane
from tests.cluster.gitea import Gitea
from tests.cluster.node import ProcessNode
from tests.cluster.processes import Server, temporary_directory
from tests.fakes.plane import FakePlane

READY_SECONDS = 60.0
UNSIGNED = 401
"""The ingress's answer to an unsigned delivery, once it has a secret to compare with."""
REPOSITORIES = f"/apis/conveyor.dev/v1alpha1/namespaces/{NAMESPACE}/repositories"
MOUNTED = f"/api/v1/namespaces/{objects.SYSTEM}/secrets/conveyor-ingress-secrets"


class World:
    """`async with World(...) as world`: all of it runs, the Repositories are ready, the tickets written, none started.

    `ingress` is None where the demo goes without. Entering raises ServerFailedError, CannotBuildError, or NotReady.
    """

    node: ProcessNode
    kube: AsyncKube
    forge: Forge
    site: str
    """Where production answers."""

    def __init__(self, *, with_ingress: bool, say: binaries.Say) -> None:
        self._stack = contextlib.AsyncExitStack()
        self.say = say
        self.directory = self._stack.enter_context(temporary_directory("demo"))
        self.logs, self.places = self.directory / "logs", self.directory / "places"
        self.production = self.places / "production"
        self.control = ControlPlane(self.directory / "cluster", say=say)
        self.gitea = Gitea(self.directory / "gitea", say=say)
        self.tracker = FakePlane(requests_per_minute=programs.TRACKER_REQUESTS_PER_MINUTE)
        self.watched = Watched()
        kubeconfig = self.control.kubeconfig
        self.operator = programs.operator(self.logs, kubeconfig)
        self.ci = programs.ci(self.directory, self.logs, self.gitea.url)
        self.ingress = programs.ingress(self.logs, kubeconfig, mounted=self.directory / "mounted")
        self.with_ingress = with_ingress

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def keep_logs(self) -> Path:
        """A copy of all logs that stays when the demo ends."""
        kept = Path(tempfile.mkdtemp(prefix="conveyor-demo-logs-"))
        for log in self.directory.rglob("*.log"):
            if self.node.logs_directory not in log.parents:
                shutil.copy(log, kept)
        if self.node.logs_directory.exists():
            shutil.copytree(self.node.logs_directory, kept / "pods")
        return kept

    async def _start(self) -> None:
        for directory in (self.logs, self.production, self.places / "staging"):
            directory.mkdir(parents=True)
        await asyncio.to_thread(binaries.ensure, [*binaries.CONTROL_PLANE, "gitea"], self.say)
        self.say("starting a control plane, Gitea and a stand-in for Plane")
        for place in (self.control, self.gitea):
            self._stack.push(place)
        await asyncio.gather(asyncio.to_thread(self.control.start), asyncio.to_thread(self.gitea.start))
        enter = self._stack.enter_async_context
        await enter(self.tracker)
        self.site = await enter(serve(self.production))
        self.kube = await enter(AsyncKube(self.control.kubeconfig))
        self.node = await enter(ProcessNode(self.control.kubeconfig, images=programs.images(self.places)))
        self.say("setting up users, repositories, projects and tickets")
        await self._furnish()
        mounting = mount(self.kube, MOUNTED, self.directory / "mounted")
        await enter(background(self.watched.follow(self.kube), mounting))
        self.say("starting the operator, CI" + (" and the ingress" if self.with_ingress else "; no ingress"))
        ingress = [self.ingress.server] if self.with_ingress else []
        await self._run(self.operator.server, self.ci.server, *ingress)
        await self._until_ready()

    async def _run(self, *servers: Server) -> None:
        """Started side by side, and stopped so."""

        async def stop() -> None:
            await asyncio.gather(*(asyncio.to_thread(server.stop) for server in servers))

        self._stack.push_async_callback(stop)
        await asyncio.gather(*(asyncio.to_thread(server.start) for server in servers))

    async def _furnish(self) -> None:
        projects = lead.write_tickets(self.tracker)
        hooks = objects.hook_secrets()
        hook = self.tracker.add_webhook(f"{self.ingress.url}/webhooks/plane/{NAMESPACE}")
        self.forge = await asyncio.to_thread(self._furnish_gitea, hooks)
        await asyncio.to_thread(self._furnish_cluster, projects, hooks | {"plane": hook.secret})

    def _furnish_gitea(self, hooks: dict[str, str]) -> Forge:
        made = set_up(self.gitea)
        ci_secret = programs.give_ci(self.directory, token=made.users["ci-bot"].token)
        for name, repository in made.repositories.items():
            add_hook(self.gitea, repository, url=f"{self.ci.url}/push", secret=ci_secret)
            address = f"{self.ingress.url}/webhooks/gitea/{NAMESPACE}/{name}"
            add_hook(self.gitea, repository, url=address, secret=hooks[name])
        return made

    def _furnish_cluster(self, projects: dict[str, str], hooks: dict[str, str]) -> None:
        with Kube(self.control.kubeconfig) as kube:
            crds.install(kube)
            objects.apply_namespaces(kube)
            accounts = objects.Accounts(self.gitea, self.forge, self.tracker)
            objects.apply_secrets(kube, accounts, hooks=hooks)
            objects.apply_repositories(kube, accounts, projects=projects, site=self.site)

    async def _until_ready(self) -> None:
        """Until the operator finds nothing wrong with the Repositories, and the ingress knows its secrets."""
        problem = "the operator has not looked at the Repositories"
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(READY_SECONDS):
                while True:
                    if not (problem := await self._problem()):
                        return
                    await asyncio.sleep(0.2)
        raise NotReadyError(f"not ready after {READY_SECONDS:.0f} s: {problem}")

    async def _problem(self) -> str:
        found = (await self.kube.request("GET", REPOSITORIES))["items"]
        problem = "; ".join(filter(None, map(_not_ready, found)))
        if problem or not self.with_ingress:
            return problem
        paths = [f"plane/{NAMESPACE}", *(f"gitea/{NAMESPACE}/{name}" for name in self.forge.repositories)]
        urls = [f"{self.ingress.url}/webhooks/{path}" for path in paths]
        closed = await asyncio.to_thread(lambda: [url for url in urls if programs.status(url) != UNSIGNED])
        return f"the ingress has no secret for {', '.join(closed)}" if closed else ""


class NotReadyError(Exception):
    """The operator would not admit anything; the message says why."""


def _not_ready(repository: Object) -> str:
    name, conditions = repository["metadata"]["name"], repository.get("status", {}).get("conditions", [])
    for condition in conditions:
        if condition["type"] == "Ready":
            return "" if condition["status"] == "True" else f"{name}: {condition['reason']}: {condition['message']}"
    return f"{name}: the operator has not looked at it"


@contextlib.asynccontextmanager
async def background(*works: Coroutine[Any, Any, None]) -> AsyncGenerator[None]:
    """They run while the block does. One that fails is reported at the end of the block."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
