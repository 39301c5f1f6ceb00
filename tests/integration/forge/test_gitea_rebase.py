"""Covers, on a real Gitea: every situation that an update by rebase can meet, and what outlives it."""

import asyncio

import pytest

from conveyor.forge.change_id import change_id
from conveyor.pipeline.facts import ChangedFile, PullRequest
from conveyor.web.errors import Ambiguous, Conflict, NotFound, Refused
from tests.integration.forge.conftest import Scene, forge_of, patiently


async def head_of(scene: Scene, pull: PullRequest) -> str:
    found = await scene.forge.pull_request(pull.number)
    assert found is not None
    return found.head_sha


async def behind(scene: Scene, *, theirs: str = "theirs.txt") -> tuple[PullRequest, str]:
    """A pull request whose base has moved since, and the base's newest commit."""
    pull = await scene.pull("feature", {"ours.txt": "ours\n"})
    return pull, scene.push({theirs: "theirs\n"})


async def test_branch_behind_its_base_is_put_on_it(scene: Scene) -> None:
    pull, base = await behind(scene)
    await scene.forge.update_by_rebase(pull.number)
    head = await head_of(scene, pull)
    assert head != pull.head_sha
    assert await scene.forge.contains(head, base)
    assert not await scene.forge.contains(head, pull.head_sha)
    assert await scene.forge.branch_head("main") == base


async def test_branch_that_is_up_to_date_is_not_touched(scene: Scene) -> None:
    pull = await scene.pull("feature")
    with pytest.raises((Refused, Ambiguous)) as caught:
        await scene.forge.update_by_rebase(pull.number)
    assert caught.value.status == 500
    assert await head_of(scene, pull) == pull.head_sha


@pytest.mark.long
async def test_administrator_is_told_that_the_branch_is_up_to_date(scene: Scene) -> None:
    pull = await scene.pull("feature")
    async with forge_of(scene.server, scene.repository, scene.server.admin.token) as forge:
        with pytest.raises(Refused, match="is up to date"):
            await forge.update_by_rebase(pull.number)


async def test_conflict_leaves_the_head_and_the_files_of_both_sides_are_known(scene: Scene) -> None:
    pull = await scene.pull("feature", {"README.md": "ours\n", "ours.txt": "ours\n"})
    scene.push({"README.md": "theirs\n", "theirs.txt": "theirs\n"})
    with pytest.raises(Conflict, match="rebase failed because of conflict"):
        await scene.forge.update_by_rebase(pull.number)
    assert await head_of(scene, pull) == pull.head_sha
    ours = await scene.forge.changed_files("main", pull.head_sha)
    theirs = await scene.forge.changed_files(pull.head_sha, "main")
    assert set(ours) & set(theirs) == {ChangedFile("README.md", "modified")}


async def test_two_rebases_at_once_make_one_new_head(scene: Scene) -> None:
    pull, base = await behind(scene)
    calls = [scene.forge.update_by_rebase(pull.number) for _ in range(3)]
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(result) for result in results} <= {type(None), Refused, Ambiguous}
    head = await head_of(scene, pull)
    assert await scene.forge.contains(head, base)
    ours = await scene.forge.changed_files("main", head)
    assert ours == (ChangedFile("ours.txt", "added"),)


async def test_approval_outlives_a_rebase_and_the_status_of_the_old_head_does_not(scene: Scene) -> None:
    pull, _ = await behind(scene)
    before = change_id(await patiently(lambda: scene.forge.diff(pull.number)))
    scene.api("POST", f"/pulls/{pull.number}/reviews", token=scene.developer.token, json={"event": "APPROVED"})
    scene.api("POST", f"/statuses/{pull.head_sha}", json={"context": "ci", "state": "success"})
    await scene.forge.update_by_rebase(pull.number)
    (review,) = await scene.forge.reviews(pull.number)
    assert (review.commit, review.stale, review.dismissed) == (pull.head_sha, False, False)
    assert await scene.forge.statuses(await head_of(scene, pull)) == ()
    assert change_id(await patiently(lambda: scene.forge.diff(pull.number))) == before


@pytest.mark.long
async def test_closed_pull_request_is_refused(scene: Scene) -> None:
    pull, _ = await behind(scene)
    scene.api("PATCH", f"/pulls/{pull.number}", json={"state": "closed"})
    with pytest.raises(Refused) as caught:
        await scene.forge.update_by_rebase(pull.number)
    assert caught.value.status == 422


@pytest.mark.long
async def test_missing_pull_request_is_not_found(scene: Scene) -> None:
    with pytest.raises(NotFound):
        await scene.forge.update_by_rebase(4711)


async def test_update_that_is_switched_off_is_refused(scene: Scene) -> None:
    pull, _ = await behind(scene)
    scene.api("PATCH", json={"allow_rebase_update": False, "has_pull_requests": True})
    with pytest.raises(Refused) as caught:
        await scene.forge.update_by_rebase(pull.number)
    assert caught.value.status == 403
    assert await head_of(scene, pull) == pull.head_sha


@pytest.mark.long
async def test_protected_branch_is_refused(scene: Scene) -> None:
    pull, _ = await behind(scene)
    scene.server.protect(scene.repository, "feature")
    with pytest.raises(Refused) as caught:
        await scene.forge.update_by_rebase(pull.number)
    assert caught.value.status == 403
