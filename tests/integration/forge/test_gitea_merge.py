"""Covers, on a real Gitea: every situation a merge can meet, and the repair of a half one."""

import asyncio
from typing import Any

import pytest

from conveyor.pipeline.facts import PullRequest
from conveyor.web.errors import Conflict, NotFound, Refused, Unavailable
from tests.integration.forge.conftest import Scene, patiently


async def current(scene: Scene, pull: PullRequest) -> PullRequest:
    found = await scene.forge.pull_request(pull.number)
    assert found is not None
    return found


async def until(scene: Scene, pull: PullRequest, **wanted: object) -> PullRequest:
    """The pull request once its fields are as wanted: Gitea moves the branch first and the rest a moment later."""
    found = pull
    for _ in range(400):
        found = await current(scene, pull)
        if all(getattr(found, name) == value for name, value in wanted.items()):
            return found
        await asyncio.sleep(0.05)
    pytest.fail(f"wanted {wanted}, found {found}")


async def test_merge_moves_the_base_to_exactly_the_tested_head(scene: Scene) -> None:
    pull = await scene.pull("feature")
    await scene.merge(pull)
    assert await scene.forge.branch_head("main") == pull.head_sha
    merged = await until(scene, pull, merged=True)
    assert (merged.state, merged.merged_by, merged.merge_sha) == ("closed", scene.operator.name, pull.head_sha)


async def test_second_merge_is_a_conflict_and_lands_nothing(scene: Scene) -> None:
    pull = await scene.pull("feature")
    await scene.merge(pull)
    await until(scene, pull, merged=True)
    with pytest.raises(Conflict, match="already merged"):
        await scene.forge.merge(pull.number, head=pull.head_sha)
    assert await scene.forge.branch_head("main") == pull.head_sha


async def test_two_merges_at_once_land_once(scene: Scene) -> None:
    pull = await scene.pull("feature")
    await until(scene, pull, mergeable=True)
    calls = [patiently(lambda: scene.forge.merge(pull.number, head=pull.head_sha)) for _ in range(4)]
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(result) for result in results} <= {type(None), Conflict}
    assert await scene.forge.branch_head("main") == pull.head_sha


async def test_merge_just_after_a_push_to_the_base_does_not_happen(scene: Scene) -> None:
    pull = await scene.pull("feature")
    await until(scene, pull, mergeable=True)
    moved = scene.push({"base.txt": "moved\n"})
    with pytest.raises((Unavailable, Conflict)):
        await scene.forge.merge(pull.number, head=pull.head_sha)
    assert await scene.forge.branch_head("main") == moved


async def test_moved_head_is_a_conflict(scene: Scene) -> None:
    pull = await scene.pull("feature")
    scene.push({"more.txt": "more\n"}, branch="feature")
    with pytest.raises(Conflict, match="head out of date"):
        await scene.merge(pull)
    assert await scene.forge.branch_head("main") == scene.repository.head_sha


async def test_moved_base_is_a_conflict(scene: Scene) -> None:
    pull = await scene.pull("feature")
    moved = scene.push({"base.txt": "moved\n"})
    with pytest.raises(Conflict, match="the base has moved"):
        await scene.merge(pull)
    assert await scene.forge.branch_head("main") == moved


@pytest.mark.long
async def test_conflicting_change_stays_unavailable_and_unmergeable(scene: Scene) -> None:
    pull = await scene.pull("feature", {"README.md": "ours\n"})
    scene.push({"README.md": "theirs\n"})
    await until(scene, pull, mergeable=False)
    with pytest.raises(Unavailable, match="try again later"):
        await patiently(lambda: scene.forge.merge(pull.number, head=pull.head_sha), seconds=1)


@pytest.mark.long
async def test_closed_pull_request_is_not_found(scene: Scene) -> None:
    pull = await scene.pull("feature")
    scene.api("PATCH", f"/pulls/{pull.number}", json={"state": "closed"})
    with pytest.raises(NotFound):
        await scene.merge(pull)


@pytest.mark.long
async def test_missing_pull_request_is_not_found(scene: Scene) -> None:
    with pytest.raises(NotFound):
        await scene.forge.merge(4711, head="a" * 40)


@pytest.mark.long
async def test_style_that_is_off_is_refused(scene: Scene) -> None:
    pull = await scene.pull("feature")
    scene.api("PATCH", json={"allow_fast_forward_only_merge": False, "has_pull_requests": True})
    with pytest.raises(Refused, match="not allowed"):
        await scene.merge(pull)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"required_approvals": 1}, "approvals"),
        ({"enable_status_check": True, "status_check_contexts": ["ci"]}, "checks"),
    ],
)
async def test_protection_that_is_not_satisfied_refuses(scene: Scene, rule: dict[str, Any], said: str) -> None:
    pull = await scene.pull("feature")
    scene.server.protect(scene.repository, **rule)
    with pytest.raises(Refused, match=said):
        await scene.merge(pull)


async def test_merge_passes_a_protection_that_forbids_pushing(scene: Scene) -> None:
    scene.server.protect(scene.repository)
    pull = await scene.pull("feature")
    await scene.merge(pull)
    assert await scene.forge.branch_head("main") == pull.head_sha


@pytest.mark.long
async def test_work_in_progress_is_refused(scene: Scene) -> None:
    scene.push({"x": "y"}, new="feature")
    pull = await scene.forge.open_pull_request(head="feature", base="main", title="WIP: x", body="")
    with pytest.raises(Refused, match="Work in progress"):
        await scene.merge(pull)


async def half_merged(scene: Scene) -> PullRequest:
    """The base has the head and the pull request is open: what a crash of Gitea during a merge leaves."""
    pull = await scene.pull("feature")
    moved = {"new_commit_id": pull.head_sha, "old_commit_id": scene.repository.head_sha}
    scene.api("PUT", "/branches/main", json=moved)
    assert not (await current(scene, pull)).merged
    return pull


async def test_half_merge_is_seen_in_the_base(scene: Scene) -> None:
    pull = await half_merged(scene)
    assert await scene.forge.contains("main", pull.head_sha)


async def test_half_merge_is_repaired_by_marking(scene: Scene) -> None:
    pull = await half_merged(scene)
    await patiently(lambda: scene.forge.mark_merged(pull.number, commit=pull.head_sha))
    merged = await until(scene, pull, merged=True)
    assert (merged.state, merged.merge_sha) == ("closed", pull.head_sha)


@pytest.mark.long
async def test_marking_twice_is_a_conflict(scene: Scene) -> None:
    pull = await half_merged(scene)
    await patiently(lambda: scene.forge.mark_merged(pull.number, commit=pull.head_sha))
    with pytest.raises(Conflict, match="already merged"):
        await scene.forge.mark_merged(pull.number, commit=pull.head_sha)


async def test_marking_with_a_commit_the_base_has_not_is_a_conflict(scene: Scene) -> None:
    pull = await scene.pull("feature")
    with pytest.raises(Conflict):
        await patiently(lambda: scene.forge.mark_merged(pull.number, commit=pull.head_sha))
    assert not (await current(scene, pull)).merged


@pytest.mark.long
async def test_marking_while_it_is_switched_off_is_refused(scene: Scene) -> None:
    pull = await half_merged(scene)
    scene.api("PATCH", json={"allow_manual_merge": False, "has_pull_requests": True})
    with pytest.raises(Refused, match="not allowed"):
        await patiently(lambda: scene.forge.mark_merged(pull.number, commit=pull.head_sha))
