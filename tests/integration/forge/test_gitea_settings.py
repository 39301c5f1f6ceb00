"""Covers, on a real Gitea: what readiness asks, with every lack of rights, and tokens that are refused."""

from typing import Any

import pytest

from conveyor.pipeline.facts import ForgeSettings, HookState
from conveyor.web.errors import BadCredentials, NotFound, Refused
from tests.cluster.fixtures import unique_name
from tests.cluster.gitea import Repository
from tests.integration.forge.conftest import Scene, forge_of


async def settings(scene: Scene) -> ForgeSettings:
    return await scene.forge.settings(default_branch="main")


async def test_repository_that_is_ready_says_so(scene: Scene) -> None:
    scene.server.protect(scene.repository)
    assert await settings(scene) == ForgeSettings(
        login=scene.operator.name,
        default_branch="main",
        can_push=True,
        allow_fast_forward=True,
        allow_rebase_update=True,
        allow_manual_merge=True,
        protected=True,
    )


@pytest.mark.parametrize(
    ("option", "field"),
    [
        ("allow_fast_forward_only_merge", "allow_fast_forward"),
        ("allow_rebase_update", "allow_rebase_update"),
        ("allow_manual_merge", "allow_manual_merge"),
    ],
)
async def test_option_that_is_off_is_seen(scene: Scene, option: str, field: str) -> None:
    scene.api("PATCH", json={option: False, "has_pull_requests": True})
    assert getattr(await settings(scene), field) is False


async def test_renamed_default_branch_is_seen(scene: Scene) -> None:
    scene.push({"x": "y"}, new="trunk")
    scene.api("PATCH", json={"default_branch": "trunk"})
    assert (await settings(scene)).default_branch == "trunk"


async def test_archived_repository_takes_no_push(scene: Scene) -> None:
    scene.api("PATCH", json={"archived": True})
    assert not (await settings(scene)).can_push


@pytest.mark.parametrize(
    "rule",
    [
        pytest.param({}, id="nobody"),
        pytest.param({"rule_name": "ma*"}, id="glob"),
        pytest.param({"enable_push": True, "enable_push_whitelist": True}, id="empty whitelist"),
    ],
)
async def test_rule_that_lets_nobody_push_protects(scene: Scene, rule: dict[str, Any]) -> None:
    scene.server.protect(scene.repository, **rule)
    assert (await settings(scene)).protected


async def test_whitelist_of_the_operator_alone_protects(scene: Scene) -> None:
    only: dict[str, Any] = {
        "enable_push": True,
        "enable_push_whitelist": True,
        "push_whitelist_usernames": [scene.operator.name],
    }
    scene.server.protect(scene.repository, **only)
    assert (await settings(scene)).protected


async def test_whitelist_with_an_agent_does_not_protect(scene: Scene) -> None:
    names = [scene.operator.name, scene.developer.name]
    both: dict[str, Any] = {"enable_push": True, "enable_push_whitelist": True, "push_whitelist_usernames": names}
    scene.server.protect(scene.repository, **both)
    found = await settings(scene)
    assert (found.protected, scene.developer.name in found.unprotected_reason) == (False, True)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"enable_push": True}, "everybody"),
        ({"unprotected_file_patterns": "*.md"}, "unprotected file patterns"),
        ({"rule_name": "other"}, "no protection"),
    ],
)
async def test_rule_that_lets_agents_push_does_not_protect(scene: Scene, rule: dict[str, Any], said: str) -> None:
    scene.server.protect(scene.repository, **rule)
    found = await settings(scene)
    assert (found.protected, said in found.unprotected_reason) == (False, True)


@pytest.mark.parametrize("first_may_push", [True, False])
async def test_rule_made_first_is_the_one_that_counts(scene: Scene, first_may_push: bool) -> None:
    scene.server.protect(scene.repository, rule_name="m*", enable_push=first_may_push)
    scene.server.protect(scene.repository, rule_name="main", enable_push=not first_may_push)
    assert (await settings(scene)).protected is not first_may_push


