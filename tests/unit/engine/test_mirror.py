"""The Secret with everybody's webhook secrets: what one Repository names must not close the others' paths."""

import json
from typing import Any

from conveyor.api.objects import Repository
from conveyor.cluster.protocol import JSONObject, Key
from conveyor.engine.mirror import MAX_SECRET, SecretMirror
from tests.fakes.memory_cluster import MemoryCluster
from tests.unit.pipeline import builders

TARGET = Key("conveyor", "ingress")
HOOK = {"webhookSecretRef": {"name": "hook"}}
FORGE: JSONObject = {
    "url": "https://git.example",
    "owner": "shop",
    "name": "cart",
    "credentialsSecretRef": {"name": "forge"},
} | HOOK
PROJECT = "5f3c1c9a-7d6e-4a51-9a57-0c4c1f0a2b11"


def repository(**tracker: Any) -> Repository:
    whole = {
        "url": "https://plane.example",
        "workspace": "acme",
        "projectID": PROJECT,
        "identifier": "ET",
        "credentialsSecretRef": {"name": "plane"},
    }
    return builders.repository(forge=FORGE, tracker=whole | HOOK | tracker)


def mirror(cluster: MemoryCluster) -> SecretMirror:
    return SecretMirror(cluster, TARGET, exists=lambda _: True)


def cluster_with(**secret: str) -> MemoryCluster:
    cluster = MemoryCluster()
    cluster.secrets[Key("shop", "hook")] = secret
    return cluster


async def test_secret_is_mirrored_for_forge_and_tracker_without_its_line_break() -> None:
    cluster = cluster_with(secret="s3cret\n", previous="old")
    assert await mirror(cluster).update(repository()) == ""
    found = {name: json.loads(text) for name, text in cluster.secrets[TARGET].items()}
    assert found == {
        "gitea.shop.shop": {"current": "s3cret", "previous": "old"},
        f"plane.shop.{PROJECT}": {"current": "s3cret", "previous": "old", "repository": "shop"},
    }


async def test_project_id_that_no_key_can_hold_is_left_out() -> None:
    cluster = cluster_with(secret="s3cret")
    assert "projectID" in await mirror(cluster).update(repository(projectID="../etc passwd"))
    assert set(cluster.secrets[TARGET]) == {"gitea.shop.shop"}


async def test_secret_that_would_fill_the_mirror_is_left_out() -> None:
    cluster = cluster_with(secret="s" * (MAX_SECRET + 1))
    missing = await mirror(cluster).update(repository())
    assert f"{MAX_SECRET} characters at most" in missing
    assert "sss" not in missing
    assert cluster.secrets[TARGET] == {}
