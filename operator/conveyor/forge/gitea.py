"""Gitea as the forge of one repository. What it does in which case: measured with Gitea 1.26."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeVar

import httpx
from pydantic import TypeAdapter

from conveyor.api.repository import Forge as ForgeSpec
from conveyor.forge import gitea_merge
from conveyor.forge import gitea_wire as wire
from conveyor.forge.change_id import patch_id
from conveyor.forge.gitea_protection import weakness
from conveyor.forge.protocol import Forge, NotComputed
from conveyor.pipeline.facts import ChangedFile, CommitStatus, ForgeReview, ForgeSettings, HookState, PullRequest
from conveyor.web.answer import Answer
from conveyor.web.client import Credentials, Params, WebClient, path
from conveyor.web.errors import Ambiguous, BadCredentials, Conflict, OutsideError, Refused, TooLarge, Unavailable
from conveyor.web.hosts import AllowedHosts

T = TypeVar("T")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_BECAUSE_OF_CONFLICT = "because of conflict"
_UP_TO_DATE = re.compile(r"HeadBranch of PR [0-9]+ is up to date")

MAX_CONTAINED = 200
"""Pairs of commits that are remembered: what is under way in one repository asks about a few."""
PAGE_SIZE = 50  # Gitea caps it there, silently
MAX_PAGES = 200
MAX_DIFF_BYTES = 20 * 2**20
MAX_SERIES = 100
"""Commits of one change that are read one by one."""
MAX_LIST_BYTES = 64 * 2**20
"""All pages of a list together: each may be as large as any answer, and one forge must not take everybody's memory."""


def connect(
    spec: ForgeSpec,
    secret: Mapping[str, str],
    *,
    allowed: AllowedHosts,
    transport: httpx.AsyncBaseTransport | None = None,
) -> Gitea:
    """Gitea for a Repository's `forge`, with the Secret it names.

    BadCredentials where the Secret lacks something, HostNotAllowed where we may not send there, or not this token.
    """
    name = spec.credentials_secret_ref.name
    for key in ("token", "url"):
        if not secret.get(key, "").strip():
            raise BadCredentials(f"Secret {name} has no key {key}")
    credentials = Credentials("Authorization", f"token {secret['token'].strip()}", secret["url"].strip())
    web = WebClient(f"{spec.url.rstrip('/')}/api/v1", credentials, allowed=allowed, transport=transport)
    return Gitea(web, owner=spec.owner, name=spec.name)


