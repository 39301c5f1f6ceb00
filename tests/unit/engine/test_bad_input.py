"""What people see when something is wrong: in status, conditions and Events, and that nothing else suffers.

| wrong | seen |
|---|---|
| Repository missing, gone, unreadable | waiting and Stalled of its items; they go on by themselves when it is back |
| an object that cannot be read | an Event on it; others go on, after a restart too |
| a run that cannot be started | waiting, in words |
| an agent's answer absent, cut, foreign, huge, malformed | Infrastructure, never a pass; at the cap a person |
| credentials, protection, agents, features, twins | condition Ready, and it is well again soon after it is mended |
"""

import json
from dataclasses import replace

import pytest

from conveyor.cluster.protocol import Key, Kind
from conveyor.web.errors import BadCredentials, Unavailable
from tests.fakes.memory_cluster import Fault
from tests.fakes.memory_store import JOBS
from tests.unit.engine.rig import NAMESPACE, SHOP, TRACKER, Rig


def attempts(rig: Rig, item: Key) -> dict[str, int]:
    return {entry["cause"]: entry["count"] for entry in rig.status(item).get("attempts", [])}


# --- Repositories that are not there


async def test_items_without_repository_say_so_and_start_when_it_comes() -> None:
    rig = Rig()
    items = [rig.item("first", title="First"), rig.item("second", title="Second")]
    await rig.run(until=60)
    for item in items:
        assert rig.waiting(item) == ("Forge", "there is no Repository shop in namespace team: create or mend it")
    rig.repository()
    await rig.run(until=10)
    assert rig.waiting(items[1])[0] == "EarlierItem"
    await rig.run(*items)
    assert [rig.stage(item) for item in items] == ["done", "done"]


async def test_item_under_way_whose_repository_goes_is_stalled_and_goes_on_when_it_is_back() -> None:
    rig = Rig()
    rig.repository()
    rig.crew.idle = True
    item = rig.item()
    await rig.run(until=60)
    rig.cluster.store.remove(Kind.REPOSITORY, SHOP)
    await rig.run(until=60)
    assert rig.condition(item, "Stalled", Kind.WORKITEM)[:2] == ("True", "RepositoryMissing")
    rig.repository()
    rig.crew.idle = False
    await rig.run(item)
    assert rig.stage(item) == "done"


# --- objects that cannot be read


BROKEN_STATUS = [
    {"stage": "from-the-future"},
    {"stage": "analysis", "conditions": "none", "activeRun": []},
    {"stage": "review", "attempts": [{"cause": "Nonsense", "count": "many"}]},
    {"stage": "testing", "dependencies": 7, "waiting": "long"},
    {"stage": "deploy", "transition": {"effect": "FromTheFuture", "id": "1"}},
]


@pytest.mark.parametrize("status", BROKEN_STATUS)
async def test_item_that_cannot_be_read_is_left_alone_and_told_of_while_others_go_on(status: dict[str, object]) -> None:
    rig = Rig()
    rig.repository()
    rig.repository("other")
    broken = rig.item("broken", repository="other")
    rig.cluster.store.set_status(Kind.WORKITEM, broken, status)
    before = rig.cluster.store.object(Kind.WORKITEM, broken)
    for name in ("before-restart", "after-restart"):
        item = rig.item(name, title=name)
        await rig.run(item)
        assert rig.stage(item) == "done"
        rig.process = None
    assert rig.cluster.store.object(Kind.WORKITEM, broken) == before
    assert [note for note in rig.notes() if note[0] == "Unreadable"]
    assert "UnreadableWorkItem" in rig.told.violations


async def test_item_that_cannot_be_read_keeps_its_own_repository_from_starting_others() -> None:
    rig = Rig()
    rig.repository()
    broken = rig.item("broken")
    rig.cluster.store.set_status(Kind.WORKITEM, broken, {"stage": "from-the-future"})
    item = rig.item("next", title="Next")
    await rig.run(until=120)
    assert rig.waiting(item)[0] == "EarlierItem"


