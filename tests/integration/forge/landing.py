"""An item about to be merged, carried on by the real engine over a real Gitea; Kubernetes and time are in memory.

What goes wrong on the wire to Gitea, or comes in between, is said to `Wire`: it happens once, at one kind of request.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

import httpx

from conveyor.api.objects import Repository as RepositoryObject
from conveyor.api.stages import Role, Stage
from conveyor.api.workitem import PullRequestRef
from conveyor.cluster.protocol import Cluster, JSONObject, Key, Kind
from conveyor.engine.connections import Connections
from conveyor.forge.change_id import change_id
from conveyor.forge.gitea import Gitea
from conveyor.pipeline.facts import PullRequest
from conveyor.tracker.protocol import Tracker
from conveyor.web.client import Credentials, WebClient
from conveyor.web.hosts import AllowedHosts
from conveyor.web.transport import GuardedTransport
from tests.cluster.gitea import Gitea as Server
from tests.cluster.gitea import Repository, User
from tests.integration.forge.conftest import patiently
from tests.unit.engine.rig import Rig
from tests.unit.pipeline.builders import gate, last_run, status

Forward = Callable[[], Awaitable[httpx.Response]]
Meddler = Callable[[Forward], Awaitable[httpx.Response]]


class Wire(GuardedTransport):
    """Requests whose path ends so are handed to whoever meddles, the first to the first. `sent`: all of them."""

    def __init__(self) -> None:
        super().__init__(connections=4)
        self.meddlers: dict[str, list[Meddler]] = {}
        self.sent: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        async def forward() -> httpx.Response:
            return await GuardedTransport.handle_async_request(self, request)

        if request.method != "POST":
            return await forward()
        name = request.url.path.rsplit("/", 1)[-1]
        self.sent.append(name)
        waiting = self.meddlers.get(name, [])
        return await (waiting.pop(0)(forward) if waiting else forward())

    def meddle(self, name: str, meddler: Meddler) -> None:
        self.meddlers.setdefault(name, []).append(meddler)


class _Connections(Connections):
    def __init__(self, forge: Gitea, logins: Mapping[str, str], cluster: Cluster) -> None:
        self._gitea, self._names, self._cluster = forge, logins, cluster

    async def forge(self, repository: RepositoryObject) -> Gitea:
        return self._gitea

    async def tracker(self, repository: RepositoryObject) -> Tracker | None:
        return None

    async def agent_logins(self, repository: RepositoryObject) -> Mapping[str, str]:
        return self._names

    async def secret(self, key: Key) -> Mapping[str, str]:
        return await self._cluster.secret(key)

    def forget_secrets(self, repository: object) -> None:
        return

    def forget(self, repository: Key) -> None:
        return


@dataclass
class Place:
    """A repository of many tests; each has its own base branch in it."""

    server: Server
    repository: Repository
    operator: User
    developer: User
    reviewer: User


@dataclass
class Landing:
    place: Place
    forge: Gitea
    wire: Wire
    base: str = field(default_factory=lambda: f"base-{secrets.token_hex(3)}")
    rig: Rig = field(default_factory=Rig)
    item: Key = field(default_factory=lambda: Key("team", "cart"))
    number: int = 0
    head: str = ""
    """The head that was reviewed and tested."""

    @property
    def branch(self) -> str:
        return f"feature/{self.base}"

    # --- what people do

    def api(self, method: str, path: str, *, by: User | None = None, **kwargs: object) -> JSONObject:
        whole = self.place.repository.path + path
        found: JSONObject = self.place.server.api(method, whole, token=by.token if by else None, **kwargs)  # type: ignore[arg-type]
        return found

    def push(self, files: dict[str, str], *, branch: str, new: str = "") -> str:
        return self.place.server.commit(self.place.repository, files, message="Change", branch=branch, new=new)

    def push_base(self, files: dict[str, str] | None = None) -> str:
        return self.push(files or {f"{secrets.token_hex(3)}.txt": "theirs\n"}, branch=self.base)

    def replace_head(self, files: dict[str, str]) -> str:
        """A forced push: another commit in place of the reviewed one, on the same base."""
        aside = f"aside-{secrets.token_hex(3)}"
        parent = self.api("GET", f"/git/commits/{self.head}")["parents"][0]["sha"]
        self.api("POST", "/branches", json={"new_branch_name": aside, "old_ref_name": parent})
        new = self.push(files, branch=aside)
        moved = {"new_commit_id": new, "old_commit_id": self.head, "force": True}
        self.api("PUT", f"/branches/{self.branch}", json=moved)
        return new

    def ci(self, commit: str, state: str = "success") -> None:
        self.api("POST", f"/statuses/{commit}", json={"context": "ci", "state": state})

    def lock_pull(self) -> None:
        """From now on Gitea cannot bring refs/pull/N/head after the branch, as if it died just before that."""
        (self.place.server.bare(self.place.repository) / f"refs/pull/{self.number}/head.lock").touch()

    def merge_by_hand(self, style: str) -> None:
        pull = self.api("GET", f"/pulls/{self.number}")
        self.api("POST", f"/pulls/{self.number}/merge", json={"Do": style, "head_commit_id": pull["head"]["sha"]})

    # --- what is there

    async def pull(self) -> PullRequest:
        found = await self.forge.pull_request(self.number)
        assert found is not None
        return found

    async def base_head(self) -> str:
        found = await self.forge.branch_head(self.base)
        assert found is not None
        return found

    @property
    def stage(self) -> str:
        return self.rig.stage(self.item)

    @property
    def status(self) -> JSONObject:
        return self.rig.status(self.item)

    def stalled(self) -> str:
        return self.rig.condition(self.item, "Stalled", Kind.WORKITEM)[1]

    # --- the way

    async def begin(self, files: dict[str, str] | None = None) -> None:
        """Reviewed on Gitea by the reviewer, green, tested, and in deploy-staging."""
        self.api("POST", "/branches", json={"new_branch_name": self.base, "old_ref_name": "main"})
        self.head = self.push(files or {"ours.txt": "ours\n"}, branch=self.base, new=self.branch)
        opened = await self.forge.open_pull_request(head=self.branch, base=self.base, title="A cart", body="")
        self.number = opened.number
        review = {"event": "APPROVED", "commit_id": self.head}
        self.api("POST", f"/pulls/{self.number}/reviews", by=self.place.reviewer, json=review)
        self.ci(self.head)
        change = change_id(await patiently(lambda: self.forge.diff(self.number)))
        self._store(change, base_sha=await self.base_head())
        self.wire.sent.clear()

    def _store(self, change: str, *, base_sha: str) -> None:
        logins = {role.value: self.place.developer.name for role in Role} | {Role.REVIEWER: self.place.reviewer.name}
        self.rig.connections = _Connections(self.forge, logins, self.rig.cluster)
        self.rig.crew.keeps = frozenset(Role)
        address = {"url": self.place.server.url, "owner": self.place.repository.owner}
        self.rig.repository(
            forge=address
            | {
                "name": self.place.repository.name,
                "defaultBranch": self.base,
                "credentialsSecretRef": {"name": "git"},
            }
        )
        self.rig.item()
        stored = status(
            Stage.DEPLOY_STAGING,
            branch=self.branch,
            base_branch=self.base,
            base_sha=base_sha,
            head_sha=self.head,
            change_id=change,
            pull_request=PullRequestRef(number=self.number, url="u"),
            last_run=last_run(Stage.TESTING, sha=self.head),
            gates=tuple(
                gate(name, head_sha=self.head, change_id=change) for name in ("review_approved", "tests_passed")
            ),
        )
        self.rig.cluster.store.set_status(Kind.WORKITEM, self.item, stored.dump())

    async def run(self, seconds: float = 60) -> None:
        """On for so long at most, by the engine's clock."""
        await self.rig.run(self.item, until=seconds)

    async def run_to_the_end(self) -> None:
        """With CI green on whatever head there is."""
        for _ in range(20):
            await self.run()
            if self.stage in ("done", "deploy"):
                return
            pull = await self.pull()
            if pull.state == "open" and not await self.forge.statuses(pull.head_sha):
                self.ci(pull.head_sha)
        raise AssertionError(f"it does not get to its end: {self.stage} {self.rig.waiting(self.item)}")


def landing(place: Place) -> Landing:
    wire = Wire()
    credentials = Credentials("Authorization", f"token {place.operator.token}", place.server.url)
    web = WebClient(f"{place.server.url}/api/v1", credentials, allowed=AllowedHosts(("127.0.0.1",)), transport=wire)
    return Landing(place, Gitea(web, owner=place.repository.owner, name=place.repository.name), wire)