class Gitea(Forge):
    """See `Forge`. Branches and numbers are taken as given; a repository that was renamed is Refused, not followed."""

    def __init__(self, web: WebClient, *, owner: str, name: str) -> None:
        self._web = web
        self._repository = path("repos", owner, name)
        self._contained: dict[tuple[str, str], bool] = {}

    async def aclose(self) -> None:
        await self._web.aclose()

    async def settings(self, *, default_branch: str) -> ForgeSettings:
        repository = (await self._web.read("GET", self._repository)).parse(wire.REPOSITORY)
        login = await self.login()
        missing = await self._missing_protection(repository, default_branch, login=login)
        return ForgeSettings(
            login=login,
            default_branch=repository.default_branch,
            can_push=repository.permissions.push and not repository.archived,
            allow_fast_forward=repository.allow_fast_forward_only_merge,
            allow_rebase_update=repository.allow_rebase_update,
            allow_manual_merge=repository.allow_manual_merge,
            protected=not missing,
            unprotected_reason=missing,
        )

    async def branch_head(self, branch: str) -> str | None:
        """Asked of Git itself: a branch whose making was broken off stands there, and Gitea's own list lacks it
        while it refuses to make it again (measured; the next push to it puts that right).
        """
        answer = await self._maybe(self._repository + path("git", "refs", "heads", *branch.split("/")))
        return _ref(answer.parse(wire.REFS), f"refs/heads/{branch}") if answer else None

    async def changed_files(self, base: str, head: str) -> tuple[ChangedFile, ...]:
        return wire.changed_files(await self._compare(base, head, files=True))

    async def contains(self, base: str, commit: str) -> bool:
        """Of two commits this never changes, and is asked once; of a branch each time."""
        if not (_COMMIT.fullmatch(base) and _COMMIT.fullmatch(commit)):
            return (await self._compare(base, commit, files=False)).total_commits == 0
        if (base, commit) not in self._contained:
            if len(self._contained) >= MAX_CONTAINED:
                self._contained.clear()
            found = await self._compare(base, commit, files=False)
            self._contained[base, commit] = found.total_commits == 0
        return self._contained[base, commit]

    async def create_branch(self, branch: str, *, at: str) -> None:
        await self._post("branches", json={"new_branch_name": branch, "old_ref_name": at})

    async def pull_request(self, number: int) -> PullRequest | None:
        answer = await self._maybe(self._repository + path("pulls", number))
        return wire.pull_request(answer.parse(wire.PULL)) if answer else None

    async def open_pull_requests(self, *, head: str, base: str) -> tuple[PullRequest, ...]:
        # `head=` is ignored by Gitea, and GET /pulls/{base}/{head} may give an old closed one.
        pulls = await self._pages(("pulls",), wire.PULLS, params={"state": "open", "base_branch": base})
        found = {pull.number: wire.pull_request(pull) for pull in pulls}
        return tuple(
            pull for _, pull in sorted(found.items()) if (pull.head, pull.base, pull.state) == (head, base, "open")
        )

    async def open_pull_request(self, *, head: str, base: str, title: str, body: str) -> PullRequest:
        answer = await self._post("pulls", json={"head": head, "base": base, "title": title, "body": body})
        return wire.pull_request(answer.parse(wire.PULL))

    async def diff(self, number: int, *, head: str | None = None) -> bytes:
        # Gitea diffs between a merge base and a ref of its own, which follow a push or rebase up to seconds later.
        # Where it is killed meanwhile (1.26.1), no start, closing, opening or update catches up, only the next push.
        before = await self._pull(number)
        if head is not None and before.head.sha != head:
            raise Unavailable(f"pull request {number}: its head moved before its diff was read")
        if before.state == "open" and not await self._is_computed(before):
            raise NotComputed(f"pull request {number}: its head is still being computed")
        address = self._repository + path("pulls", f"{number}.diff")
        answer = await self._web.read("GET", address, params={"binary": "true"}, max_bytes=MAX_DIFF_BYTES)
        after = await self._pull(number)
        if (after.head.sha, after.merge_base) != (before.head.sha, before.merge_base):
            raise Unavailable(f"pull request {number} moved while its diff was read")
        return answer.body

    async def series(self, base: str, head: str) -> tuple[str, ...]:
        found = await self._compare(base, head, files=False)
        commits = found.commits or ()
        if not len(commits) == found.total_commits <= MAX_SERIES:
            return (head,)
        series: list[str] = []
        left = MAX_DIFF_BYTES
        for commit in reversed(commits):  # Gitea lists the newest first
            if len(commit.parents or ()) != 1:
                series.append(commit.sha)
                continue
            address = self._repository + path("git", "commits", f"{commit.sha}.diff")
            try:
                patch = (await self._web.read("GET", address, max_bytes=left)).body
            except TooLarge:
                return (head,)
            left -= len(patch)
            series.append(patch_id(patch, commit=commit.sha))
        return tuple(series)

    async def statuses(self, commit: str) -> tuple[CommitStatus, ...]:
        # The combined status is computed per page. This order alone is total: the others compare whole seconds.
        params = {"sort": "highestindex"}
        return wire.newest_statuses(await self._pages(("commits", commit, "statuses"), wire.STATUSES, params=params))

    async def reviews(self, number: int) -> tuple[ForgeReview, ...]:
        return wire.reviews(await self._pages(("pulls", number, "reviews"), wire.REVIEWS))

    async def merge(self, number: int, *, head: str) -> None:
        try:
            await self._merge(number, {"Do": "fast-forward-only", "head_commit_id": head})
        except Ambiguous as error:
            if error.status != 500 or not await self._has_diverged(number, head):
                raise
            raise Conflict(f"the base has moved: {error}", status=500) from None

    async def mark_merged(self, number: int, *, commit: str) -> None:
        """Conflict where it is merged already, or the base does not contain the commit."""
        await self._merge(number, {"Do": "manually-merged", "MergeCommitID": commit})

    async def update_by_rebase(self, number: int) -> None:
        """Conflict where both sides changed the same, and only there: a 409 that says anything else proves nothing."""
        address = self._repository + path("pulls", number, "update")
        try:
            await self._web.write("POST", address, params={"style": "rebase"}, ok=(200,))
        except Conflict as error:
            if _BECAUSE_OF_CONFLICT in str(error):
                raise
            raise Ambiguous(str(error), status=409) from None
        except Ambiguous as error:
            # Gitea says so to site administrators alone; to others the 500 says nothing, and only reading tells.
            if error.status != 500 or not _UP_TO_DATE.search(str(error)):
                raise
            raise Refused(str(error), status=500) from None

    async def comment(self, number: int, body: str) -> None:
        """Refused where the token lacks the scope write:issue."""
        await self._post("issues", number, "comments", json={"body": body})

    async def hooks(self) -> tuple[HookState, ...]:
        """Refused where the token's user does not administer the repository."""
        return tuple(wire.hook(hook) for hook in await self._pages(("hooks",), wire.HOOKS))

    async def login(self) -> str:
        """Whose token ours is, "" where it may not say (it lacks the scope read:user)."""
        try:
            return (await self._web.read("GET", "/user")).parse(wire.USER).login
        except BadCredentials:
            raise
        except Refused:
            return ""

    async def _missing_protection(self, repository: wire.Repository, branch: str, *, login: str) -> str:
        answer = await self._web.read("GET", self._repository + path("branches", branch), ok=(200, 404))
        if answer.status == 404:
            return f"there is no branch {branch!r}"
        found = answer.parse(wire.BRANCH)
        if not found.protected:
            return f"branch {branch!r} has no protection"
        if not repository.permissions.admin:
            return "the token's user does not administer the repository, so its branch protection cannot be read"
        rules = await self._web.read("GET", self._repository + path("branch_protections"))
        for rule in rules.parse(wire.PROTECTIONS) or ():
            if rule.rule_name == found.effective_branch_protection_name:
                return weakness(rule, login)
        return f"the protection of branch {branch!r} was not found"

    async def _compare(self, base: str, head: str, *, files: bool) -> wire.Comparison:
        params = {"files": str(files).lower(), "verification": "false"}
        address = self._repository + path("compare", f"{base}...{head}")
        answer = await self._web.read("GET", address, params=params, max_bytes=MAX_DIFF_BYTES)
        return answer.parse(wire.COMPARISON)

    async def _merge(self, number: int, how: Mapping[str, str]) -> None:
        address = self._repository + path("pulls", number, "merge")
        gitea_merge.raise_for(await self._web.write("POST", address, json=how, ok=gitea_merge.ANSWERS))

    async def _has_diverged(self, number: int, head: str) -> bool:
        """Whether the base has commits of its own and not the head: then no fast-forward has happened, nor can it."""
        try:
            base = (await self._pull(number)).base.ref
            return not await self.contains(base, head) and not await self.contains(head, base)
        except OutsideError:
            return False

    async def _pull(self, number: int) -> wire.Pull:
        return (await self._web.read("GET", self._repository + path("pulls", number))).parse(wire.PULL)

    async def _is_computed(self, pull: wire.Pull) -> bool:
        """Whether Gitea's ref is the branch's head and its merge base a true one: nothing above it is in the base."""
        address = self._repository + path("git", "refs", "pull", pull.number, "head")
        answer = await self._web.read("GET", address, ok=(200, 404))
        ref = _ref(answer.parse(wire.REFS), f"refs/pull/{pull.number}/head") if answer.status == 200 else None
        if ref != pull.head.sha or not pull.merge_base:
            return False
        above = await self._compare(pull.merge_base, pull.head.sha, files=False)
        own = await self._compare(pull.base.ref, pull.head.sha, files=False)
        return above.total_commits == own.total_commits

    async def _maybe(self, address: str) -> Answer | None:
        """None where the thing is not there, NotFound where it is the repository that is not: both answer 404."""
        answer = await self._web.read("GET", address, ok=(200, 404))
        if answer.status == 200:
            return answer
        await self._web.read("GET", self._repository)
        return None

    async def _post(self, *segments: str | int, json: Mapping[str, str]) -> Answer:
        return await self._web.write("POST", self._repository + path(*segments), json=json, ok=(201,))

    async def _pages(
        self, segments: tuple[str | int, ...], shape: TypeAdapter[list[T] | None], *, params: Params | None = None
    ) -> list[T]:
        """All pages. A short page is not always the last: what counts is the total, or an empty page."""
        address = self._repository + path(*segments)
        found: list[T] = []
        left = MAX_LIST_BYTES
        for page in range(1, MAX_PAGES + 1):
            answer = await self._web.read("GET", address, params={**(params or {}), "limit": PAGE_SIZE, "page": page})
            left -= len(answer.body)
            if left < 0:
                raise Unavailable(f"GET {address} has more than {MAX_LIST_BYTES} bytes")
            here = answer.parse(shape) or []
            found += here
            total = answer.headers.get("x-total-count", "")
            if not here or (total.isdecimal() and len(found) >= int(total)):
                return found
        raise Unavailable(f"GET {address} has more than {MAX_PAGES} pages")


def _ref(found: wire.Ref | list[wire.Ref], name: str) -> str | None:
    """The commit of the ref of exactly this name: Gitea gives all that begin with it."""
    refs = [found] if isinstance(found, wire.Ref) else found
    return next((ref.object.sha for ref in refs if ref.ref == name), None)