async def test_repository_that_cannot_be_read_holds_its_items_alone() -> None:
    rig = Rig()
    rig.repository()
    other = rig.repository("other")
    rig.cluster.store.edit(Kind.REPOSITORY, other, {"spec": {"agents": [{"role": "astrologer", "image": "a:1"}]}})
    held, item = rig.item("held", repository="other"), rig.item()
    await rig.run(item)
    assert rig.stage(item) == "done"
    assert rig.waiting(held)[0] == "Forge"
    assert "Repository other: spec.agents.0.role" in rig.waiting(held)[1]
    assert any(reason == "Unreadable" and "spec.agents.0.role" in text for reason, text in rig.notes())


# --- runs that cannot be started


async def test_run_without_its_secret_says_so_and_starts_when_it_is_there() -> None:
    rig = Rig()
    rig.repository(agentCredentialsSecretRef={"name": "agents"})
    item = rig.item()
    await rig.run(until=60)
    assert rig.waiting(item) == ("Run", "the analyst cannot be started: Secret team/agents is missing")
    rig.cluster.secrets[Key(NAMESPACE, "agents")] = {"reviewer": "s3cret"}
    await rig.run(until=60)
    why = "the analyst cannot be started: Secret agents has neither a key analyst nor a key token"
    assert rig.waiting(item) == ("Run", why)
    rig.cluster.secrets[Key(NAMESPACE, "agents")]["token"] = "s3cret"
    await rig.run(item)
    assert rig.stage(item) == "done"


async def test_run_whose_job_the_api_server_refuses_says_so_and_starts_when_it_does_not() -> None:
    rig = Rig()
    rig.repository()
    item = rig.item()
    for _ in range(3):
        rig.cluster.fail_next("create_job", Fault.REJECTED)
    await rig.run(until=1)
    assert rig.waiting(item)[0] == "Run"
    assert rig.waiting(item)[1].startswith("the analyst cannot be started: the API server refuses the Job")
    await rig.run(item)
    assert rig.stage(item) == "done"


# --- answers


GOOD = {"conveyor": 1, "uid": "?", "run": "?", "token": "?", "verdict": "pass", "summary": "ok", "sha": ""}
ANSWERS = {
    "absent": " ",
    "cut": json.dumps(GOOD)[:-9],
    "foreign": json.dumps(GOOD),
    "huge": json.dumps(GOOD | {"summary": "x" * 5000}),
    "no JSON": "\x1b[31m<script>alert(1)</script>",
    "a list": "[" * 2000,
}


@pytest.mark.parametrize("text", ANSWERS.values(), ids=ANSWERS)
async def test_bad_answer_is_never_a_pass_and_ends_with_a_person(text: str) -> None:
    rig = Rig()
    rig.repository()
    item = rig.item()
    rig.crew.answers["analyst"] = text
    await rig.run(until=600)
    assert rig.stage(item) == "analysis"
    assert rig.status(item)["lastRun"]["verdict"] == "infrastructure"
    assert attempts(rig, item) == {"Infrastructure": 3}
    status, reason, message = rig.condition(item, "Stalled", Kind.WORKITEM)
    assert (status, reason) == ("True", "RetriesExhausted")
    assert f"kubectl workitem retry {item.name}" in message
    assert message.isprintable()


async def test_bad_answers_below_the_cap_are_made_good_by_the_next_run() -> None:
    rig = Rig()
    rig.repository()
    item = rig.item()
    rig.crew.answers["analyst"] = "nonsense"
    rig.crew.only_once = True
    await rig.run(item)
    assert rig.stage(item) == "done"
    assert attempts(rig, item) == {"Infrastructure": 1}


async def test_job_that_vanishes_is_infrastructure() -> None:
    rig = Rig()
    rig.repository()
    item = rig.item()
    rig.crew.idle = True
    await rig.run(until=30)
    (job,) = rig.cluster.store.keys(JOBS)
    rig.cluster.store.remove(JOBS, job)
    await rig.run(until=5)
    rig.crew.idle = False
    await rig.run(item)
    assert rig.stage(item) == "done"
    assert attempts(rig, item) == {"Infrastructure": 1}


