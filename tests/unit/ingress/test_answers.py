"""The answer table, from top to bottom, and what an answer costs."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from tests.unit.ingress import deliveries
from tests.unit.ingress.conftest import MAX_BODY_BYTES, Ingress, item, repository
from tests.unit.ingress.deliveries import ISSUE, NAMESPACE, PROJECT

SHOP = f"gitea.{NAMESPACE}.shop"
PLANE = f"plane.{NAMESPACE}.{PROJECT}"
ALL_PATHS = [*deliveries.PATHS.values(), "/", "/healthz", "/webhooks/gitea/team-a/unknown", "/webhooks/other/team-a/x"]


@pytest.mark.parametrize("path", ALL_PATHS)
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"])
async def test_other_method_is_405(ingress: Ingress, path: str, method: str) -> None:
    said = await ingress.send(replace(deliveries.push(), path=path), method=method)
    assert said.code == 405
    assert ingress.store.reads == 0


@pytest.mark.parametrize(
    "content_type",
    [
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/json",
        "application/jsonp",
        "",
        ";;",
        "application/json, text/plain",
    ],
)
async def test_other_content_type_is_415(ingress: Ingress, content_type: str) -> None:
    said = await ingress.send(deliveries.push().changed(Content_Type=content_type))
    assert (said.code, said.body) == (415, {"error": "unsupported type"})


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "identity", "unheard-of"])
async def test_content_encoding_is_415(ingress: Ingress, encoding: str) -> None:
    said = await ingress.send(deliveries.push().changed(Content_Encoding=encoding))
    assert said.code == 415


async def test_charset_beside_the_type_is_accepted(ingress: Ingress) -> None:
    said = await ingress.send(deliveries.push().changed(Content_Type="application/json; charset=utf-8"))
    assert said.code == 202


async def test_body_of_the_largest_size_is_read(ingress: Ingress) -> None:
    delivery = deliveries.push()
    padded = delivery.with_body(delivery.body + b" " * (MAX_BODY_BYTES - len(delivery.body)))
    assert (await ingress.send(padded)).code == 202


async def test_signed_body_above_the_largest_size_is_413(ingress: Ingress) -> None:
    delivery = deliveries.push()
    padded = delivery.with_body(delivery.body + b" " * (MAX_BODY_BYTES + 1 - len(delivery.body)))
    said = await ingress.send(padded)
    assert (said.code, said.body) == (413, {"error": "too large"})
    assert ingress.store.reads == 0


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/webhooks/gitea",
        f"/webhooks/gitea/{NAMESPACE}",
        f"/webhooks/gitea/{NAMESPACE}/shop/",
        f"/webhooks/gitea/{NAMESPACE}/Shop",
        f"/webhooks/gitea/{NAMESPACE}/../shop",
        f"/webhooks/gitea/{NAMESPACE}/%2e%2e%2fshop",
        f"/webhooks/plane/{NAMESPACE}/shop",
        f"/webhooks/github/{NAMESPACE}/shop",
        "/healthz",
        "/metrics",
    ],
)
async def test_unknown_path_is_401(ingress: Ingress, path: str) -> None:
    said = await ingress.send(replace(deliveries.push(), path=path))
    assert (said.code, said.body) == (401, {"error": "unauthorized"})


@pytest.mark.parametrize("signature", ["", "0" * 64, "sha256=", "ä" * 32, "\udcff", "deadbeef", "None"], ids=ascii)
@pytest.mark.parametrize("delivery", [deliveries.push(), deliveries.ticket()], ids=["gitea", "plane"])
async def test_wrong_signature_is_401(ingress: Ingress, delivery: deliveries.Delivery, signature: str) -> None:
    headers = dict.fromkeys(("X-Gitea-Signature", "X-Hub-Signature-256", "X-Plane-Signature"), signature)
    said = await ingress.send(replace(delivery, headers=delivery.headers | headers))
    assert (said.code, said.body) == (401, {"error": "unauthorized"})
    assert ingress.store.reads == 0


async def test_missing_signature_is_401(ingress: Ingress) -> None:
    delivery = deliveries.push()
    unsigned = {key: value for key, value in delivery.headers.items() if "Signature" not in key}
    assert (await ingress.send(replace(delivery, headers=unsigned))).code == 401


@pytest.mark.parametrize("absent", ["X-Gitea-Signature", "X-Hub-Signature-256"])
async def test_signature_in_one_of_the_two_headers_is_accepted(ingress: Ingress, absent: str) -> None:
    delivery = deliveries.push()
    headers = {key: value for key, value in delivery.headers.items() if key != absent}
    assert (await ingress.send(replace(delivery, headers=headers))).code == 202


async def test_body_changed_after_signing_is_401(ingress: Ingress) -> None:
    delivery = deliveries.push()
    assert (await ingress.send(replace(delivery, body=delivery.body + b" "))).code == 401


async def test_secret_of_another_repository_is_401(ingress: Ingress) -> None:
    delivery = deliveries.push()
    signed = delivery.with_body(delivery.body, secret=deliveries.SECRETS["gitea-crafted"])
    assert (await ingress.send(signed)).code == 401


async def test_empty_key_signature_is_never_accepted(ingress: Ingress) -> None:
    ingress.secret(SHOP, {"current": "", "previous": ""})
    delivery = deliveries.push()
    assert (await ingress.send(delivery.with_body(delivery.body, secret=""))).code == 503


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        "[]",
        "not json",
        {"current": ""},
        {"current": " \n"},
        {"current": None},
        {"previous": "conveyor-test-secret"},
        {"current": "", "previous": "conveyor-test-secret"},
        {"current": ["conveyor-test-secret"]},
    ],
    ids=str,
)
async def test_path_without_usable_secret_is_503(ingress: Ingress, content: object) -> None:
    ingress.secret(SHOP, content)
    said = await ingress.send(deliveries.push())
    assert (said.code, said.body) == (503, {"error": "unavailable"})
    assert ingress.store.reads == 0


async def test_path_without_a_file_is_503(ingress: Ingress) -> None:
    (ingress.directory / SHOP).unlink()
    ingress.now += 1
    assert (await ingress.send(deliveries.push())).code == 503


async def test_directory_that_is_gone_is_503(ingress: Ingress) -> None:
    await ingress.send(deliveries.push())
    ingress.directory.rename(ingress.directory.with_name("elsewhere"))
    ingress.now += 1
    assert (await ingress.send(deliveries.push())).code == 503


async def test_unusable_secret_of_one_repository_leaves_the_others_alone(ingress: Ingress) -> None:
    ingress.secret(f"gitea.{NAMESPACE}.sample", "not json")
    assert (await ingress.send(deliveries.push())).code == 202


async def test_previous_secret_is_accepted_after_rotation(ingress: Ingress) -> None:
    ingress.secret(SHOP, {"current": "the new one", "previous": deliveries.SECRETS["gitea-1.26"]})
    delivery = deliveries.push()
    assert (await ingress.send(delivery)).code == 202
    assert (await ingress.send(delivery.with_body(delivery.body, secret="the new one"))).code == 200


async def test_secret_withdrawn_by_rotation_is_401(ingress: Ingress) -> None:
    ingress.secret(SHOP, {"current": "the new one"})
    assert (await ingress.send(deliveries.push())).code == 401


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"push", b"[]", b"null", b'{"ref": "refs/heads/x"}', b"{}"])
@pytest.mark.parametrize("delivery", [deliveries.push(), deliveries.ticket()], ids=["gitea", "plane"])
async def test_signed_body_that_is_no_event_is_400(
    ingress: Ingress, delivery: deliveries.Delivery, body: bytes
) -> None:
    said = await ingress.send(delivery.with_body(body))
    assert (said.code, said.body) == (400, {"error": "malformed"})
    assert ingress.store.reads == 0


@pytest.mark.parametrize("nest", [b"[", b'{"a":', b'{"data":[', b'{"repository":{"owner":'])
@pytest.mark.parametrize("delivery", [deliveries.push(), deliveries.ticket()], ids=["gitea", "plane"])
async def test_deeply_nested_json_is_400(ingress: Ingress, delivery: deliveries.Delivery, nest: bytes) -> None:
    body = (nest * 100_000)[:MAX_BODY_BYTES]
    assert (await ingress.send(delivery.with_body(body))).code == 400


async def test_delivery_without_event_name_is_400(ingress: Ingress) -> None:
    delivery = deliveries.push()
    headers = {key: value for key, value in delivery.headers.items() if "Event" not in key}
    assert (await ingress.send(replace(delivery, headers=headers))).code == 400


async def test_event_nobody_knows_is_ignored(ingress: Ingress) -> None:
    said = await ingress.send(deliveries.push().changed(X_Gitea_Event_Type="wiki", X_Gitea_Event="wiki"))
    assert (said.code, said.body) == (200, {"status": "ignored", "reason": "event not used"})


async def test_repository_that_is_not_the_paths_is_ignored(ingress: Ingress) -> None:
    ingress.store.repositories[NAMESPACE, "shop"] = repository("shop", "bot/other")
    said = await ingress.send(deliveries.push())
    assert (said.code, said.body) == (200, {"status": "ignored", "reason": "another repository"})
    assert ingress.store.writes == []


async def test_repository_in_other_letter_case_is_the_paths(ingress: Ingress) -> None:
    ingress.store.repositories[NAMESPACE, "shop"] = repository("shop", "Bot/SHOP")
    assert (await ingress.send(deliveries.push())).code == 202


async def test_repository_without_an_object_is_ignored(ingress: Ingress) -> None:
    del ingress.store.repositories[NAMESPACE, "shop"]
    said = await ingress.send(deliveries.push())
    assert (said.code, said.body) == (200, {"status": "ignored", "reason": "repository unknown"})


async def test_api_server_down_is_503_and_nothing_is_stored(ingress: Ingress) -> None:
    ingress.store.down = True
    assert (await ingress.send(deliveries.push())).code == 503
    ingress.store.down = False
    assert (await ingress.send(deliveries.push())).code == 202


@pytest.mark.parametrize(
    "broken",
    [
        {"metadata": {"name": "shop"}},
        {"metadata": {"name": "shop"}, "spec": {"forge": None}},
        {"metadata": {"name": "shop", "annotations": 7}, "spec": {"forge": {"owner": "bot", "name": "shop"}}},
    ],
    ids=str,
)
async def test_malformed_stored_object_is_503_and_others_go_on(ingress: Ingress, broken: dict[str, Any]) -> None:
    ingress.store.repositories[NAMESPACE, "shop"] = broken
    assert (await ingress.send(deliveries.push())).code == 503
    assert (await ingress.send(deliveries.load("gitea-crafted", "gitea-push"))).code == 202


async def test_ticket_in_starting_state_creates_its_item(ingress: Ingress) -> None:
    assert (await ingress.send(deliveries.ticket())).code == 202
    created = ingress.store.items[NAMESPACE, "api-et-42"]
    assert created["spec"] == {
        "repositoryRef": {"name": "api"},
        "source": {
            "tracker": "Plane",
            "projectID": PROJECT,
            "issueID": ISSUE,
            "key": "ET-42",
            "url": f"https://plane.example.test/acme/projects/{PROJECT}/issues/{ISSUE}",
        },
    }


async def test_item_made_by_a_rival_meanwhile_gets_the_hint(ingress: Ingress) -> None:
    ingress.store.rival = item("api-et-42", of="api", issue=ISSUE)
    assert (await ingress.send(deliveries.ticket())).code == 202
    assert "ticket" in ingress.hints("WorkItem", "api-et-42")


async def test_two_deliveries_at_once_create_one_item(ingress: Ingress) -> None:
    said = await asyncio.gather(*(ingress.send(deliveries.ticket()) for _ in range(8)))
    assert sorted(answer.status for answer in said) == ["accepted"] + ["duplicate"] * 7
    assert len(ingress.store.writes) == 1


async def test_ticket_signed_by_another_projects_secret_is_ignored(ingress: Ingress) -> None:
    ingress.secret(f"plane.{NAMESPACE}.{ISSUE}", {"current": "another", "repository": "shop"})
    delivery = deliveries.ticket()
    said = await ingress.send(delivery.with_body(delivery.body, secret="another"))
    assert (said.code, said.body) == (200, {"status": "ignored", "reason": "project unknown"})
    assert ingress.store.reads == 0


@pytest.mark.parametrize(
    ("webhook", "workspace", "code"),
    [
        (deliveries.WEBHOOK, deliveries.WORKSPACE, 202),
        ("another", deliveries.WORKSPACE, 200),
        (deliveries.WEBHOOK, "another", 200),
    ],
)
async def test_ticket_of_another_webhook_or_workspace_is_ignored(
    ingress: Ingress, webhook: str, workspace: str, code: int
) -> None:
    content = {"current": deliveries.SECRETS["plane"], "repository": "api"}
    ingress.secret(PLANE, content | {"webhookID": webhook, "workspaceID": workspace})
    assert (await ingress.send(deliveries.ticket())).code == code


async def test_forged_actor_and_state_are_not_stored(ingress: Ingress) -> None:
    delivery = deliveries.load("gitea-1.26", "review-approved")
    payload = delivery.payload
    payload["sender"]["login"] = payload["review"]["content"] = "mallory-the-admin"
    payload["pull_request"]["state"] = payload["pull_request"]["merged_by"] = "mallory-the-admin"
    assert (await ingress.send(delivery.with_json(payload))).code == 202
    assert "mallory" not in str(ingress.store.repositories)


async def test_secrets_changing_under_load_lose_no_delivery(ingress: Ingress) -> None:
    async def rotate() -> None:
        for number in range(50):
            ingress.secret(SHOP, {"current": f"secret {number}", "previous": deliveries.SECRETS["gitea-1.26"]})
            await asyncio.sleep(0)

    said, _ = await asyncio.gather(
        asyncio.gather(*(ingress.send(deliveries.push()) for _ in range(50))),
        rotate(),
    )
    assert {answer.code for answer in said} <= {200, 202}
