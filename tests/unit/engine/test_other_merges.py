"""What somebody else does to the pull request or to the base: nothing of it passes for our merge, or for theirs."""

from dataclasses import replace

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
    assert not any("production" in name for name in rig.jobs)


@pytest.mark.parametrize("other", [{"base": "release"}, {"head": "feature/of-another"}], ids=["base", "branch"])
async def test_merge_of_another_base_or_branch_is_told_and_resume_opens_another(other: dict[str, str]) -> None:
    rig, item, number = await approvable()
    pull = rig.forge.pulls[number]
    done = replace(pull, state="closed", merged=True, merged_by="anna", merge_sha=pull.head_sha)
    rig.forge.pulls[number] = replace(done, **other)
    hinted(rig, item)
    await rig.run(item, until=3600)
    assert rig.condition(item, "Stalled", Kind.WORKITEM)[1] == "PullRequestClosed"
    word = {"metadata": {"annotations": {"request.conveyor.dev/resume": "r1 by=ann"}}}
    rig.cluster.store.edit(Kind.WORKITEM, item, word)
    await rig.run(item, until=3600)
    assert rig.status(item)["pullRequest"]["number"] == number + 1
    assert rig.waiting(item)[0] == "Approval"
