"""What the engine needs of a code forge, for one repository. Every method may raise `conveyor.web.errors`.

Reads are repeated on `Unavailable` by the implementation; writes never are: the caller reads and decides anew.
"""

from __future__ import annotations

from typing import Protocol

from conveyor.pipeline.facts import ChangedFile, CommitStatus, ForgeReview, ForgeSettings, HookState, PullRequest
from conveyor.web.errors import Unavailable


class NotComputed(Unavailable):
    """The forge has not seen yet what was pushed; where it was killed meanwhile it may never see it by itself."""


class Forge(Protocol):
    async def login(self) -> str:
        """Whose token it is; empty where it may not say."""

    async def settings(self, *, default_branch: str) -> ForgeSettings:
        """Rights, merge styles and the protection of the default branch. NotFound where the repository is not seen."""

    async def branch_head(self, branch: str) -> str | None:
        """The commit a branch points to, or None where there is no such branch."""

    async def changed_files(self, base: str, head: str) -> tuple[ChangedFile, ...]:
        """What the commits that `head` has and `base` has not add, change or remove, each path once."""

    async def contains(self, base: str, commit: str) -> bool:
        """Whether the commit is in the history of `base`, a branch or commit. NotFound where either is unknown."""

    async def create_branch(self, branch: str, *, at: str) -> None:
        """Cut a branch at a commit. Conflict where the name is taken."""

    async def pull_request(self, number: int) -> PullRequest | None: ...

    async def open_pull_requests(self, *, head: str, base: str) -> tuple[PullRequest, ...]:
        """The open pull requests from branch `head` of this very repository to `base`. Just after a push, and where the
        forge has missed it, they are given with an older head; `pull_request` has the newest.
        """

    async def open_pull_request(self, *, head: str, base: str, title: str, body: str) -> PullRequest:
        """Conflict where one is open for this head and base."""

    async def diff(self, number: int, *, head: str | None = None) -> bytes:
        """The diff from merge base to head, binary files included. NotComputed while the forge computes either,
        Unavailable where the head is another than the one that is given.
        """

    async def series(self, base: str, head: str) -> tuple[str, ...]:
        """What each commit does that `head` has and `base` has not, oldest first: the same wherever it is applied.

        A commit that cannot be told that way (a merge, one with binary files) stands for itself alone; where there is
        more than can be read, the head does. NotFound where either is unknown.
        """

    async def statuses(self, commit: str) -> tuple[CommitStatus, ...]:
        """The newest status of each context and creator, all pages. Empty means that nobody reported."""

    async def reviews(self, number: int) -> tuple[ForgeReview, ...]:
        """All reviews ever made, oldest first, all pages."""

    async def merge(self, number: int, *, head: str) -> None:
        """Fast-forward the base to exactly `head`.

        A return is no proof (Gitea answers 200 to a second call as well): read the base. Unavailable: the forge still
        checks the pull request, or it conflicts, try later. Conflict: head or base moved, or it is merged. Refused:
        protection, rights or style forbid it.
        """

    async def mark_merged(self, number: int, *, commit: str) -> None:
        """Close a pull request as merged whose commit the base already contains."""

    async def update_by_rebase(self, number: int) -> None:
        """Rebase the pull request's branch on the base's newest commit, whatever the head is just now.

        A return is no proof: read the head. Conflict: it cannot be rebased, the head is unchanged. Refused: the branch
        is up to date, the pull request is closed, or rights or settings forbid it.
        """

    async def comment(self, number: int, body: str) -> None:
        """Comment on a pull request."""

    async def hooks(self) -> tuple[HookState, ...]:
        """The webhooks of the repository, all pages."""
