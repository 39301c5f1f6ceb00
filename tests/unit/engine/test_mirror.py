"""The Secret that the ingress mounts: each Repository's own entries, nobody else's, and none of those that are gone."""

import json

import pytest

from conveyor.api.objects import Repository
from conveyor.cluster.protocol import Key
from conveyor.engine.mirror import SecretMirror
from tests.fakes.memory_cluster import MemoryCluster
from tests.unit.engine.objects import repository
from tests.unit.engine.rig import TRACKER

TARGET = Key("conveyor", "ingress")
PROJECT = TRACKER["projectID"]


class Bench:
    def __init__(self) -> None:
        self.cluster = MemoryCluster()
        self.present: set[Key] = set()
        self.mirror = SecretMirror(self.cluster, TARGET, exists=self.present.__contains__)

    def repository(self, name: str, *, project: str = "", hook: str = "hook") -> Repository:
        reference = {"webhookSecretRef": {"name": hook}} if hook else {}
        forge = {"url": "https://git.test", "owner": "acme", "name": name, "credentialsSecretRef": {"name": "git"}}
        spec = {"forge": forge | reference}
        if project:
            spec["tracker"] = TRACKER | {"projectID": project} | reference
        self.present.add(Key("team", name))
        return Repository.model_validate(repository(name, spec=spec))

    @property
    def stored(self) -> dict[str, dict[str, str]]:
        return {name: json.loads(text) for name, text in self.cluster.secrets.get(TARGET, {}).items()}


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    bench.cluster.secrets[Key("team", "hook")] = {"secret": "s3cret\n", "previous": "old\n"}
    return bench


async def test_each_registration_has_its_secrets_without_the_line_break_of_an_editor(bench: Bench) -> None:
    assert await bench.mirror.update(bench.repository("shop", project=PROJECT)) == ""
    both = {"current": "s3cret", "previous": "old"}
    assert bench.stored == {"gitea.team.shop": both, f"plane.team.{PROJECT}": both | {"repository": "shop"}}


async def test_second_update_writes_nothing(bench: Bench) -> None:
    shop = bench.repository("shop")
    await bench.mirror.update(shop)
    written = len(bench.cluster.writes)
    await bench.mirror.update(shop)
    assert len(bench.cluster.writes) == written


@pytest.mark.parametrize(
    ("values", "missing"), [(None, "Secret hook is missing"), ({"secret": " \n"}, "Secret hook has no key secret")]
)
async def test_secret_that_is_missing_or_empty_is_named_and_closes_the_path(
    bench: Bench, values: dict[str, str] | None, missing: str
) -> None:
    shop = bench.repository("shop")
    await bench.mirror.update(shop)
    del bench.cluster.secrets[Key("team", "hook")]
    if values is not None:
        bench.cluster.secrets[Key("team", "hook")] = values
    assert await bench.mirror.update(shop) == missing
    assert bench.stored == {}


async def test_repositories_keep_out_of_each_others_entries(bench: Bench) -> None:
    await bench.mirror.update(bench.repository("shop"))
    await bench.mirror.update(bench.repository("sh.op", project=PROJECT))
    await bench.mirror.update(bench.repository("shop"))
    assert sorted(bench.stored) == ["gitea.team.sh.op", "gitea.team.shop", f"plane.team.{PROJECT}"]


async def test_tracker_taken_out_of_the_spec_closes_its_path(bench: Bench) -> None:
    await bench.mirror.update(bench.repository("shop", project=PROJECT))
    await bench.mirror.update(bench.repository("shop"))
    assert sorted(bench.stored) == ["gitea.team.shop"]


async def test_entries_of_repositories_that_are_gone_go_with_them(bench: Bench) -> None:
    await bench.mirror.update(bench.repository("shop", project=PROJECT))
    await bench.mirror.update(bench.repository("cart"))
    bench.present.discard(Key("team", "shop"))
    await bench.mirror.forget_the_gone()
    assert sorted(bench.stored) == ["gitea.team.cart"]


async def test_entries_of_nobody_go(bench: Bench) -> None:
    bench.cluster.secrets[TARGET] = {"gitea.team.old": "{}", "plane.team.x": "no JSON", "stray": "x"}
    await bench.mirror.update(bench.repository("cart"))
    assert sorted(bench.stored) == ["gitea.team.cart"]


async def test_secret_is_made_though_nobody_has_hooks_so_that_the_ingress_can_mount_it(bench: Bench) -> None:
    await bench.mirror.update(bench.repository("shop", hook=""))
    assert bench.cluster.secrets[TARGET] == {}
