"""The Forge protocol in memory: branches, pull requests, statuses, reviews and fast-forward merges as Gitea has them.

What agents, CI and people do is a method without `await`; every effect of the protocol stands in the ledger.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace

from conveyor.forge.protocol import Forge, NotComputed
from conveyor.pipeline.facts import ChangedFile, CommitStatus, ForgeReview, ForgeSettings, HookState, PullRequest
from conveyor.web.errors import Conflict, NotFound, OutsideError, Refused, Unavailable
from tests.fakes.memory_faults import Calls


@dataclass(frozen=True)
class Commit:
    parent: str
    files: frozenset[str]
    """Paths that this very commit adds."""


GOOD_SETTINGS = ForgeSettings(
    login="operator",
    default_branch="main",
    can_push=True,
    allow_fast_forward=True,
    allow_rebase_update=True,
    allow_manual_merge=True,
    protected=True,
)


class MemoryForge(Forge):
    def __init__(self, on_effect: Callable[[], None] | None = None) -> None:
        self.calls = Calls(on_effect)
        self.refusal: OutsideError | None = None
        """What each attempt at a branch is answered."""
        self.forge_settings: ForgeSettings | OutsideError = GOOD_SETTINGS
        first = _sha("", "README.md", 0)
        self.commits = {first: Commit("", frozenset({"README.md"}))}
        self.branches = {"main": first}
        self.pulls: dict[int, PullRequest] = {}
        self.pull_refs: dict[int, str] = {}
        """What refs/pull/N/head is: diffs are made of it."""
        self.dies_before_sync = False
        """Whether the forge dies each time between moving a branch and bringing these after it, which nothing makes
        up for but the next move.
        """
        self.commit_statuses: dict[str, list[CommitStatus]] = {}
        self.pull_reviews: dict[int, list[ForgeReview]] = {}

    # --- what agents, CI and people do

    def push(self, branch: str, *files: str) -> str:
        """One commit on top of a branch."""
        parent = self.branches[branch]
        commit = _sha(parent, *files, len(self.commits))
        self.commits[commit] = Commit(parent, frozenset(files))
        self._move(branch, commit)
        return commit

    def reset(self, branch: str, *, to: str) -> None:
        """A forced push."""
        self._move(branch, to)

    def report(self, commit: str, state: str, *, context: str = "ci/test") -> None:
        self.commit_statuses.setdefault(commit, []).append(CommitStatus(context, "ci", state, ""))

    def review(self, number: int, state: str, *, author: str, body: str = "") -> None:
        head = self.pulls[number].head_sha
        said = ForgeReview(author, state, head, official=True, dismissed=False, stale=False, body=body, url="")
        self.pull_reviews.setdefault(number, []).append(said)

    def ancestors(self, commit: str) -> list[str]:
        """The commit and all before it, newest first."""
        found = []
        while commit:
            found.append(commit)
            commit = self.commits[commit].parent
        return found

    # --- reads

    async def login(self) -> str:
        await self.calls.read()
        return "operator"

    async def settings(self, *, default_branch: str) -> ForgeSettings:
        await self.calls.read()
        if isinstance(self.forge_settings, OutsideError):
            raise self.forge_settings
        return self.forge_settings

    async def branch_head(self, branch: str) -> str | None:
        await self.calls.read()
        return self.branches.get(branch)

    async def changed_files(self, base: str, head: str) -> tuple[ChangedFile, ...]:
        await self.calls.read()
        new = self._above(self.branches.get(head, head), self.branches.get(base, base))
        return tuple(ChangedFile(file, "added") for file in sorted(self._files(new)))

    async def contains(self, base: str, commit: str) -> bool:
        await self.calls.read()
        tip = self.branches.get(base, base)
        if tip not in self.commits or commit not in self.commits:
            raise NotFound("unknown commit")
        return commit in self.ancestors(tip)

    async def pull_request(self, number: int) -> PullRequest | None:
        await self.calls.read()
        return self.pulls.get(number)

    async def open_pull_requests(self, *, head: str, base: str) -> tuple[PullRequest, ...]:
        await self.calls.read()
        return tuple(replace(pull, head_sha=self.pull_refs[pull.number]) for pull in self._open(head, base))

    async def diff(self, number: int, *, head: str | None = None) -> bytes:
        await self.calls.read()
        pull = self.pulls[number]
        if head not in (None, pull.head_sha):
            raise Unavailable("its head moved")
        if pull.state == "open" and self.pull_refs[number] != pull.head_sha:
            raise NotComputed("its head is still being computed")
        files = await self.changed_files(pull.base, pull.head_sha)
        return "".join(f"diff --git a/{file.path} b/{file.path}\n" for file in files).encode()

    async def series(self, base: str, head: str) -> tuple[str, ...]:
        await self.calls.read()
        tip = self.branches.get(base, base)
        if tip not in self.commits or head not in self.commits:
            raise NotFound("unknown commit")
        return tuple(" ".join(sorted(self.commits[commit].files)) for commit in reversed(self._above(head, tip)))

    async def statuses(self, commit: str) -> tuple[CommitStatus, ...]:
        await self.calls.read()
        newest = {(status.context, status.creator): status for status in self.commit_statuses.get(commit, [])}
        return tuple(newest.values())

    async def reviews(self, number: int) -> tuple[ForgeReview, ...]:
        await self.calls.read()
        return tuple(self.pull_reviews.get(number, []))

    async def hooks(self) -> tuple[HookState, ...]:
        await self.calls.read()
        return ()

    # --- writes

    async def create_branch(self, branch: str, *, at: str) -> None:
        def act() -> tuple[str, ...]:
            if self.refusal is not None:
                raise self.refusal
            if branch in self.branches:
                raise Conflict(f"{branch} exists")
            self.branches[branch] = at
            return branch, at

        await self.calls.write("create_branch", act)

    async def open_pull_request(self, *, head: str, base: str, title: str, body: str) -> PullRequest:
        number = len(self.pulls) + 1

        def act() -> tuple[str, ...]:
            if self._open(head, base):
                raise Conflict("one is open")
            self.pulls[number] = PullRequest(
                number=number,
                url=f"https://git.test/pulls/{number}",
                state="open",
                merged=False,
                merged_by="",
                head=head,
                head_sha=self.branches[head],
                base=base,
                mergeable=True,
                merge_sha="",
            )
            self.pull_refs[number] = self.branches[head]
            return head, title

        await self.calls.write("open_pull_request", act)
        return self.pulls[number]

    async def merge(self, number: int, *, head: str) -> None:
        def act() -> tuple[str, ...]:
            pull = self.pulls[number]
            if pull.state != "open" or pull.head_sha != head:
                raise Conflict("head moved, or it is merged")
            if self.branches[pull.base] not in self.ancestors(head):
                raise Unavailable("not to be fast-forwarded")
            self.branches[pull.base] = head
            self._close(number, head)
            return (head,)

        await self.calls.write("merge", act)

    async def mark_merged(self, number: int, *, commit: str) -> None:
        def act() -> tuple[str, ...]:
            self._close(number, commit)
            return (commit,)

        await self.calls.write("mark_merged", act)

    async def update_by_rebase(self, number: int) -> None:
        def act() -> tuple[str, ...]:
            pull = self.pulls[number]
            base = self.branches[pull.base]
            theirs, ours = self._above(base, pull.head_sha), self._above(pull.head_sha, base)
            if pull.state != "open" or not theirs:
                raise Refused("closed, or up to date")
            if self._files(ours) & self._files(theirs):
                raise Conflict("rebase failed because of conflict")
            head = base
            for commit in reversed(ours):
                files = self.commits[commit].files
                new = _sha(head, *sorted(files), len(self.commits))
                self.commits[new] = Commit(head, files)
                head = new
            self._move(pull.head, head)
            return (head,)

        await self.calls.write("update_by_rebase", act)

    async def comment(self, number: int, body: str) -> None:
        await self.calls.write("comment", lambda: (str(number), body))

    def _move(self, branch: str, commit: str) -> None:
        self.branches[branch] = commit
        for number, pull in self.pulls.items():
            if pull.head == branch and pull.state == "open":
                self.pulls[number] = replace(pull, head_sha=commit)
                if not self.dies_before_sync:
                    self.pull_refs[number] = commit

    def _above(self, commit: str, other: str) -> list[str]:
        """What `commit` has and `other` has not, newest first."""
        old = set(self.ancestors(other))
        return [one for one in self.ancestors(commit) if one not in old]

    def _files(self, commits: list[str]) -> frozenset[str]:
        return frozenset().union(*(self.commits[commit].files for commit in commits))

    def _open(self, head: str, base: str) -> list[PullRequest]:
        return [pull for pull in self.pulls.values() if (pull.head, pull.base, pull.state) == (head, base, "open")]

    def _close(self, number: int, commit: str) -> None:
        self.pulls[number] = replace(
            self.pulls[number], state="closed", merged=True, merged_by="operator", merge_sha=commit
        )


def _sha(*parts: object) -> str:
    return hashlib.sha1("/".join(map(str, parts)).encode(), usedforsecurity=False).hexdigest()
