"""The merge region on a real Gitea: what others do at its every step, and what Gitea does not say.

| disturbance | tests |
|---|---|
| the base moves | before, between intent and merge, in conflict |
| the head moves | by a push, by a forced push of the same change and of another, between intent and rebase |
| somebody merges | before the intent, and with it on record |
| the answer is lost, or is 500 | of rebase and merge, applied or not |
| another operator merges at the same time | with the same commits |
| Gitea dies | before the pull request sees our rebase; in mid-merge; with the base moved and the pull request open |
"""

import asyncio
from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from conveyor.forge.protocol import NotComputed
from conveyor.web.errors import OutsideError
from tests.cluster.fixtures import unique_name
from tests.cluster.gitea import Gitea as Server
from tests.integration.forge.conftest import forge_of, patiently
from tests.integration.forge.landing import Forward, Landing, Meddler, Place, landing


@pytest.fixture(scope="module")
def place(gitea: Server) -> Place:
    repository = gitea.create_repository("tests", unique_name("landing"), files={"README.md": "# One\n\n# Two\n"})
    operator, developer, reviewer = (
        gitea.create_user(unique_name(name)) for name in ("operator", "developer", "reviewer")
    )
    gitea.add_collaborator(repository, operator.name, permission="admin")
    for user in (developer, reviewer):
        gitea.add_collaborator(repository, user.name)
    return Place(gitea, repository, operator, developer, reviewer)


@pytest.fixture
async def lands(place: Place) -> AsyncIterator[Landing]:
    made = landing(place)
    try:
        yield made
    finally:
        await made.forge.aclose()


def before(what: Callable[[], object]) -> Meddler:
    """Something happens just before the request arrives."""

    async def meddle(forward: Forward) -> httpx.Response:
        what()
        return await forward()

    return meddle


async def lost_on_the_way(forward: Forward) -> httpx.Response:
    raise httpx.ReadError("no answer")


async def lost_on_the_way_back(forward: Forward) -> httpx.Response:
    await (await forward()).aread()
    raise httpx.ReadError("no answer")


async def answered_500(forward: Forward) -> httpx.Response:
    await (await forward()).aread()
    return httpx.Response(500, json={"message": "", "url": "u"})


async def answered_500_and_not_applied(forward: Forward) -> httpx.Response:
    return httpx.Response(500, json={"message": "", "url": "u"})


FAULTS = pytest.mark.parametrize(
    "fault",
    [
        lost_on_the_way_back,
        pytest.param(answered_500, marks=pytest.mark.long),
        pytest.param(lost_on_the_way, marks=pytest.mark.long),
        pytest.param(answered_500_and_not_applied, marks=pytest.mark.long),
    ],
)


async def assert_landed(it: Landing, head: str) -> None:
    """The base is at exactly this commit, the pull request is merged, and the item knows."""
    assert it.status["mergeSHA"] == head
    assert await it.base_head() == head
    assert (await it.pull()).merged
    assert it.stage == "done"
    assert it.rig.told.violations == []


# --- rebase


async def test_branch_that_is_up_to_date_is_merged_as_it_is(lands: Landing) -> None:
    await lands.begin()
    await lands.run()
    await assert_landed(lands, lands.head)
    assert "update" not in lands.wire.sent


async def test_branch_behind_its_base_is_rebased_tested_again_and_merged_with_its_approval(lands: Landing) -> None:
    await lands.begin()
    base = lands.push_base()
    await lands.run()
    head = lands.status["headSHA"]
    assert (head != lands.head, lands.status["baseSHA"], lands.rig.waiting(lands.item)[0]) == (True, base, "CI")
    assert lands.wire.sent.count("update") == 1
    lands.ci(head)
    await lands.run()
    await assert_landed(lands, head)
    assert await lands.forge.contains(head, base)


async def test_rebase_that_the_pull_request_never_sees_is_tested_and_merged_with_its_approval(lands: Landing) -> None:
    await lands.begin()
    lands.push_base()
    lands.lock_pull()
    await lands.run()
    head = lands.status["headSHA"]
    assert (head != lands.head, lands.rig.waiting(lands.item)[0]) == (True, "CI")
    with pytest.raises(NotComputed):
        await lands.forge.diff(lands.number)
    lands.ci(head)
    await lands.run()
    await assert_landed(lands, head)
    assert [entry["to"] for entry in lands.status["history"]] == ["deploy", "done"]


