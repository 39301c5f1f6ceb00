"""Covers, on a real Gitea: branches, comparisons, pull requests, diffs, statuses, reviews, lists beyond a page."""

import base64
import subprocess

import pytest

from conveyor.forge.change_id import change_id
from conveyor.pipeline.facts import ChangedFile
from conveyor.web.errors import Ambiguous, Conflict, NotFound, Unavailable
from tests.integration.forge.conftest import Scene, forge_of, patiently

FIRST_PATH = "docs/work-items/ET-1/01-goal.md"


def head_sha(scene: Scene) -> str:
    assert scene.repository.head_sha is not None
    return scene.repository.head_sha


# --- branches


async def test_branch_is_cut_at_the_commit(scene: Scene) -> None:
    scene.push({"later.txt": "later\n"})
    await scene.forge.create_branch("feature/ET-1-slug", at=head_sha(scene))
    assert await scene.forge.branch_head("feature/ET-1-slug") == head_sha(scene)


async def test_branch_that_exists_is_a_conflict(scene: Scene) -> None:
    await scene.forge.create_branch("feature/ET-1", at=head_sha(scene))
    with pytest.raises(Conflict):
        await scene.forge.create_branch("feature/ET-1", at=head_sha(scene))


@pytest.mark.long
async def test_branch_below_another_is_a_conflict(scene: Scene) -> None:
    await scene.forge.create_branch("feature", at=head_sha(scene))
    with pytest.raises(Conflict):
        await scene.forge.create_branch("feature/ET-1", at=head_sha(scene))


async def test_branch_at_an_unknown_commit_is_not_made(scene: Scene) -> None:
    with pytest.raises(Ambiguous):
        await scene.forge.create_branch("feature/ET-1", at="a" * 40)
    assert await scene.forge.branch_head("feature/ET-1") is None


async def test_deleted_branch_is_none(scene: Scene) -> None:
    await scene.forge.create_branch("feature/ET-1", at=head_sha(scene))
    scene.api("DELETE", "/branches/feature/ET-1")
    assert await scene.forge.branch_head("feature/ET-1") is None


async def test_branch_whose_making_was_broken_off_is_seen(scene: Scene) -> None:
    """Git has it, Gitea's own list has not, and making it again is refused: what a lost connection can leave."""
    ref = scene.server.bare(scene.repository) / "refs/heads/feature/ET-1"
    ref.parent.mkdir()
    ref.write_text(f"{head_sha(scene)}\n")
    with pytest.raises(Conflict):
        await scene.forge.create_branch("feature/ET-1", at=head_sha(scene))
    assert await scene.forge.branch_head("feature/ET-1") == head_sha(scene)


# --- comparisons


async def test_changed_files_are_what_the_branch_did(scene: Scene) -> None:
    scene.push({FIRST_PATH: "one\n", "gone.txt": "x\n"}, new="feature/ET-1")
    scene.push({FIRST_PATH: "two\n", "README.md": "changed\n"}, branch="feature/ET-1")
    remove(scene, "gone.txt", branch="feature/ET-1")
    scene.push({"base.txt": "of somebody else\n"})
    assert await scene.forge.changed_files("main", "feature/ET-1") == (
        ChangedFile("README.md", "modified"),
        ChangedFile(FIRST_PATH, "added"),
    )


def remove(scene: Scene, path: str, *, branch: str) -> None:
    sha = scene.api("GET", f"/contents/{path}", ref=branch)["sha"]
    scene.api("DELETE", f"/contents/{path}", json={"branch": branch, "message": "Remove", "sha": sha})


@pytest.mark.long
async def test_removed_file_of_the_base_is_removed(scene: Scene) -> None:
    await scene.forge.create_branch("feature", at=head_sha(scene))
    remove(scene, "README.md", branch="feature")
    assert await scene.forge.changed_files("main", "feature") == (ChangedFile("README.md", "removed"),)


async def test_base_merged_into_the_branch_adds_no_changed_files(scene: Scene) -> None:
    pull = await scene.pull("feature", {"ours.txt": "ours\n"})
    scene.push({"theirs.txt": "theirs\n"})
    scene.api("POST", f"/pulls/{pull.number}/update", style="merge")
    assert await scene.forge.changed_files("main", "feature") == (ChangedFile("ours.txt", "added"),)


@pytest.mark.long
async def test_branch_without_commits_changes_nothing(scene: Scene) -> None:
    await scene.forge.create_branch("feature", at=head_sha(scene))
    assert await scene.forge.changed_files("main", "feature") == ()


async def test_name_with_odd_characters_is_found_as_it_is(scene: Scene) -> None:
    path = 'docs/Привет "x" 100%#?.md'
    scene.push({path: "x\n"}, new="feature")
    assert await scene.forge.changed_files("main", "feature") == (ChangedFile(path, "added"),)