async def test_run_is_not_started_twice_by_a_foreign_job_of_its_name() -> None:
    rig = Rig()
    rig.repository()
    item = rig.item()
    rig.crew.idle = True
    await rig.run(until=30)
    (job,) = rig.cluster.store.keys(JOBS)
    rig.cluster.store.edit(JOBS, job, {"metadata": {"labels": {"conveyor.dev/workitem-uid": "another"}}})
    await rig.run(until=120)
    assert rig.condition(item, "Stalled", Kind.WORKITEM)[1] == "EffectUnknown"
    assert len(rig.jobs) == 1


# --- Repositories that are not Ready


NOT_READY = {
    "unreachable": (Unavailable("connect: refused"), "Unreachable"),
    "wrong token": (BadCredentials("GET /repos/acme/shop: 401"), "BadCredentials"),
    "unprotected": ({"protected": False}, "Unprotected"),
    "no fast-forward": ({"allow_fast_forward": False}, "MergeNotAllowed"),
    "no right to push": ({"can_push": False}, "BadCredentials"),
}


@pytest.mark.parametrize(("wrong", "reason"), NOT_READY.values(), ids=NOT_READY)
async def test_repository_that_is_not_ready_says_why_and_starts_soon_after_it_is_mended(
    wrong: object, reason: str
) -> None:
    rig = Rig()
    good = rig.forge.forge_settings
    rig.forge.forge_settings = replace(good, **wrong) if isinstance(wrong, dict) else wrong  # type: ignore[assignment, type-var]
    rig.repository()
    item = rig.item()
    await rig.run(until=120)
    status, why, message = rig.condition(SHOP)
    assert (status, why) == ("False", reason)
    assert rig.waiting(item)[0] == "Forge"
    assert rig.waiting(item)[1].startswith(f"the Repository is not Ready: {reason}: {message[:40]}")
    rig.forge.forge_settings = good
    await rig.run(until=20)
    assert rig.condition(SHOP)[0] == "True"
    await rig.run(item)
    assert rig.stage(item) == "done"


async def test_repository_that_waits_to_be_mended_is_not_written_again_and_again() -> None:
    rig = Rig()
    rig.forge.forge_settings = Unavailable("connect: refused")
    rig.repository()
    await rig.run(until=60)
    written = len(rig.cluster.writes)
    await rig.run(until=3600)
    assert len(rig.cluster.writes) == written


async def test_younger_twin_is_not_ready_until_the_older_one_goes() -> None:
    rig = Rig()
    rig.repository()
    rig.clock.advance(60)
    twin = rig.repository("twin", forge={**rig.cluster.store.object(Kind.REPOSITORY, SHOP)["spec"]["forge"]})
    await rig.run(until=60)
    assert rig.condition(SHOP)[0] == "True"
    assert rig.condition(twin)[:2] == ("False", "Twin")
    rig.cluster.store.remove(Kind.REPOSITORY, SHOP)
    await rig.run(until=20)
    assert rig.condition(twin)[0] == "True"


async def test_twin_of_a_project_starts_no_tickets() -> None:
    rig = Rig()
    rig.repository("a-twin", tracker=TRACKER)
    rig.clock.advance(-60)
    rig.repository("shop", tracker=TRACKER)
    rig.clock.advance(60)
    await rig.run(until=60)
    rig.tracker.add(1, "A cart", state="To Analyse")
    await rig.run(until=60)
    assert [key.name for key in rig.cluster.store.keys(Kind.WORKITEM)] == ["shop-et-1"]


async def test_missing_agent_is_named() -> None:
    rig = Rig()
    rig.repository(agents=[{"role": "developer", "image": "a:1"}])
    await rig.run(until=30)
    status, reason, message = rig.condition(SHOP)
    assert (status, reason) == ("False", "AgentMissing")
    assert "analyst, architect, reviewer, tester" in message


async def test_secrets_are_in_no_event_and_no_status() -> None:
    rig = Rig()
    rig.repository()
    item = rig.item()
    await rig.run(item)
    told = json.dumps([list(rig.cluster.events.values()), rig.status(item), rig.status(SHOP, Kind.REPOSITORY)])
    assert "t0ps3cret" not in told
