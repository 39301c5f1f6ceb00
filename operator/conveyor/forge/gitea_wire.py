"""Gitea's JSON as far as we read it, and the values made of it. Measured with Gitea 1.26."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from conveyor.pipeline.facts import ChangedFile, CommitStatus, ForgeReview, HookState, PullRequest


class _Wire(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class User(_Wire):
    login: str


class Permissions(_Wire):
    admin: bool = False
    push: bool = False


class Repository(_Wire):
    default_branch: str
    archived: bool = False
    permissions: Permissions = Permissions()
    allow_fast_forward_only_merge: bool = False
    allow_rebase_update: bool = False
    allow_manual_merge: bool = False


class Commit(_Wire):
    id: str = Field(min_length=40, max_length=64)


class Branch(_Wire):
    commit: Commit
    protected: bool = False
    effective_branch_protection_name: str = ""
    """Empty for those who do not administer the repository."""


class Protection(_Wire):
    rule_name: str
    enable_push: bool
    enable_push_whitelist: bool
    push_whitelist_usernames: tuple[str, ...] | None = None
    push_whitelist_teams: tuple[str, ...] | None = None
    push_whitelist_deploy_keys: bool = False
    unprotected_file_patterns: str = ""


class _File(_Wire):
    filename: str
    status: str


class _Parent(_Wire):
    sha: str


class _ComparedCommit(_Wire):
    sha: str
    files: tuple[_File, ...] | None = None
    parents: tuple[_Parent, ...] | None = None


class Comparison(_Wire):
    total_commits: int
    commits: tuple[_ComparedCommit, ...] | None = None


class _End(_Wire):
    label: str
    ref: str
    sha: str
    repo_id: int


class Pull(_Wire):
    number: int
    html_url: str
    state: str
    merged: bool
    merged_by: User | None = None
    merge_commit_sha: str | None = None
    mergeable: bool = False
    head: _End
    base: _End
    merge_base: str = ""


class _RefObject(_Wire):
    sha: str


class Ref(_Wire):
    ref: str
    object: _RefObject


class Status(_Wire):
    id: int
    status: str
    context: str
    creator: User | None = None
    target_url: str = ""


class Review(_Wire):
    id: int
    user: User | None = None
    state: str
    commit_id: str
    official: bool
    dismissed: bool
    stale: bool
    body: str = ""
    html_url: str = ""


class _HookConfig(_Wire):
    url: str = ""


class Hook(_Wire):
    active: bool
    config: _HookConfig
    events: tuple[str, ...] | None = None


USER = TypeAdapter(User)
REPOSITORY = TypeAdapter(Repository)
BRANCH = TypeAdapter(Branch)
COMPARISON = TypeAdapter(Comparison)
PULL = TypeAdapter(Pull)
REFS: TypeAdapter[Ref | list[Ref]] = TypeAdapter(Ref | list[Ref])
PROTECTIONS: TypeAdapter[list[Protection] | None] = TypeAdapter(list[Protection] | None)
PULLS: TypeAdapter[list[Pull] | None] = TypeAdapter(list[Pull] | None)
STATUSES: TypeAdapter[list[Status] | None] = TypeAdapter(list[Status] | None)
REVIEWS: TypeAdapter[list[Review] | None] = TypeAdapter(list[Review] | None)
HOOKS: TypeAdapter[list[Hook] | None] = TypeAdapter(list[Hook] | None)


def pull_request(pull: Pull) -> PullRequest:
    return PullRequest(
        number=pull.number,
        url=pull.html_url,
        state=pull.state,
        merged=pull.merged,
        merged_by=_login(pull.merged_by),
        head=_head(pull),
        head_sha=pull.head.sha,
        base=pull.base.ref,
        mergeable=pull.mergeable,
        merge_sha=pull.merge_commit_sha or "",
    )


def _head(pull: Pull) -> str:
    """The branch; of another repository, something that no branch here is called."""
    if pull.head.repo_id != pull.base.repo_id:
        return f"{pull.head.repo_id}:{pull.head.label}"
    return pull.head.label or pull.head.ref  # once the branch is deleted, ref is refs/pull/N/head


def changed_files(comparison: Comparison) -> tuple[ChangedFile, ...]:
    """Each path once, by what all commits together do to it. Gitea lists commits newest first.

    A merge commit's files are those that came from the other side: not this work's.
    """
    net: dict[str, str] = {}
    for commit in reversed(comparison.commits or ()):
        if len(commit.parents or ()) > 1:
            continue
        for file in commit.files or ():
            state = _then(net.pop(file.filename, None), file.status)
            if state:
                net[file.filename] = state
    return tuple(ChangedFile(path, state) for path, state in sorted(net.items()))


def _then(before: str | None, now: str) -> str | None:
    match before, now:
        case "added", "removed":
            return None
        case "added", _:
            return "added"
        case "removed", "added":
            return "modified"
        case _:
            return now


def newest_statuses(statuses: Iterable[Status]) -> tuple[CommitStatus, ...]:
    """The newest of each context and creator: Gitea keeps all."""
    newest: dict[tuple[str, str], Status] = {}
    for status in sorted(statuses, key=lambda status: status.id):
        newest[status.context, _login(status.creator)] = status
    return tuple(
        CommitStatus(context, creator, status.status, status.target_url)
        for (context, creator), status in sorted(newest.items())
    )


def reviews(found: Iterable[Review]) -> tuple[ForgeReview, ...]:
    return tuple(
        ForgeReview(
            author=_login(review.user),
            state=review.state,
            commit=review.commit_id,
            official=review.official,
            dismissed=review.dismissed,
            stale=review.stale,
            body=review.body,
            url=review.html_url,
        )
        for review in sorted(found, key=lambda review: review.id)
    )


def hook(found: Hook) -> HookState:
    return HookState(found.config.url, found.active, frozenset(found.events or ()))


def _login(user: User | None) -> str:
    return user.login if user else ""