@pytest.mark.long
async def test_unknown_branch_cannot_be_compared(scene: Scene) -> None:
    with pytest.raises(NotFound):
        await scene.forge.changed_files("main", "no-such-branch")


async def test_history_contains_its_commits_and_no_others(scene: Scene) -> None:
    new = scene.push({"x": "y\n"}, new="feature")
    tip = scene.push({"z": "z\n"})
    assert [await scene.forge.contains("main", commit) for commit in (head_sha(scene), tip, new)] == [True, True, False]


async def test_unknown_commit_is_neither_contained_nor_not(scene: Scene) -> None:
    with pytest.raises(NotFound):
        await scene.forge.contains("main", "a" * 40)


def unrelated_commit(scene: Scene) -> str:
    """A commit without parents, on a branch of its own."""
    repository = ["git", "-C", str(scene.server.bare(scene.repository))]
    who = ["-c", "user.name=dev", "-c", "user.email=dev@example.test"]
    tree = ["commit-tree", f"{head_sha(scene)}^{{tree}}", "-m", "Begin anew"]
    commit = subprocess.run([*repository, *who, *tree], check=True, capture_output=True, text=True).stdout.strip()
    subprocess.run([*repository, "update-ref", "refs/heads/unrelated", commit], check=True)
    return commit


async def test_commit_that_has_nothing_in_common_is_never_said_to_be_contained(scene: Scene) -> None:
    """Gitea 1.26 answers 500 to such a comparison, where an empty list would read as yes."""
    commit = unrelated_commit(scene)
    for base, other in (("main", commit), (head_sha(scene), commit), ("unrelated", head_sha(scene))):
        with pytest.raises(Unavailable):
            await scene.forge.contains(base, other)


# --- pull requests


async def test_pull_request_is_opened_and_read_back(scene: Scene) -> None:
    opened = await scene.pull("feature/ET-1-slug")
    found = await scene.forge.pull_request(opened.number)
    assert found is not None
    assert (found.head, found.base, found.state, found.merged, found.merge_sha) == (
        "feature/ET-1-slug",
        "main",
        "open",
        False,
        "",
    )
    assert found.head_sha == await scene.forge.branch_head("feature/ET-1-slug")
    assert found.url == f"{scene.server.url}/tests/{scene.repository.name}/pulls/{opened.number}"


async def test_second_open_pull_request_is_a_conflict(scene: Scene) -> None:
    await scene.pull("feature")
    with pytest.raises(Conflict):
        await scene.forge.open_pull_request(head="feature", base="main", title="again", body="")


@pytest.mark.long
async def test_pull_request_of_a_missing_branch_is_not_found(scene: Scene) -> None:
    with pytest.raises(NotFound):
        await scene.forge.open_pull_request(head="no-such-branch", base="main", title="t", body="")


async def test_missing_pull_request_is_none(scene: Scene) -> None:
    assert await scene.forge.pull_request(4711) is None


async def test_open_pull_requests_are_those_of_head_and_base(scene: Scene) -> None:
    closed = await scene.pull("feature")
    scene.api("PATCH", f"/pulls/{closed.number}", json={"state": "closed"})
    wanted = await scene.forge.open_pull_request(head="feature", base="main", title="t", body="")
    await scene.pull("feature-2")
    await scene.forge.create_branch("other-base", at=head_sha(scene))
    await scene.forge.open_pull_request(head="feature", base="other-base", title="t", body="")
    found = await scene.forge.open_pull_requests(head="feature", base="main")
    assert [pull.number for pull in found] == [wanted.number]


@pytest.mark.long
async def test_pull_request_from_a_fork_is_not_ours(scene: Scene) -> None:
    fork = scene.api("POST", "/forks", token=scene.developer.token, json={"name": f"fork-{scene.repository.name}"})
    scene.server.api("POST", f"/repos/{fork['full_name']}/branches", json={"new_branch_name": "feature"})
    content = base64.b64encode(b"x").decode()
    scene.server.api(
        "POST",
        f"/repos/{fork['full_name']}/contents/x",
        json={"branch": "feature", "message": "Change", "content": content},
    )
    head = f"{scene.developer.name}:feature"
    scene.api("POST", "/pulls", token=scene.developer.token, json={"head": head, "base": "main", "title": "t"})
    assert await scene.forge.open_pull_requests(head="feature", base="main") == ()


@pytest.mark.long
async def test_deleted_head_branch_is_still_named(scene: Scene) -> None:
    pull = await scene.pull("feature/ET-1")
    await scene.merge(pull)
    scene.api("DELETE", "/branches/feature/ET-1")
    found = await scene.forge.pull_request(pull.number)
    assert found is not None
    assert (found.head, found.head_sha) == ("feature/ET-1", pull.head_sha)


