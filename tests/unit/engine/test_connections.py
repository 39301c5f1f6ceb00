"""Clients of forge and tracker: whose Secret they are made of, how old it may be, and when it is read anew."""

from collections.abc import Mapping

import pytest

from conveyor.api.objects import Repository
from conveyor.cluster.protocol import Key, Kind
from conveyor.engine.connections import Connections
from conveyor.engine.secrets import SECRET_SECONDS
from conveyor.forge import gitea
from conveyor.web.hosts import AllowedHosts
from tests.unit.engine.rig import NAMESPACE, SHOP, Rig

GIT = Key(NAMESPACE, "git")


class Doors:
    """Connections whose clients are the tokens that they were made with."""

    def __init__(self) -> None:
        self.rig, self.now = Rig(), 0.0
        self.rig.repository()
        self.reads = 0
        stored = self.rig.cluster.secret

        async def secret(key: Key) -> Mapping[str, str]:
            self.reads += 1
            return await stored(key)

        self.rig.cluster.secret = secret  # type: ignore[method-assign]
        self.rotate("old")
        self.connections = Connections(
            self.rig.cluster,
            allowed=AllowedHosts(("*",)),
            clock=lambda: self.now,
            requests_per_minute=60,
            states_ttl=300,
        )

    def rotate(self, token: str) -> None:
        self.rig.cluster.secrets[GIT] = {"token": token, "url": "https://git.test"}

    def repository(self, name: str) -> Repository:
        obj = self.rig.cluster.store.object(Kind.REPOSITORY, SHOP)
        obj["metadata"]["name"] = obj["spec"]["forge"]["name"] = name
        return Repository.model_validate(obj)

    async def token(self, name: str) -> object:
        return await self.connections.forge(self.repository(name))


@pytest.fixture
def doors(monkeypatch: pytest.MonkeyPatch) -> Doors:
    monkeypatch.setattr(gitea, "connect", lambda _, secret, **__: secret["token"])
    return Doors()


async def test_a_secret_that_many_repositories_name_is_read_once_for_all(doors: Doors) -> None:
    assert [await doors.token(name) for name in ("a", "b", "c")] == ["old"] * 3
    doors.connections.forget(Key(NAMESPACE, "a"))
    await doors.token("a")
    assert doors.reads == 1


async def test_a_rotated_token_is_in_use_when_its_time_is_over_whoever_read_it_last(doors: Doors) -> None:
    await doors.token("a")
    doors.now = SECRET_SECONDS - 1
    await doors.token("b")
    doors.rotate("new")
    doors.now = SECRET_SECONDS
    assert [await doors.token(name) for name in ("a", "b")] == ["new", "new"]


async def test_a_token_that_did_not_work_is_read_anew_at_the_next_check(doors: Doors) -> None:
    await doors.token("a")
    doors.rotate("mended")
    doors.connections.forget(Key(NAMESPACE, "a"))
    doors.connections.forget_secrets(doors.repository("a"))
    assert await doors.token("a") == "mended"
