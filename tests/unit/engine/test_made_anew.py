"""A Repository made anew under its name within seconds (`kubectl replace --force`) is another.

Nothing known of the old one counts, though its generation is 1 again.
"""

from dataclasses import replace

import pytest

from conveyor.api.objects import Repository
from conveyor.cluster.protocol import JSONObject, Kind
from conveyor.engine.connections import Connections
from conveyor.pipeline.facts import ForgeSettings
from conveyor.web.hosts import AllowedHosts
from tests.unit.engine.rig import SHOP, TRACKER, Rig

FORGE: JSONObject = {"url": "https://git.test", "owner": "acme", "credentialsSecretRef": {"name": "git"}}


def of_forge(rig: Rig, **forge: str) -> Repository:
    obj = rig.cluster.store.object(Kind.REPOSITORY, SHOP)
    obj["spec"]["forge"] |= forge
    return Repository.model_validate(obj)


@pytest.mark.parametrize("wait", [0.0, 20.0, 40.0])
async def test_its_own_forge_is_asked_and_the_old_ones_no_more(wait: float) -> None:
    rig, now = Rig(), [0.0]
    rig.repository()
    connections = Connections(
        rig.cluster, allowed=AllowedHosts(("*",)), clock=lambda: now[0], requests_per_minute=60, states_ttl=300
    )
    old = await connections.forge(of_forge(rig, name="old"))
    assert await connections.forge(of_forge(rig, name="old")) is old
    now[0] += wait
    assert await connections.forge(of_forge(rig, name="new")) is not old


async def test_it_is_checked_anew_and_nothing_starts_where_it_is_not_protected() -> None:
    rig = Rig()
    rig.repository()
    await rig.run(until=5)
    assert rig.condition(SHOP)[0] == "True"
    good = rig.forge.forge_settings
    assert isinstance(good, ForgeSettings)
    rig.forge.forge_settings = replace(good, protected=False, unprotected_reason="agents could push")
    rig.cluster.store.remove(Kind.REPOSITORY, SHOP)
    rig.repository(forge=FORGE | {"name": "another"})
    item = rig.item()
    await rig.run(item, until=120)
    assert rig.condition(SHOP)[:2] == ("False", "Unprotected")
    assert rig.stage(item) == "created"


async def test_its_tickets_are_read_from_the_beginning() -> None:
    rig = Rig()
    rig.repository(tracker=TRACKER)
    other = rig.tracker.add(17, "Of another project", state="To Analyse")
    elsewhere = rig.tracker.tickets.pop(other)
    rig.tracker.add(18, "Later")
    await rig.run(until=60)
    rig.cluster.store.remove(Kind.REPOSITORY, SHOP)
    rig.repository(tracker=TRACKER)
    rig.tracker.tickets[other] = elsewhere
    await rig.run(until=60)
    assert [key.name for key in rig.cluster.store.keys(Kind.WORKITEM)] == ["shop-et-17"]
