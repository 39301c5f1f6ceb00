"""Covers: every way in which a protection rule lets somebody but the operator push."""

from typing import Any

import pytest

from conveyor.forge.gitea_protection import weakness
from conveyor.forge.gitea_wire import Protection


def rule(**changed: Any) -> Protection:
    whitelisted = {"rule_name": "main", "enable_push": True, "enable_push_whitelist": True}
    return Protection.model_validate(whitelisted | changed)


@pytest.mark.parametrize(
    "safe",
    [
        pytest.param(rule(enable_push=False), id="nobody pushes"),
        pytest.param(rule(enable_push=False, push_whitelist_usernames=["x"]), id="a list that is off"),
        pytest.param(rule(push_whitelist_usernames=["Bot"]), id="the operator alone, in other case"),
        pytest.param(rule(push_whitelist_usernames=[]), id="an empty list"),
        pytest.param(rule(push_whitelist_usernames=None), id="no list"),
    ],
)
def test_rule_that_lets_only_the_operator_push_is_no_weakness(safe: Protection) -> None:
    assert weakness(safe, "bot") == ""


@pytest.mark.parametrize(
    ("weak", "said"),
    [
        (rule(enable_push_whitelist=False), "everybody"),
        (rule(push_whitelist_usernames=["bot", "developer"]), "users push: developer"),
        (rule(push_whitelist_teams=["agents"]), "teams push: agents"),
        (rule(push_whitelist_deploy_keys=True), "deploy keys"),
        (rule(enable_push=False, unprotected_file_patterns="docs/**"), "unprotected file patterns"),
    ],
)
def test_rule_that_lets_others_push_is_a_weakness(weak: Protection, said: str) -> None:
    assert said in weakness(weak, "bot")
    assert "'main'" in weakness(weak, "bot")


def test_list_of_users_is_a_weakness_while_our_own_name_is_unknown() -> None:
    assert "read:user" in weakness(rule(push_whitelist_usernames=["bot"]), "")
