"""Readiness: what keeps a Repository from being Ready, one reason a row, and what its status says."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from conveyor.api.repository import Freeze, RepositoryStatus
from conveyor.api.stages import Role
from conveyor.pipeline.facts import ForgeSettings, HookState, Unknown
from conveyor.pipeline.indication import resolve
from conveyor.pipeline.readiness import Checks, judged, problem
from tests.unit.pipeline.builders import NOW, STATES, repository

PATH = "/webhooks/gitea/shop/shop"
HOOK = HookState(url=f"https://hooks.example{PATH}", active=True, events=frozenset({"push", "pull_request", "status"}))
SETTINGS = ForgeSettings(
    login="conveyor",
    default_branch="main",
    can_push=True,
    allow_fast_forward=True,
    allow_rebase_update=True,
    allow_manual_merge=True,
    protected=True,
)
TRACKER = {
    "url": "https://plane.example",
    "workspace": "acme",
    "projectID": "p",
    "identifier": "ET",
    "credentialsSecretRef": {"name": "plane"},
}
GOOD = Checks(
    settings=SETTINGS,
    hooks=(HOOK,),
    identifier="ET",
    states=STATES,
    logins={role: "critic" if role is Role.REVIEWER else "builder" for role in Role},
    agents=frozenset(Role),
    hook_path=PATH,
)
WHOLE = repository(tracker=TRACKER, gates={"approval": {"analysis": "Person", "deploy": "Person"}})
AWAY = Unknown("no connection")


def checks(**fields: Any) -> Checks:
    return replace(GOOD, **fields)


def settings(**fields: Any) -> Checks:
    return checks(settings=replace(SETTINGS, **fields))


def test_with_all_well_it_is_ready() -> None:
    assert problem(WHOLE.spec, GOOD) is None


@pytest.mark.parametrize(
    ("found", "reason", "says"),
    [
        (checks(twin="shop/older"), "Twin", "shop/older"),
        (checks(bad_credentials="Secret forge has no key token"), "BadCredentials", "no key token"),
        (checks(settings=AWAY), "Unreachable", "no connection"),
        (settings(can_push=False), "BadCredentials", "may not push"),
        (checks(logins={**GOOD.logins, Role.REVIEWER: "builder"}), "BadCredentials", "a user of its own"),
        (checks(logins={**GOOD.logins, Role.REVIEWER: "conveyor"}), "BadCredentials", "a user of its own"),
        (settings(protected=False, unprotected_reason="dev may push"), "Unprotected", "dev may push"),
        (settings(allow_fast_forward=False), "MergeNotAllowed", "fast-forward-only"),
        (settings(allow_rebase_update=False), "MergeNotAllowed", "rebase"),
        (settings(allow_manual_merge=False), "MergeNotAllowed", "manually merged"),
        (checks(identifier="OPS"), "StatesMissing", "found OPS"),
        (checks(identifier=AWAY), "Unreachable", "no connection"),
        (checks(states=AWAY), "Unreachable", "no connection"),
        (checks(states=resolve((), {})), "StatesMissing", "approved"),
        (checks(agents=frozenset(Role) - {Role.TESTER}), "AgentMissing", "tester"),
    ],
)
def test_what_is_wrong_is_named(found: Checks, reason: str, says: str) -> None:
    given = problem(WHOLE.spec, found)
    assert given is not None
    assert (given[0].value, says in given[1]) == (reason, True), given


SOME: dict[str, Any] = {"spec": {"containers": []}}


def built_for(seconds: int) -> dict[str, Any]:
    return {"image": {"enabled": True, "template": {"spec": {"activeDeadlineSeconds": seconds}}}}


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"deploy": {"template": SOME, "timeoutSeconds": 7141}}, "deploy.timeoutSeconds (7141 s): more than 7140 s"),
        ({"deploy": {"rollbackTemplate": SOME, "timeoutSeconds": 9000}}, "deploy.timeoutSeconds"),
        ({"staging": {"template": SOME, "timeoutSeconds": 7141}}, "staging.timeoutSeconds"),
        ({"gates": built_for(7141)}, "gates.image.template.spec.activeDeadlineSeconds"),
        ({"merge": {"retestTimeoutSeconds": 7141}}, "merge.retestTimeoutSeconds"),
    ],
)
def test_what_may_take_longer_than_a_lease_at_most_is_not_begun(spec: dict[str, Any], says: str) -> None:
    given = problem(repository(**spec).spec, GOOD)
    assert given is not None
    assert (given[0].value, says in given[1]) == ("CeilingTooSmall", True), given


@pytest.mark.parametrize(
    "spec",
    [
        {"deploy": {"template": SOME, "timeoutSeconds": 7140}},
        {"deploy": {"timeoutSeconds": 9000}},
        {"staging": {"timeoutSeconds": 9000}},
        {"gates": {"image": {"template": {"spec": {"activeDeadlineSeconds": 9000}}}}},
    ],
    ids=["just so", "nothing to deploy", "no staging", "no image"],
)
def test_what_fits_under_the_ceiling_or_is_switched_off_is_ready(spec: dict[str, Any]) -> None:
    assert problem(repository(**spec).spec, GOOD) is None


def test_ceiling_is_the_operators() -> None:
    given = problem(WHOLE.spec, checks(ceiling_seconds=900))
    assert given is not None
    assert given[0].value == "CeilingTooSmall"


@pytest.mark.parametrize(
    ("hooks", "says"),
    [
        ((), "is missing"),
        ((replace(HOOK, active=False),), "is not active"),
        ((replace(HOOK, events=frozenset({"push", "status"})),), "pull_request"),
        (AWAY, "no connection"),
    ],
)
def test_unhealthy_webhook_is_told_and_stops_nothing(hooks: Any, says: str) -> None:
    status = judged(WHOLE, checks(hooks=hooks), now=NOW)
    healthy, ready = status.condition("WebhooksHealthy"), status.condition("Ready")
    assert healthy is not None
    assert ready is not None
    assert (healthy.status, says in healthy.message, ready.status) == ("False", True, "True")


def test_unchanged_judgement_is_no_write() -> None:
    first = judged(WHOLE, GOOD, now=NOW)
    again = judged(WHOLE.model_copy(update={"status": first}), GOOD, now=NOW + timedelta(hours=1))
    assert again == first


def test_start_states_stay_known_while_the_tracker_is_away() -> None:
    first = judged(WHOLE, GOOD, now=NOW)
    away = judged(WHOLE.model_copy(update={"status": first}), checks(states=AWAY), now=NOW)
    assert away.tracker == first.tracker
    assert first.tracker is not None
    assert first.tracker.start_state_ids == tuple(sorted(STATES.start_ids))


def test_hooks_that_were_never_asked_for_say_what_kept_us_from_it() -> None:
    bad = judged(WHOLE, Checks(bad_credentials="Secret forge has no key token"), now=NOW)
    away = judged(WHOLE, Checks(settings=AWAY), now=NOW)
    said = [status.condition("WebhooksHealthy") for status in (bad, away)]
    assert [condition.message if condition is not None else "" for condition in said] == [
        "the hooks were not asked for: Secret forge has no key token",
        "the hooks were not asked for: no connection",
    ]


def test_a_freeze_is_in_force_whatever_the_checks_say() -> None:
    standing = (Freeze(id="auto-1", reason="the deploy failed", since_time=NOW),)
    whole = WHOLE.model_copy(update={"status": RepositoryStatus(freezes=standing)})
    for found in (judged(whole, GOOD, now=NOW), judged(whole, Checks(settings=AWAY), now=NOW)):
        condition = found.condition("Frozen")
        assert condition is not None
        assert (condition.status, condition.message) == ("True", "the deploy failed")
        assert found.effective_freeze is not None
    switched_off = judged(whole, GOOD, now=NOW, freeze_enabled=False)
    assert switched_off.effective_freeze is None