async def test_rule_of_a_branch_with_slashes_is_found(scene: Scene) -> None:
    scene.push({"x": "y"}, new="release/1.x")
    scene.server.protect(scene.repository, rule_name="release/**")
    assert (await scene.forge.settings(default_branch="release/1.x")).protected


async def test_writer_who_is_no_administrator_cannot_vouch_for_the_protection(scene: Scene) -> None:
    scene.server.protect(scene.repository)
    async with forge_of(scene.server, scene.repository, scene.developer.token) as forge:
        found = await forge.settings(default_branch="main")
    assert (found.can_push, found.protected) == (True, False)
    assert "does not administer" in found.unprotected_reason


async def test_token_without_the_scope_has_no_login(scene: Scene) -> None:
    token = scene.server.create_token(scene.operator.name, scene.operator.password, scopes=["write:repository"])
    scene.server.protect(scene.repository)
    async with forge_of(scene.server, scene.repository, token) as forge:
        found = await forge.settings(default_branch="main")
    assert (found.login, found.protected) == ("", True)


async def test_empty_repository_is_not_protected(scene: Scene) -> None:
    empty = scene.server.create_repository("tests", unique_name("empty"))
    async with forge_of(scene.server, empty, scene.server.admin.token) as forge:
        found = await forge.settings(default_branch="main")
        assert await forge.branch_head("main") is None
    assert (found.protected, found.unprotected_reason) == (False, "there is no branch 'main'")


async def test_repository_that_is_not_there_is_not_found(scene: Scene) -> None:
    missing = Repository("tests", "no-such-repository", "", None)
    async with forge_of(scene.server, missing, scene.operator.token) as forge:
        for call in (forge.settings(default_branch="main"), forge.branch_head("main"), forge.pull_request(1)):
            with pytest.raises(NotFound):
                await call


async def test_private_repository_of_others_is_not_found(scene: Scene) -> None:
    stranger = scene.server.create_user(unique_name("stranger"))
    async with forge_of(scene.server, scene.repository, stranger.token) as forge:
        with pytest.raises(NotFound):
            await forge.branch_head("main")


async def test_revoked_token_is_bad_for_reads_and_writes(scene: Scene) -> None:
    user = scene.server.create_user(unique_name("revoked"))
    scene.server.add_collaborator(scene.repository, user.name, permission="admin")
    async with forge_of(scene.server, scene.repository, user.token) as forge:
        assert await forge.branch_head("main") == scene.repository.head_sha
        scene.server.api("DELETE", f"/admin/users/{user.name}", purge="true")
        for call in (
            forge.branch_head("main"),
            forge.settings(default_branch="main"),
            forge.create_branch("feature", at=scene.repository.head_sha or ""),
            forge.merge(1, head="a" * 40),
        ):
            with pytest.raises(BadCredentials) as caught:
                await call
            assert user.token not in repr(caught.value)


async def test_token_that_may_only_read_is_refused_a_write(scene: Scene) -> None:
    token = scene.server.create_token(scene.operator.name, scene.operator.password, scopes=["read:repository"])
    async with forge_of(scene.server, scene.repository, token) as forge:
        assert await forge.branch_head("main") == scene.repository.head_sha
        with pytest.raises(Refused, match="required scope"):
            await forge.create_branch("feature", at=scene.repository.head_sha or "")


async def test_hooks_are_all_listed(scene: Scene) -> None:
    for number in range(53):
        scene.server.create_hook(
            scene.repository, url=f"http://127.0.0.1:1/{number}", secret="s", events=["push", "pull_request_review"]
        )
    found = await scene.forge.hooks()
    assert {hook.url for hook in found} == {f"http://127.0.0.1:1/{number}" for number in range(53)}
    assert isinstance(found[0], HookState)
    assert found[0].active
    assert {"push", "pull_request_review"} <= found[0].events


async def test_hooks_are_refused_to_a_writer(scene: Scene) -> None:
    async with forge_of(scene.server, scene.repository, scene.developer.token) as forge:
        with pytest.raises(Refused):
            await forge.hooks()