@pytest.mark.long
async def test_hunk_that_the_rebase_moves_is_still_the_same_change(lands: Landing) -> None:
    lines = [f"line {number}\n" for number in range(60)]
    lands.push({"long.txt": "".join(lines)}, branch="main")
    await lands.begin({"long.txt": "".join([*lines[:50], "ours\n", *lines[50:]])})
    lands.push_base({"long.txt": "".join(["theirs\n"] * 5 + lines)})
    await lands.run_to_the_end()
    await assert_landed(lands, lands.status["mergeSHA"])
    assert [entry["to"] for entry in lands.status["history"]] == ["deploy", "done"]


@pytest.mark.long
async def test_conflict_goes_to_the_developer_with_its_files_named(lands: Landing) -> None:
    await lands.begin({"README.md": "ours\n", "ours.txt": "ours\n"})
    lands.push_base({"README.md": "theirs\n", "theirs.txt": "theirs\n"})
    await lands.run()
    assert lands.stage == "development"
    assert lands.status["history"][-1]["cause"].endswith("both changed README.md")
    assert (await lands.pull()).head_sha == lands.head


@FAULTS
async def test_rebase_that_nobody_confirms_happens_once(lands: Landing, fault: Meddler) -> None:
    await lands.begin()
    base = lands.push_base()
    lands.wire.meddle("update", fault)
    await lands.run()
    head = lands.status["headSHA"]
    assert lands.status["baseSHA"] == base
    assert (await lands.pull()).head_sha == head != lands.head
    assert lands.rig.waiting(lands.item)[0] == "CI"
    assert not lands.status.get("attempts")
    ours = lands.api("GET", f"/compare/{lands.base}...{head}")
    assert ours["total_commits"] == 1


@pytest.mark.long
async def test_push_between_intent_and_rebase_is_reviewed(lands: Landing) -> None:
    await lands.begin()
    lands.push_base()
    lands.wire.meddle("update", before(lambda: lands.push({"foreign.txt": "x\n"}, branch=lands.branch)))
    await lands.run()
    assert lands.stage == "review"
    assert lands.status["history"][-1]["cause"].startswith("HeadMoved: somebody pushed")
    assert "merge" not in lands.wire.sent


@pytest.mark.long
async def test_base_that_moves_between_intent_and_rebase_is_in_the_new_head_too(lands: Landing) -> None:
    await lands.begin()
    lands.push_base()
    newest: list[str] = []
    lands.wire.meddle("update", before(lambda: newest.append(lands.push_base())))
    await lands.run_to_the_end()
    await assert_landed(lands, lands.status["mergeSHA"])
    assert await lands.forge.contains(lands.status["mergeSHA"], newest[0])
    assert lands.wire.sent.count("update") == 1


# --- the head


@pytest.mark.parametrize(
    "files",
    [
        pytest.param({"ours.txt": "ours\n"}, id="same change"),
        pytest.param({"ours.txt": "theirs\n"}, id="another", marks=pytest.mark.long),
    ],
)
async def test_approved_commit_that_is_replaced_is_reviewed_although_gitea_would_merge_it(
    lands: Landing, files: dict[str, str]
) -> None:
    await lands.begin()
    new = lands.replace_head(files)
    lands.ci(new)
    (review,) = await lands.forge.reviews(lands.number)
    assert (review.state, review.dismissed, review.commit) == ("APPROVED", False, lands.head)
    await lands.run()
    assert lands.stage == "review"
    assert (lands.status["headSHA"], lands.wire.sent) == (new, [])
    lands.place.server.protect(lands.place.repository, lands.base, required_approvals=1)
    await patiently(lambda: lands.forge.merge(lands.number, head=new))
    assert await lands.base_head() == new, "Gitea did not count the approval: this test would show nothing"


@pytest.mark.long
async def test_approved_commit_that_is_replaced_after_our_rebase_is_reviewed(lands: Landing) -> None:
    await lands.begin()
    lands.push_base()
    await lands.run()
    lands.head = lands.status["headSHA"]
    lands.ci(lands.replace_head({"ours.txt": "ours\n"}))
    await lands.run()
    assert lands.stage == "review"
    assert "merge" not in lands.wire.sent


@pytest.mark.long
async def test_head_that_moves_between_intent_and_merge_is_reviewed(lands: Landing) -> None:
    await lands.begin()
    base = await lands.base_head()
    lands.wire.meddle("merge", before(lambda: lands.push({"foreign.txt": "x\n"}, branch=lands.branch)))
    await lands.run()
    assert lands.stage == "review"
    assert await lands.base_head() == base


