"""One operator with its two proxies in a namespace of its own, through which cases go one after the other."""

import asyncio
import contextlib
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.cluster import kubeconfig as kubeconfigs
from tests.cluster.api import MERGE, ApiError, AsyncKube
from tests.cluster.gitea import Gitea
from tests.faults.agents import Agents, Work
from tests.faults.audit import REPOSITORY, Audit
from tests.faults.desk import Desk
from tests.faults.objects import AGENTS, FORGE, repository_spec, write_kubeconfig
from tests.faults.project import Accounts, Project
from tests.faults.proxy import Proxy, Upstream
from tests.faults.stale import Watches
from tests.integration.engine_process import OperatorProcess

Object = dict[str, Any]
SHORTER = """
import conveyor.cluster.connection as c; c.READ_SECONDS, c.WRITE_SECONDS = 5.0, 5.0
import conveyor.web.client as w; w.IDLE_SECONDS = 5.0
import conveyor.engine.resync as r; r.RESYNC_SECONDS = 60.0
"""
"""Nobody waits twenty seconds for each answer that never comes, nor five minutes for what a watch has lost."""
SETTINGS = {"RECONCILE_INTERVAL_SECONDS": 1, "GRACE_DEFAULT_SECONDS": 1, "AGENT_TOOLS_IMAGE": "conveyor:test"}
READY_SECONDS, GONE_SECONDS = 90.0, 30.0


@dataclass(frozen=True)
class Servers:
    """What all lanes share."""

    kubeconfig: Path
    gitea: Gitea
    accounts: Accounts
    directory: Path


class NotReadyError(Exception):
    """The lane could not begin a case; the message says why."""


class Lane:
    """`async with`. `spec` is more of its one Repository's spec.

    `resync` shortens the operator's relist, `patch` is code that runs in the operator before it.
    """

    def __init__(
        self,
        servers: Servers,
        namespace: str,
        spec: Mapping[str, Any],
        *,
        resync: float | None = None,
        patch: str = "",
    ) -> None:
        self.servers, self.namespace, self._spec = servers, namespace, spec
        self.directory = servers.directory / namespace
        self.desk, self.watches = Desk(self._crash), Watches()
        self.audit = Audit(servers.kubeconfig, namespace)
        self.agents = Agents(servers.kubeconfig, namespace, deploys=self.directory / "deploys")
        self.crashes = 0
        self.seen: Mapping[str, int] = {}
        """How many events of each resource the operator was sent in the last case."""
        self._resync, self._patch = resync, patch
        self._stack = contextlib.AsyncExitStack()

    @property
    def log(self) -> Path:
        return self.directory / "operator.log"

    async def __aenter__(self) -> Self:
        self.directory.mkdir(parents=True)
        async with contextlib.AsyncExitStack() as stack:
            await self._start(stack)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def _start(self, stack: contextlib.AsyncExitStack) -> None:
        enter, connection = stack.enter_async_context, kubeconfigs.read(self.servers.kubeconfig)
        self.kube = await enter(AsyncKube(self.servers.kubeconfig))
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}}
        await self.kube.request("POST", "/api/v1/namespaces", body=body)
        stack.push_async_callback(self.kube.request, "DELETE", f"/api/v1/namespaces/{self.namespace}")
        await self._until_service_account()
        await enter(self.audit)
        await enter(self.agents)
        self.upstream = Upstream(connection.server, connection.tls, connection.token or "")
        self.api = await enter(Proxy(self.upstream, self.desk, self.watches))
        self.forge = await enter(Proxy(Upstream(self.servers.gitea.url), self.desk))
        await self._secret(FORGE, token=self.servers.accounts.users["conveyor"].token)
        await self._secret(AGENTS, **self.servers.accounts.role_tokens())
        self.operator = OperatorProcess(
            write_kubeconfig(self.directory / "kubeconfig", self.api.url),
            self.namespace,
            self.log,
            resync=self._resync,
            before=SHORTER + self._patch,
            **await self._settings(),
        )
        stack.enter_context(self.operator)
        self.project = await asyncio.to_thread(Project, self.servers.gitea, self.servers.accounts, self.namespace)
        # CI looks at open heads whenever the operator has written to the forge.
        self.forge.wrote = lambda: asyncio.to_thread(self.project.call_open_heads_green)
        await self._make_repository()

    async def _settings(self) -> Object:
        """Of the operator."""
        return {"POD_NAMESPACE": self.namespace} | SETTINGS

    async def _make_repository(self) -> None:
        spec = repository_spec(
            self.servers.accounts,
            self.project,
            self._spec,
            forge=self.forge.url,
            healthy=f"{self.servers.gitea.url}/api/healthz",
        )
        await self._create("Repository", "repositories", REPOSITORY, spec)
        await self.until(lambda: self.audit.ready() == "True", READY_SECONDS)
        if self.audit.ready() != "True":
            said = "\n".join(self.log.read_text().splitlines()[-15:])
            raise NotReadyError(f"the Repository, in {READY_SECONDS:.0f} s: {self.audit.ready()}\n{said}")

    async def _until_service_account(self) -> None:
        async with asyncio.timeout(READY_SECONDS):
            while True:
                try:
                    await self.kube.request("GET", f"/api/v1/namespaces/{self.namespace}/serviceaccounts/default")
                except ApiError as error:
                    if error.code != 404:
                        raise
                    await asyncio.sleep(0.05)
                else:
                    return

    async def _secret(self, name: str, **values: str) -> None:
        body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}}
        body |= {"stringData": values | {"url": self.forge.url}}
        await self.kube.request("POST", f"/api/v1/namespaces/{self.namespace}/secrets", body=body)

    def _crash(self) -> None:
        """The operator dies and a new one starts, as a Deployment would have it."""
        self.crashes += 1
        self.operator.restart()

    # --- cases

    async def begin(self, name: str, work: Work) -> None:
        self.agents.works[name] = work
        spec = {"repositoryRef": {"name": REPOSITORY}, "title": "A small change"}
        await self._create("WorkItem", "workitems", name, spec)

    async def _create(self, kind: str, plural: str, name: str, spec: Object) -> None:
        body = {"apiVersion": "conveyor.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}
        await self.kube.request("POST", self.path(plural), body=body)

    def path(self, plural: str, name: str = "") -> str:
        return f"/apis/conveyor.dev/v1alpha1/namespaces/{self.namespace}/{plural}" + (f"/{name}" if name else "")

    async def until(self, condition: Callable[[], object], seconds: float, *, per_fault: float = 0.0) -> float:
        """Until it holds or the time is over, to which each write that went wrong adds; gives the seconds it took."""
        began = time.monotonic()
        while not condition() and time.monotonic() - began < seconds + per_fault * self.desk.faults:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        return time.monotonic() - began

    async def unfreeze(self) -> None:
        """As a person does it."""
        asked = {"request.conveyor.dev/unfreeze": f"{secrets.token_hex(4)} by=tests all"}
        body: Object = {"metadata": {"annotations": asked}}
        await self.kube.request("PATCH", self.path("repositories", REPOSITORY), body=body, content_type=MERGE)
        await self.until(lambda: not self.audit.repository().get("effectiveFreeze"), GONE_SECONDS)

    async def remove(self, name: str) -> bool:
        """The item is deleted; whether it goes away within a while."""
        await self.kube.request("DELETE", self.path("workitems", name))
        await self.until(lambda: self.audit.is_gone(name), GONE_SECONDS)
        self.agents.works.pop(name, None)
        return self.audit.is_gone(name)
