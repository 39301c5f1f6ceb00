"""Covers, on a real Gitea: it was killed between moving a branch and bringing refs/pull/N/head after it."""

import asyncio
import subprocess
import time

import pytest

from conveyor.forge.protocol import NotComputed
from conveyor.pipeline.facts import PullRequest
from tests.integration.forge.conftest import Scene, patiently
from tests.integration.forge.test_gitea_reads import upload
from tests.integration.forge.test_gitea_rebase import behind, head_of


async def stays_behind(scene: Scene, pull: PullRequest) -> None:
    """Once Gitea has brought the pull request's ref after its branch, put it back to where it was.

    It brings it twice, for the update and for the push that this is: so it is put back while Gitea is away, with
    nothing left that it could go on with.
    """
    new, name = await head_of(scene, pull), f"refs/pull/{pull.number}/head"
    git = ["git", "-C", str(scene.server.bare(scene.repository))]
    end = time.monotonic() + 20
    while _out([*git, "rev-parse", name]) != new:
        assert time.monotonic() < end, "Gitea never brought the ref after the branch"
        await asyncio.sleep(0.05)
    await patiently(lambda: scene.forge.diff(pull.number))
    scene.server.flush()
    scene.server.stop()
    _out([*git, "update-ref", name, pull.head_sha])
    scene.server.start()


def _out(command: list[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=20).stdout.strip()


async def rebased(scene: Scene) -> tuple[PullRequest, str, str]:
    """A pull request that has not seen its rebase, the base it was on, and its new head."""
    old = await scene.forge.branch_head("main")
    pull, _ = await behind(scene)
    await scene.forge.update_by_rebase(pull.number)
    await stays_behind(scene, pull)
    assert old is not None
    return pull, old, await head_of(scene, pull)


@pytest.mark.long
async def test_restart_does_not_bring_the_ref_after_its_branch(scene: Scene) -> None:
    pull, _, _ = await rebased(scene)
    other = await scene.pull("other")
    scene.push({"more.txt": "more\n"}, branch="other")
    assert b"more.txt" in await patiently(lambda: scene.forge.diff(other.number)), "it works again"
    with pytest.raises(NotComputed):
        await scene.forge.diff(pull.number)


async def test_pull_request_without_a_ref_is_not_computed(scene: Scene) -> None:
    pull = await scene.pull("feature")
    git = ["git", "-C", str(scene.server.bare(scene.repository))]
    _out([*git, "update-ref", "-d", f"refs/pull/{pull.number}/head"])
    with pytest.raises(NotComputed):
        await scene.forge.diff(pull.number)


async def test_rebase_that_was_not_seen_is_told_by_its_commits_and_merged(scene: Scene) -> None:
    pull, old, head = await rebased(scene)
    before = await scene.forge.series(old, pull.head_sha)
    assert len(before) == 1
    assert await scene.forge.series("main", head) == before
    await patiently(lambda: scene.forge.merge(pull.number, head=head))
    assert await scene.forge.branch_head("main") == head


@pytest.mark.long
async def test_pull_request_that_is_listed_has_the_old_head(scene: Scene) -> None:
    pull, _, head = await rebased(scene)
    (listed,) = await scene.forge.open_pull_requests(head="feature", base="main")
    assert (listed.head_sha, await head_of(scene, pull)) == (pull.head_sha, head)


@pytest.mark.long
async def test_review_that_names_the_new_commit_is_of_it(scene: Scene) -> None:
    """As the reviewing agent's does."""
    pull, _, head = await rebased(scene)
    review = {"event": "APPROVED", "commit_id": head}
    scene.api("POST", f"/pulls/{pull.number}/reviews", token=scene.developer.token, json=review)
    (found,) = await scene.forge.reviews(pull.number)
    assert (found.commit, found.stale) == (head, False)


@pytest.mark.long
async def test_review_that_names_no_commit_is_of_the_old_one(scene: Scene) -> None:
    """What a person sees in Gitea's pages is the old change as well."""
    pull, _, _ = await rebased(scene)
    scene.api("POST", f"/pulls/{pull.number}/reviews", token=scene.developer.token, json={"event": "APPROVED"})
    (found,) = await scene.forge.reviews(pull.number)
    assert found.commit == pull.head_sha


@pytest.mark.long
async def test_another_pull_request_of_the_branch_is_seen(scene: Scene) -> None:
    pull, _, _ = await rebased(scene)
    scene.api("PATCH", f"/pulls/{pull.number}", json={"state": "closed"})
    other = await scene.forge.open_pull_request(head="feature", base="main", title="feature", body="")
    assert b"ours" in await patiently(lambda: scene.forge.diff(other.number))


async def test_binary_file_and_merge_stand_for_themselves(scene: Scene) -> None:
    base = await scene.forge.branch_head("main")
    scene.push({"text.txt": "text\n"}, new="feature")
    upload(scene, "logo.bin", b"\x00" * 64, branch="feature")
    binary = await scene.forge.branch_head("feature")
    scene.push({"theirs.txt": "theirs\n"})
    pull = await scene.forge.open_pull_request(head="feature", base="main", title="feature", body="")
    await patiently(lambda: scene.forge.diff(pull.number))
    scene.api("POST", f"/pulls/{pull.number}/update", style="merge")
    head = await head_of(scene, pull)
    assert base is not None
    first, second, third = await scene.forge.series("main", head)
    assert (len(first), second, third) == (64, binary, head)