async def test_comment_appears(scene: Scene) -> None:
    pull = await scene.pull("feature")
    await scene.forge.comment(pull.number, "Tested.\n<b>&amp;</b>")
    found = scene.api("GET", f"/issues/{pull.number}/comments")
    assert [(one["user"]["login"], one["body"]) for one in found] == [(scene.operator.name, "Tested.\n<b>&amp;</b>")]


# --- diffs


async def test_change_keeps_its_id_through_a_rebase_that_moves_it(scene: Scene) -> None:
    numbers = [f"line {number}\n" for number in range(60)]
    scene.push({"long.txt": "".join(numbers)})
    ours = [*numbers[:50], "ours\n", *numbers[50:]]
    pull = await scene.pull("feature", {"long.txt": "".join(ours)})
    before = await patiently(lambda: scene.forge.diff(pull.number))
    scene.push({"long.txt": "".join(["theirs\n"] * 5 + numbers)})
    scene.api("POST", f"/pulls/{pull.number}/update", style="rebase")
    after = await patiently(lambda: scene.forge.diff(pull.number))
    assert b"+ours" in after
    assert after != before, "the rebase moved no hunk: this test would show nothing"
    assert change_id(after) == change_id(before)


async def test_changed_binary_file_has_another_id(scene: Scene) -> None:
    pull = await scene.pull("feature")
    ids = set()
    for byte in (b"\x01", b"\x02"):
        upload(scene, "logo.bin", b"\x00" + byte * 64, branch="feature")
        ids.add(change_id(await patiently(lambda: scene.forge.diff(pull.number))))
    assert len(ids) == 2


def upload(scene: Scene, path: str, content: bytes, *, branch: str) -> None:
    change = {"operation": "upload", "path": path, "content": base64.b64encode(content).decode()}
    scene.api("POST", "/contents", json={"branch": branch, "message": "Upload", "files": [change]})


@pytest.mark.long
async def test_diff_of_a_missing_pull_request_is_not_found(scene: Scene) -> None:
    with pytest.raises(NotFound):
        await scene.forge.diff(4711)


# --- statuses and reviews


@pytest.mark.long
async def test_commit_without_statuses_has_none(scene: Scene) -> None:
    assert await scene.forge.statuses(head_sha(scene)) == ()


@pytest.mark.long
async def test_statuses_beyond_a_page_are_read_and_the_newest_count(scene: Scene) -> None:
    commit = head_sha(scene)
    set_status(scene, commit, "ci/0", "failure")
    for number in range(54):
        set_status(scene, commit, f"ci/{number}", "success")
    set_status(scene, commit, "ci/0", "pending", token=scene.developer.token)
    found = await scene.forge.statuses(commit)
    assert len(found) == 55
    assert {(one.creator, one.state) for one in found if one.context == "ci/0"} == {
        (scene.server.admin.name, "success"),
        (scene.developer.name, "pending"),
    }


def set_status(scene: Scene, commit: str, context: str, state: str, *, token: str | None = None) -> None:
    body = {"context": context, "state": state, "target_url": "http://ci.example/1"}
    scene.api("POST", f"/statuses/{commit}", json=body, token=token)


@pytest.mark.long
async def test_statuses_of_an_unknown_commit_are_not_found(scene: Scene) -> None:
    with pytest.raises(NotFound):
        await scene.forge.statuses("a" * 40)


def review(scene: Scene, number: int, event: str, body: str) -> None:
    scene.api("POST", f"/pulls/{number}/reviews", token=scene.developer.token, json={"event": event, "body": body})


async def test_reviews_are_read_oldest_first_with_their_commit(scene: Scene) -> None:
    pull = await scene.pull("feature")
    review(scene, pull.number, "REQUEST_CHANGES", "no")
    review(scene, pull.number, "APPROVED", "yes")
    found = await scene.forge.reviews(pull.number)
    assert [(one.author, one.state, one.body, one.commit, one.official) for one in found] == [
        (
            scene.developer.name,
            "REQUEST_CHANGES",
            "no",
            pull.head_sha,
            False,
        ),  # a later word of the same person replaces it
        (scene.developer.name, "APPROVED", "yes", pull.head_sha, True),
    ]


@pytest.mark.long
async def test_reviews_beyond_a_page_are_read(scene: Scene) -> None:
    pull = await scene.pull("feature")
    for number in range(53):
        review(scene, pull.number, "COMMENT", f"remark {number}")
    found = await scene.forge.reviews(pull.number)
    assert [one.body for one in found] == [f"remark {number}" for number in range(53)]


async def test_forge_that_restarts_is_asked_again(scene: Scene) -> None:
    """A connection kept from before is dead then."""
    async with forge_of(scene.server, scene.repository, scene.operator.token) as forge:
        assert await forge.branch_head("main") == head_sha(scene)
        scene.server.restart()
        assert await forge.branch_head("main") == head_sha(scene)