# --- the base


@pytest.mark.long
async def test_base_that_moves_between_intent_and_merge_is_rebased_on_and_charged(lands: Landing) -> None:
    await lands.begin()
    lands.wire.meddle("merge", before(lands.push_base))
    await lands.run_to_the_end()
    await assert_landed(lands, lands.status["mergeSHA"])
    assert [(it["cause"], it["count"]) for it in lands.status["attempts"]] == [("BaseMoved", 1)]


# --- merged by others


async def test_merge_by_a_person_is_the_end(lands: Landing) -> None:
    await lands.begin()
    lands.push_base()
    await patiently_by_hand(lands, "merge")
    await lands.run()
    assert lands.stage == "done"
    assert lands.status["history"][-1]["cause"].startswith(f"#{lands.number} was merged by")
    assert lands.wire.sent == []


@pytest.mark.parametrize("style", ["squash", pytest.param("fast-forward-only", marks=pytest.mark.long)])
async def test_merge_by_a_person_with_our_intent_on_record_counts_as_ours(lands: Landing, style: str) -> None:
    await lands.begin()

    async def overtaken(forward: Forward) -> httpx.Response:
        await patiently_by_hand(lands, style)
        return await forward()

    lands.wire.meddle("merge", overtaken)
    await lands.run()
    assert [entry["to"] for entry in lands.status["history"]] == ["deploy", "done"]
    assert lands.status["mergeSHA"] == await lands.base_head()
    assert len([job for job in lands.rig.jobs if "production" in job]) == 1


async def patiently_by_hand(it: Landing, style: str) -> None:
    for _ in range(200):
        try:
            it.merge_by_hand(style)
        except Exception as error:
            if "try again later" not in str(error):
                raise
            await asyncio.sleep(0.05)
        else:
            return


# --- merged by us


@FAULTS
async def test_merge_that_nobody_confirms_happens_once(lands: Landing, fault: Meddler) -> None:
    await lands.begin()
    lands.wire.meddle("merge", fault)
    await lands.run()
    await assert_landed(lands, lands.head)
    assert len([job for job in lands.rig.jobs if "production" in job]) == 1


async def test_two_operators_that_merge_at_once_move_the_base_once(lands: Landing, place: Place) -> None:
    await lands.begin()

    async def together(forward: Forward) -> httpx.Response:
        async with forge_of(place.server, place.repository, place.operator.token) as other:

            async def again() -> None:
                await other.merge(lands.number, head=lands.head)

            answer, *_ = await asyncio.gather(forward(), again(), again(), return_exceptions=True)
        assert isinstance(answer, httpx.Response)
        return answer

    lands.wire.meddle("merge", together)
    await lands.run()
    await assert_landed(lands, lands.head)


async def test_half_merge_that_a_crash_left_is_found_and_healed(lands: Landing) -> None:
    """The base has the head and the pull request is open."""
    await lands.begin()
    base = await lands.base_head()
    moved = {"new_commit_id": lands.head, "old_commit_id": base}

    async def crashed(forward: Forward) -> httpx.Response:
        lands.api("PUT", f"/branches/{lands.base}", json=moved)
        raise httpx.ReadError("no answer")

    lands.wire.meddle("merge", crashed)
    await lands.run()
    await assert_landed(lands, lands.head)


@pytest.mark.parametrize("delay", [0.05, *(pytest.param(delay, marks=pytest.mark.long) for delay in (0.0, 0.15, 0.3))])
async def test_gitea_killed_in_mid_merge_lands_once_when_it_is_back(lands: Landing, delay: float) -> None:
    await lands.begin()
    server = lands.place.server

    async def killed(forward: Forward) -> httpx.Response:
        sent: asyncio.Future[httpx.Response] = asyncio.ensure_future(forward())
        await asyncio.sleep(delay)
        await asyncio.to_thread(server.kill)
        try:
            answer = await sent
            await answer.aread()
        except (httpx.HTTPError, OutsideError):
            pass
        await asyncio.to_thread(server.start)
        raise httpx.ReadError("no answer")

    lands.wire.meddle("merge", killed)
    await patiently(lands.forge.login)
    await lands.run(600)
    await assert_landed(lands, lands.head)
    assert len([job for job in lands.rig.jobs if "production" in job]) == 1
