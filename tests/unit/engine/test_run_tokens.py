"""Which token a run's pod gets: never one whose own Secret names another host than the Repository's forge."""

import pytest

from conveyor.cluster.protocol import Key
from tests.unit.engine.rig import NAMESPACE, Rig


@pytest.mark.parametrize("url", ["https://elsewhere.test", "http://git.test", "https://git.test:8443"])
async def test_run_does_not_take_a_token_to_another_host_than_its_secret_names(url: str) -> None:
    rig = Rig()
    rig.repository(agentCredentialsSecretRef={"name": "agents"})
    rig.cluster.secrets[Key(NAMESPACE, "agents")] = {"token": "s3cret", "url": url}
    item = rig.item()
    await rig.run(until=60)
    reason, message = rig.waiting(item)
    assert (reason, message.partition(" is not on ")[0]) == (
        "Run",
        "the analyst cannot be started: the url of Secret agents",
    )
    assert "s3cret" not in message


async def test_run_starts_with_a_secret_of_its_forge() -> None:
    rig = Rig()
    rig.repository(agentCredentialsSecretRef={"name": "agents"})
    rig.cluster.secrets[Key(NAMESPACE, "agents")] = {"token": "s3cret", "url": "https://git.test/"}
    item = rig.item()
    await rig.run(item)
    assert rig.stage(item) == "done"
