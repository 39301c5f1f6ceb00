"""Effects on the forge that it refuses to the last: a person is told what it says."""

import pytest

from conveyor.cluster.protocol import Kind
from conveyor.web.errors import Refused
from tests.unit.engine.rig import Rig
from tests.unit.engine.test_odd_jobs import ask

EFFECTS = {"CutBranch": "create_branch", "OpenPullRequest": "open_pull_request", "Merge": "merge"}


def refuse(rig: Rig, verb: str) -> None:
    async def refused(*_: object, **__: object) -> None:
        raise Refused("POST answered 405: not enough approvals", status=405)

    setattr(rig.forge, verb, refused)


@pytest.mark.parametrize("effect", EFFECTS)
async def test_effect_that_is_refused_to_the_last_is_parked_with_what_the_forge_says(effect: str) -> None:
    rig = Rig()
    rig.repository()
    item = rig.item()
    refuse(rig, EFFECTS[effect])
    await rig.run(item, until=7200)
    _, reason, message = rig.condition(item, "Stalled", Kind.WORKITEM)
    assert (rig.status(item)["transition"]["effect"], reason) == (effect, "EffectUnknown")
    assert "not enough approvals" in message
    before = rig.whole(item).metadata.resource_version
    rig.forge.calls.down = True
    await rig.run(item, until=3600)
    rig.forge.calls.down = False
    await rig.run(item, until=3600)
    assert rig.whole(item).metadata.resource_version == before
    delattr(rig.forge, EFFECTS[effect])
    ask(rig, item, "resume")
    await rig.run(item)
    assert rig.stage(item) == "done"
