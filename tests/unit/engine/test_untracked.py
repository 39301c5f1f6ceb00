"""With its first intent an item loses its managedFields; one that somebody applies server-side keeps them."""

import pytest

from conveyor.cluster.protocol import JSONObject, Kind
from tests.unit.engine.rig import Rig

GITOPS: JSONObject = {"metadata": {"managedFields": [{"manager": "gitops", "operation": "Apply"}]}}


@pytest.mark.parametrize(("applied", "stripped"), [({}, True), (GITOPS, False)], ids=["created", "applied"])
async def test_item_that_begins_is_tracked_for_those_who_apply_it(applied: JSONObject, stripped: bool) -> None:
    rig = Rig()
    rig.repository()
    item = rig.item()
    rig.cluster.store.edit(Kind.WORKITEM, item, applied)
    rig.crew.idle = True
    await rig.run(until=60)
    written = [it.body for it in rig.cluster.writes_of("set_finalizers") if it.kind == Kind.WORKITEM]
    assert ["managedFields" in body for body in written] == [stripped]
