"""What somebody else does to the pull request or to the base: nothing of it passes for our merge, or for theirs."""

from dataclasses import replace
from typing import Any

import pytest

from conveyor.cluster.protocol import JSONObject, Key, Kind
from tests.unit.engine.rig import Rig

BY_PERSON: JSONObject = {"approval": {"analysis": "Auto", "deploy": "Person"}}


async def approvable() -> tuple[Rig, Key, int]:
    """Item and pull request, with all but a person's approval."""
    rig = Rig()
    rig.repository(gates=BY_PERSON)
    item = rig.item()
    await rig.run(item, until=3600)
    assert rig.waiting(item)[0] == "Approval"
    return rig, item, rig.status(item)["pullRequest"]["number"]


def merged(rig: Rig, number: int, *, by: str) -> None:
    pull = rig.forge.pulls[number]
    rig.forge.pulls[number] = replace(pull, state="closed", merged=True, merged_by=by, merge_sha=pull.head_sha)


def productions(rig: Rig) -> list[str]:
    return [name for name in rig.jobs if "production" in name]


def hinted(rig: Rig, item: Key) -> None:
    rig.cluster.store.edit(Kind.WORKITEM, item, {"metadata": {"annotations": {"hint.conveyor.dev/pull-request": "x"}}})


async def test_pull_request_that_goes_elsewhere_after_the_intent_is_not_merged_there() -> None:
    rig = Rig()
    rig.repository()
    item = rig.item()
    main = rig.forge.branches["release"] = rig.forge.branches["main"]
    await rig.run_until(lambda: rig.status(item).get("transition", {}).get("effect") == "Merge")
    number = rig.status(item)["pullRequest"]["number"]
    rig.forge.pulls[number] = replace(rig.forge.pulls[number], base="release")
    await rig.run(item, until=7200)
    assert rig.forge.branches["release"] == main
    assert rig.condition(item, "Stalled", Kind.WORKITEM)[1] == "BaseRenamed"
    assert productions(rig) == []


async def test_pull_request_that_goes_elsewhere_in_the_moment_of_our_merge_says_which_branch_has_moved() -> None:
    """Gitea's merge names no base: what it merged to is seen behind it alone."""
    rig = Rig()
    rig.repository()
    item = rig.item()
    main = rig.forge.branches["release"] = rig.forge.branches["main"]
    send = rig.forge.merge

    async def retargeted(number: int, *, head: str) -> None:
        rig.forge.pulls[number] = replace(rig.forge.pulls[number], base="release")
        await send(number, head=head)

    rig.forge.merge = retargeted  # type: ignore[method-assign]
    await rig.run(item, until=7200)
    head = rig.status(item)["headSHA"]
    assert (rig.forge.branches["main"], rig.forge.branches["release"]) == (main, head)
    status, reason, message = rig.condition(item, "Stalled", Kind.WORKITEM)
    assert (status, reason) == ("True", "PullRequestClosed")
    assert f"release has {head[:12]} by operator" in message
    assert productions(rig) == []


@pytest.mark.parametrize("other", [{"base": "release"}, {"head": "feature/of-another"}], ids=["base", "branch"])
async def test_merge_of_another_base_or_branch_is_told_and_resume_opens_another(other: dict[str, Any]) -> None:
    rig, item, number = await approvable()
    merged(rig, number, by="anna")
    rig.forge.pulls[number] = replace(rig.forge.pulls[number], **other)
    hinted(rig, item)
    await rig.run(item, until=3600)
    assert rig.condition(item, "Stalled", Kind.WORKITEM)[1] == "PullRequestClosed"
    word = {"metadata": {"annotations": {"request.conveyor.dev/resume": "r1 by=ann"}}}
    rig.cluster.store.edit(Kind.WORKITEM, item, word)
    await rig.run(item, until=3600)
    assert rig.status(item)["pullRequest"]["number"] == number + 1
    assert rig.waiting(item)[0] == "Approval"


@pytest.mark.parametrize("late", [False, True], ids=["at once", "a moment later"])
@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("developer-bot", ("deploy-staging", "MergedByAgent", 0)),
        ("operator", ("done", "", 1)),
        ("anna", ("done", "", 0)),
    ],
    ids=["an agent's", "ours", "a person's"],
)
async def test_merge_between_two_reads_of_a_pass_is_whose_it_is(
    by: str, expected: tuple[str, str, int], late: bool
) -> None:
    """The base moves after the pull request was read, and the pull request is closed at once or a moment later."""
    rig, item, number = await approvable()
    read, seen = rig.forge.branch_head, list[str]()

    async def between(branch: str) -> str | None:
        if branch == "main" and not seen:
            seen.append(branch)
            rig.forge.branches["main"] = rig.forge.pulls[number].head_sha
            if not late:
                merged(rig, number, by=by)
        return await read(branch)

    rig.forge.branch_head = between  # type: ignore[method-assign]
    hinted(rig, item)
    await rig.run(item, until=1)
    assert seen
    merged(rig, number, by=by)
    await rig.run(item, until=3600)
    stalled = rig.condition(item, "Stalled", Kind.WORKITEM)
    why = stalled[1] if stalled[0] == "True" else ""
    assert (rig.stage(item), why, len(productions(rig))) == expected


async def test_head_on_the_base_of_a_pull_request_that_stays_open_is_a_persons_matter() -> None:
    rig, item, number = await approvable()
    rig.forge.branches["main"] = rig.forge.pulls[number].head_sha
    hinted(rig, item)
    await rig.run(item, until=7200)
    assert rig.condition(item, "Stalled", Kind.WORKITEM)[1] == "MergedLate"
    assert productions(rig) == []
    asked = {"request.conveyor.dev/override": "o1 by=ann deploy-staging>deploy it is ours"}
    rig.cluster.store.edit(Kind.WORKITEM, item, {"metadata": {"annotations": asked}})
    await rig.run(item)
    assert (rig.stage(item), len(productions(rig))) == ("done", 1)


async def test_branch_that_is_set_to_a_commit_of_the_base_is_not_merged() -> None:
    rig, item, _ = await approvable()
    rig.forge.reset(rig.status(item)["branch"], to=rig.forge.push("main", "other.py"))
    hinted(rig, item)
    await rig.run(item, until=7200)
    assert rig.stage(item) != "done"
    assert rig.condition(item, "Stalled", Kind.WORKITEM)[1] == "MergedLate"
