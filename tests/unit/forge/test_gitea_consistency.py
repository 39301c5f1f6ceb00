"""Covers: what is concluded from several reads, where one answer of Gitea does not say enough."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from conveyor.forge.change_id import change_id
from conveyor.forge.gitea import MAX_CONTAINED, MAX_DIFF_BYTES, MAX_SERIES, Gitea
from conveyor.forge.protocol import NotComputed
from conveyor.web.client import WebClient
from conveyor.web.errors import Ambiguous, Conflict, Unavailable
from conveyor.web.hosts import AllowedHosts

URL = "https://git.example"
HEAD, BASE = "a" * 40, "b" * 40


async def no_sleep(_: float) -> None:
    pass


def pull(**changed: Any) -> dict[str, Any]:
    end = {"label": "feature", "ref": "feature", "sha": HEAD, "repo_id": 7}
    base = end | {"label": "main", "ref": "main", "sha": BASE}
    given = {"number": 1, "html_url": "u", "state": "open", "merged": False, "merge_base": BASE}
    return given | {"head": end, "base": base} | changed


def ref(sha: str, name: str = "refs/pull/1/head") -> dict[str, Any]:
    return {"ref": name, "object": {"sha": sha}}


def commits(count: int) -> dict[str, Any]:
    return {"total_commits": count, "commits": []}


def answers(**changed: Any) -> dict[str, Any]:
    """A consistent pull request, by the end of the path; a list is used up one by one."""
    return {
        "/pulls/1": pull(),
        "/git/refs/pull/1/head": ref(HEAD),
        f"/compare/{BASE}...{HEAD}": commits(2),
        f"/compare/main...{HEAD}": commits(2),
        f"/compare/{HEAD}...main": commits(0),
        "/pulls/1.diff": b"diff",
    } | changed


def gitea(table: dict[str, Any]) -> Gitea:
    def handler(request: httpx.Request) -> httpx.Response:
        found = next((value for end, value in table.items() if request.url.path.endswith(end)), 404)
        if callable(found):
            found = found()
        if isinstance(found, int):
            return httpx.Response(found, json={"message": ""})
        return httpx.Response(200, content=found) if isinstance(found, bytes) else httpx.Response(200, json=found)

    transport = httpx.MockTransport(handler)
    web = WebClient(f"{URL}/api/v1", None, allowed=AllowedHosts(("*",)), transport=transport, sleep=no_sleep)
    return Gitea(web, owner="shop", name="cart")


def one_by_one(*values: Any) -> Callable[[], Any]:
    left = iter(values)
    return lambda: next(left)


# --- diff


async def test_diff_of_a_computed_pull_request_is_read() -> None:
    assert await gitea(answers()).diff(1) == b"diff"


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"/git/refs/pull/1/head": ref("c" * 40)}, id="its ref is behind the branch"),
        pytest.param({"/git/refs/pull/1/head": [ref(HEAD, "refs/pull/1/head-x")]}, id="it has no ref of its own"),
        pytest.param({"/git/refs/pull/1/head": 404}, id="it has no ref at all"),
        pytest.param({f"/compare/{BASE}...{HEAD}": commits(5)}, id="its merge base is old"),
        pytest.param({"/pulls/1": pull(merge_base="")}, id="it has no merge base"),
    ],
)
async def test_diff_of_what_is_still_computed_is_said_to_be(changed: dict[str, Any]) -> None:
    with pytest.raises(NotComputed, match="still being computed"):
        await gitea(answers(**changed)).diff(1)


@pytest.mark.parametrize("moved", [pull(merge_base=HEAD), pull(head=pull()["head"] | {"sha": "c" * 40})])
async def test_diff_of_what_moved_meanwhile_is_unavailable(moved: dict[str, Any]) -> None:
    with pytest.raises(Unavailable, match="moved while"):
        await gitea(answers(**{"/pulls/1": one_by_one(pull(), moved)})).diff(1)


async def test_diff_of_another_head_than_is_asked_for_is_unavailable() -> None:
    assert await gitea(answers()).diff(1, head=HEAD) == b"diff"
    with pytest.raises(Unavailable, match="moved before"):
        await gitea(answers()).diff(1, head=BASE)


async def test_diff_of_a_closed_pull_request_needs_no_recomputing() -> None:
    closed = answers(**{"/pulls/1": pull(state="closed"), f"/compare/main...{HEAD}": commits(0)})
    assert await gitea(closed).diff(1) == b"diff"


async def test_huge_diff_is_unavailable() -> None:
    with pytest.raises(Unavailable, match="more than"):
        await gitea(answers(**{"/pulls/1.diff": b"x" * (MAX_DIFF_BYTES + 1)})).diff(1)


# --- commit by commit

FIRST, MERGE, BINARY = "1" * 40, "2" * 40, "3" * 40


def listed(*shas: str, merges: tuple[str, ...] = (), total: int | None = None) -> dict[str, Any]:
    """As Gitea lists commits, the newest first."""
    found = [{"sha": sha, "parents": [{"sha": BASE}] * (2 if sha in merges else 1)} for sha in reversed(shas)]
    return {"total_commits": len(shas) if total is None else total, "commits": found}


def series(patches: dict[str, bytes], comparison: dict[str, Any]) -> Gitea:
    table = {f"/git/commits/{sha}.diff": patch for sha, patch in patches.items()}
    return gitea(table | {f"/compare/main...{HEAD}": comparison})


async def test_series_has_each_patch_once_oldest_first_and_commits_that_patches_do_not_tell() -> None:
    binary = b"Binary files a/x and b/x differ\n"
    patches = {FIRST: b"+one\n", HEAD: b"+two\n", BINARY: binary}
    forge = series(patches, listed(FIRST, MERGE, BINARY, HEAD, merges=(MERGE,)))
    assert await forge.series("main", HEAD) == (change_id(b"+one\n"), MERGE, BINARY, change_id(b"+two\n"))


@pytest.mark.parametrize(
    ("patches", "comparison"),
    [
        pytest.param({}, listed(*(f"{n:040x}" for n in range(MAX_SERIES + 1))), id="too many commits"),
        pytest.param({HEAD: b"+"}, listed(HEAD, total=2), id="commits that are not listed"),
        pytest.param(
            dict.fromkeys((FIRST, HEAD), b"x" * (MAX_DIFF_BYTES // 2 + 1)), listed(FIRST, HEAD), id="too long patches"
        ),
    ],
)
async def test_series_that_is_not_read_whole_is_the_head(patches: dict[str, bytes], comparison: dict[str, Any]) -> None:
    assert await series(patches, comparison).series("main", HEAD) == (HEAD,)


async def test_series_with_a_patch_that_cannot_be_read_is_unavailable() -> None:
    with pytest.raises(Unavailable):
        await gitea({f"/compare/main...{HEAD}": listed(HEAD), f"/git/commits/{HEAD}.diff": 500}).series("main", HEAD)


# --- what contains what


async def test_two_commits_are_asked_about_once() -> None:
    forge = gitea(answers(**{f"/compare/{BASE}...{HEAD}": one_by_one(commits(0))}))
    assert [await forge.contains(BASE, HEAD) for _ in range(2)] == [True, True]


@pytest.mark.parametrize(("base", "commit"), [("main", HEAD), (HEAD, "main"), (HEAD, HEAD[:39])])
async def test_what_may_move_is_asked_about_each_time(base: str, commit: str) -> None:
    forge = gitea(answers(**{f"/compare/{base}...{commit}": one_by_one(commits(2), commits(0))}))
    assert [await forge.contains(base, commit) for _ in range(2)] == [False, True]


async def test_number_of_remembered_pairs_is_bounded() -> None:
    others = [f"{number:040x}" for number in range(MAX_CONTAINED)]
    counts = {f"/compare/{BASE}...{other}": commits(0) for other in others}
    forge = gitea(answers(**counts | {f"/compare/{BASE}...{HEAD}": one_by_one(commits(0), commits(0))}))
    for commit in (HEAD, *others, HEAD):
        assert await forge.contains(BASE, commit)


# --- a merge answered with 500


async def test_unexplained_failure_while_the_base_has_moved_is_a_conflict() -> None:
    moved = answers(**{"/merge": 500, f"/compare/{HEAD}...main": commits(1)})
    with pytest.raises(Conflict, match="the base has moved"):
        await gitea(moved).merge(1, head=HEAD)


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({}, id="the base has not moved"),
        pytest.param({f"/compare/main...{HEAD}": commits(0)}, id="the base contains the head"),
        pytest.param({f"/compare/main...{HEAD}": 503}, id="the base cannot be read"),
        pytest.param({"/pulls/1": 404}, id="the pull request cannot be read"),
    ],
)
async def test_unexplained_failure_is_else_ambiguous(changed: dict[str, Any]) -> None:
    with pytest.raises(Ambiguous):
        await gitea(answers(**{"/merge": 500} | changed)).merge(1, head=HEAD)


async def test_lost_answer_is_ambiguous_even_if_the_base_has_moved() -> None:
    """The merge may still be under way then."""
    moved = answers(**{"/merge": 502, f"/compare/{HEAD}...main": commits(1)})
    with pytest.raises(Ambiguous):
        await gitea(moved).merge(1, head=HEAD)
