"""Covers: errors by status for reads and writes, answers of a wrong shape, paging, what connecting asks for."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from conveyor.api.repository import Forge as ForgeSpec
from conveyor.forge.gitea import Gitea, connect
from conveyor.web.client import Credentials, WebClient
from conveyor.web.errors import (
    Ambiguous,
    BadCredentials,
    Conflict,
    HostNotAllowed,
    NotFound,
    OutsideError,
    RateLimited,
    Refused,
    Unavailable,
)
from conveyor.web.hosts import AllowedHosts

URL = "https://git.example"
SHA = "a" * 40
SECRET = {"token": "t0psecret\n", "url": URL}
EVERYWHERE = AllowedHosts(("*",))

Handler = Callable[[httpx.Request], httpx.Response]
Call = Callable[[Gitea], Awaitable[Any]]

READS: dict[str, Call] = {
    "settings": lambda forge: forge.settings(default_branch="main"),
    "changed_files": lambda forge: forge.changed_files("main", "feature"),
    "contains": lambda forge: forge.contains("main", SHA),
    "open_pull_requests": lambda forge: forge.open_pull_requests(head="feature", base="main"),
    "statuses": lambda forge: forge.statuses(SHA),
    "reviews": lambda forge: forge.reviews(1),
    "hooks": lambda forge: forge.hooks(),
    "branch_head": lambda forge: forge.branch_head("main"),
    "pull_request": lambda forge: forge.pull_request(1),
}
DIFF: dict[str, Call] = {"diff": lambda forge: forge.diff(1)}
WRITES: dict[str, Call] = {
    "create_branch": lambda forge: forge.create_branch("feature", at=SHA),
    "open_pull_request": lambda forge: forge.open_pull_request(head="feature", base="main", title="t", body="b"),
    "comment": lambda forge: forge.comment(1, "text"),
    "update_by_rebase": lambda forge: forge.update_by_rebase(1),
}
MERGES: dict[str, Call] = {
    "merge": lambda forge: forge.merge(1, head=SHA),
    "mark_merged": lambda forge: forge.mark_merged(1, commit=SHA),
}


async def no_sleep(_: float) -> None:
    pass


def gitea(handler: Handler) -> Gitea:
    web = WebClient(
        f"{URL}/api/v1",
        Credentials("Authorization", "token x", URL),
        allowed=EVERYWHERE,
        transport=httpx.MockTransport(handler),
        sleep=no_sleep,
    )
    return Gitea(web, owner="shop", name="cart")


def always(status: int, **kwargs: Any) -> Handler:
    return lambda _: httpx.Response(status, **kwargs)


def rows(table: dict[str, Call]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("call", table.values(), ids=table.keys())


STATUSES = [
    (307, Refused, Refused),
    (401, BadCredentials, BadCredentials),
    (403, Refused, Refused),
    (404, NotFound, NotFound),
    (422, Refused, Refused),
    (423, Refused, Refused),
    (429, RateLimited, RateLimited),
    (502, Unavailable, Ambiguous),
    (503, Unavailable, Ambiguous),
]


@rows(READS | DIFF)
@pytest.mark.parametrize(("status", "kind", "_"), [*STATUSES, (500, Unavailable, Ambiguous), (405, Refused, Refused)])
async def test_refused_read_is_this_error(call: Call, status: int, kind: type[OutsideError], _: type) -> None:
    with pytest.raises(OutsideError) as caught:
        await call(gitea(always(status, json={"message": "no"})))
    assert type(caught.value) is kind


@rows(WRITES)
@pytest.mark.parametrize(("status", "_", "kind"), [*STATUSES, (500, Unavailable, Ambiguous), (405, Refused, Refused)])
async def test_refused_write_is_this_error(call: Call, status: int, _: type, kind: type[OutsideError]) -> None:
    with pytest.raises(OutsideError) as caught:
        await call(gitea(always(status, json={"message": "no"})))
    assert type(caught.value) is kind


@rows({name: call for name, call in WRITES.items() if name != "update_by_rebase"})  # of which only a conflict counts
async def test_409_of_a_write_is_a_conflict(call: Call) -> None:
    with pytest.raises(Conflict):
        await call(gitea(always(409, json={"message": "no"})))


@rows(MERGES)
@pytest.mark.parametrize(("status", "_", "kind"), STATUSES)
async def test_refused_merge_is_this_error(call: Call, status: int, _: type, kind: type[OutsideError]) -> None:
    with pytest.raises(OutsideError) as caught:
        await call(gitea(always(status, json={"message": "no"})))
    assert type(caught.value) is kind


@rows(READS)
@pytest.mark.parametrize("body", [b"", b"<html>", b"7", b'{"id": []}', b'[{"id": "x"}]', b"[" * 50_000])
async def test_unreadable_answer_to_a_read_is_unavailable(call: Call, body: bytes) -> None:
    with pytest.raises(Unavailable, match="unreadable"):
        await call(gitea(always(200, content=body)))


async def test_unreadable_answer_to_a_write_is_ambiguous() -> None:
    with pytest.raises(Ambiguous, match="unreadable"):
        await WRITES["open_pull_request"](gitea(always(201, content=b"{}")))


@rows(WRITES | MERGES)
async def test_write_whose_answer_is_lost_is_sent_once(call: Call) -> None:
    sent: list[str] = []

    def lose(request: httpx.Request) -> httpx.Response:
        sent.append(request.method)
        raise httpx.ReadTimeout("no answer", request=request)

    with pytest.raises(Ambiguous):
        await call(gitea(lose))
    assert sent == ["POST"]


def hooks(count: int, *, start: int = 0) -> list[dict[str, object]]:
    return [{"active": True, "config": {"url": f"u{start + i}"}, "events": None} for i in range(count)]


def paged(*pages: list[dict[str, object]], total: int | None) -> tuple[Handler, list[str]]:
    asked: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        page = int(request.url.params["page"])
        asked.append(request.url.params["limit"])
        headers = {} if total is None else {"X-Total-Count": str(total)}
        return httpx.Response(200, json=pages[page - 1] if page <= len(pages) else [], headers=headers)

    return handler, asked


@pytest.mark.parametrize(
    ("sizes", "total", "requests"),
    [
        pytest.param([50, 50, 3], 103, 3, id="to the total"),
        pytest.param([50, 50], 100, 2, id="no page too many"),
        pytest.param([20, 20, 1], 41, 3, id="a server with smaller pages"),
        pytest.param([50, 30, 7], None, 4, id="no total: to an empty page"),
        pytest.param([30, 30], 90, 3, id="a total that counts what is not shown"),
        pytest.param([], 0, 1, id="nothing"),
    ],
)
async def test_list_is_read_to_its_end(sizes: list[int], total: int | None, requests: int) -> None:
    handler, asked = paged(*[hooks(size, start=1000 * page) for page, size in enumerate(sizes)], total=total)
    found = await gitea(handler).hooks()
    assert (len({hook.url for hook in found}), len(asked)) == (sum(sizes), requests)
    assert set(asked) == {"50"}


async def test_list_without_end_is_given_up() -> None:
    with pytest.raises(Unavailable, match="more than 200 pages"):
        await gitea(always(200, json=hooks(50))).hooks()


async def test_list_of_too_many_bytes_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conveyor.forge.gitea.MAX_LIST_BYTES", 5000)
    with pytest.raises(Unavailable, match="more than 5000 bytes"):
        await gitea(always(200, json=hooks(50))).hooks()


async def test_null_for_an_empty_list_is_an_empty_list() -> None:
    assert await gitea(always(200, content=b"null")).statuses(SHA) == ()


async def test_branch_with_a_slash_is_found_among_those_that_begin_like_it() -> None:
    seen: list[bytes] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.raw_path)
        refs = {"refs/heads/feature/ET-1?xy": "b" * 40, "refs/heads/feature/ET-1?x": SHA}
        return httpx.Response(200, json=[{"ref": ref, "object": {"sha": sha}} for ref, sha in refs.items()])

    assert await gitea(handler).branch_head("feature/ET-1?x") == SHA
    assert seen == [b"/api/v1/repos/shop/cart/git/refs/heads/feature/ET-1%3Fx"]


@pytest.mark.parametrize("name", ["branch_head", "pull_request"])
async def test_missing_thing_in_a_repository_that_is_there_is_none(name: str) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200 if request.url.path.endswith("/cart") else 404, json={})

    assert await READS[name](gitea(handler)) is None


def merged_with(handler_body: list[Any]) -> Handler:
    def handler(request: httpx.Request) -> httpx.Response:
        handler_body.append(json.loads(request.content))
        return httpx.Response(200)

    return handler


async def test_merge_pins_the_head_and_moves_forward_only() -> None:
    sent: list[Any] = []
    await gitea(merged_with(sent)).merge(1, head=SHA)
    assert sent == [{"Do": "fast-forward-only", "head_commit_id": SHA}]


async def test_update_is_by_rebase() -> None:
    sent: list[httpx.URL] = []

    def handler(request: httpx.Request) -> httpx.Response:
        sent.append(request.url)
        return httpx.Response(200)

    await gitea(handler).update_by_rebase(1)
    assert [str(url) for url in sent] == [f"{URL}/api/v1/repos/shop/cart/pulls/1/update?style=rebase"]


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (500, "HeadBranch of PR 1 is up to date", Refused),
        (500, "", Ambiguous),
        (500, "rebase: exit status 128", Ambiguous),
        (409, "rebase failed because of conflict", Conflict),
        (409, "PushRejected with remote message: cannot lock ref", Ambiguous),
        (422, "%!s(<nil>)", Refused),
        (403, None, Refused),
        (404, "", NotFound),
    ],
)
async def test_update_that_is_not_done_is_this_error(
    status: int, message: str | None, kind: type[OutsideError]
) -> None:
    body: dict[str, Any] = {} if message is None else {"json": {"message": message}}
    with pytest.raises(OutsideError) as caught:
        await gitea(always(status, **body)).update_by_rebase(1)
    assert (type(caught.value), caught.value.status) == (kind, status)


async def test_missing_scope_to_name_oneself_leaves_the_login_empty() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/user"):
            return httpx.Response(403, json={"message": "token does not have at least one of required scope(s)"})
        if request.url.path.endswith("/cart"):
            return httpx.Response(200, json={"default_branch": "main"})
        return httpx.Response(404)

    settings = await gitea(handler).settings(default_branch="main")
    assert (settings.login, settings.protected, settings.unprotected_reason) == ("", False, "there is no branch 'main'")


async def test_token_revoked_between_two_reads_is_bad_and_not_nameless() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        revoked = request.url.path.endswith("/user")
        return httpx.Response(401) if revoked else httpx.Response(200, json={"default_branch": "main"})

    with pytest.raises(BadCredentials):
        await gitea(handler).settings(default_branch="main")


def spec(**changed: Any) -> ForgeSpec:
    given = {"url": URL, "owner": "shop", "name": "cart", "credentials_secret_ref": {"name": "forge"}}
    return ForgeSpec(**given | changed)


@pytest.mark.parametrize("key", ["token", "url"])
@pytest.mark.parametrize("lacking", [{}, {"token": " \n", "url": " "}])
def test_secret_without_a_key_is_bad_and_the_key_is_named(key: str, lacking: dict[str, str]) -> None:
    secret = {name: lacking.get(name, "") if name == key else value for name, value in SECRET.items()}
    with pytest.raises(BadCredentials, match=f"Secret forge has no key {key}"):
        connect(spec(), secret, allowed=EVERYWHERE)


def test_token_of_another_server_is_refused() -> None:
    with pytest.raises(HostNotAllowed):
        connect(spec(url="https://evil.test"), SECRET, allowed=EVERYWHERE)


def test_forge_that_is_not_allowed_is_refused() -> None:
    with pytest.raises(HostNotAllowed):
        connect(spec(), SECRET, allowed=AllowedHosts(("other.example",)))


@pytest.mark.parametrize("owner", ["..", "."])
def test_owner_that_climbs_is_refused(owner: str) -> None:
    with pytest.raises(Refused):
        connect(spec(owner=owner), SECRET, allowed=EVERYWHERE)


async def test_connection_asks_the_named_repository_with_the_token() -> None:
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json=[])

    forge = connect(spec(url=f"{URL}/git/"), SECRET, allowed=EVERYWHERE, transport=httpx.MockTransport(handler))
    await forge.hooks()
    assert str(seen[0].url) == "https://git.example/git/api/v1/repos/shop/cart/hooks?limit=50&page=1"
    assert seen[0].headers["authorization"] == "token t0psecret"
