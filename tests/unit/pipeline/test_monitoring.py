"""The watch after a deploy: when it begins, what probes lead to, and that an item that is done stays done.

Watch of 10 minutes with a probe each 15 s, degraded after three failures in a row, unless a row says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from conveyor.api.objects import Repository, WorkItem
from conveyor.api.repository import Freeze, MonitorSpec, Production
from conveyor.api.stages import Stage
from conveyor.api.workitem import Effect, HistoryEntry, Monitor
from conveyor.pipeline.actions import Action, Amend, Settle
from conveyor.pipeline.amending import amended
from conveyor.pipeline.decide import decide
from conveyor.pipeline.facts import ProbeFact
from conveyor.pipeline.monitoring import freeze_id, seconds_to_probe
from tests.unit.pipeline.builders import (
    ENTERED,
    HEAD,
    NOW,
    POLICY,
    UID,
    at_rest,
    case,
    effect_job,
    facts,
    item,
    job,
    merged_pull,
    on_record,
    repository,
    transition,
)

PROBES = [{"url": "https://shop.example/healthz"}, {"prometheus": "https://prom.example", "query": "up"}]
WATCH = {"windowSeconds": 600, "intervalSeconds": 15, "failureThreshold": 3, "probes": PROBES}
UNTIL = NOW + timedelta(minutes=5)
GOOD = (ProbeFact("page", healthy=True), ProbeFact("query", healthy=True))
BAD = (ProbeFact("page", healthy=False, reason="it answered 500"), ProbeFact("query", healthy=True))
DEPLOYED = "0123456789abcdef"
HISTORY = (
    HistoryEntry(from_stage=Stage.DEPLOY_STAGING, to_stage=Stage.DEPLOY, time=ENTERED, actor="conveyor", cause="merged",
                 transition_id="merge"),
    HistoryEntry(from_stage=Stage.DEPLOY, to_stage=Stage.DONE, time=ENTERED, actor="conveyor", cause="deployed",
                 transition_id=DEPLOYED),
)  # fmt: skip


def watching(failures: int = 0, *, until: datetime = UNTIL, **fields: Any) -> WorkItem:
    message = "page: it answered 500" if failures else ""
    found = Monitor(until_time=until, verdict="Watching", failures=failures, message=message)
    values: dict[str, Any] = {"monitor": found, "history": HISTORY}
    return at_rest(item(Stage.DONE, **(values | fields)))


def shop(*, freezes: tuple[Freeze, ...] = (), deploy: Mapping[str, Any] | None = None, **monitor: Any) -> Repository:
    spec: dict[str, Any] = {"monitor": WATCH | monitor} | ({"deploy": deploy} if deploy is not None else {})
    whole = repository(**spec)
    return whole.model_copy(update={"status": whole.status.model_copy(update={"freezes": freezes})})


def step(
    whole: WorkItem, probes: tuple[ProbeFact, ...] | None, *, of: Repository | None = None, freeze: bool = True
) -> Action:
    policy = replace(POLICY, freeze=freeze)
    return decide(case(whole, facts(probes=probes), of=of or shop(), policy=policy))


def said(whole: WorkItem, probes: tuple[ProbeFact, ...] | None, **options: Any) -> str:
    """`Watching 2`, `Healthy 0`, `no watch`, `rests`, or what else is done."""
    action = step(whole, probes, **options)
    if not isinstance(action, Settle):
        return type(action).__name__
    if action.status == whole.status:
        return "rests"
    assert action.status.model_copy(update={"monitor": whole.status.monitor}) == whole.status, "only the watch changes"
    found = action.status.monitor
    return f"{found.verdict} {found.failures}" if found is not None else "no watch"


# --- how it begins


def deployed(of: Repository) -> Monitor | None:
    work = effect_job(Effect.PRODUCTION, uid="job-uid")
    whole = item(Stage.DEPLOY, transition=transition(Effect.PRODUCTION, job=work))
    recorded = on_record(of, production=Production(sha=HEAD, revision=HEAD, item=whole.name))
    action = decide(case(whole, facts(effect_job=job()), of=recorded))
    assert isinstance(action, Settle)
    assert action.status.stage == Stage.DONE
    return action.status.monitor


def test_deploy_that_passed_is_watched_from_the_write_that_ends_it() -> None:
    assert deployed(shop()) == Monitor(until_time=NOW + timedelta(minutes=10), verdict="Watching")


@pytest.mark.parametrize("off", [{"probes": []}, {"windowSeconds": 0}], ids=["no probes", "no window"])
def test_without_probes_or_window_nothing_is_watched(off: dict[str, Any]) -> None:
    assert deployed(shop(**off)) is None


def test_where_the_merge_is_the_deploy_it_is_watched_too() -> None:
    action = decide(case(item(Stage.DEPLOY), of=shop(deploy={})))
    assert isinstance(action, Settle)
    assert action.status.stage == Stage.DONE
    assert action.status.monitor is not None


def test_merge_by_a_person_is_not_watched() -> None:
    action = decide(case(item(Stage.TESTING), facts(pull=merged_pull()), of=shop()))
    assert isinstance(action, Settle)
    assert (action.status.stage, action.status.monitor) == (Stage.DONE, None)


# --- what probes lead to

PAST = watching(until=NOW)


@pytest.mark.parametrize(
    ("whole", "probes", "expected"),
    [
        pytest.param(watching(), GOOD, "rests", id="all well: nothing is written"),
        pytest.param(watching(), None, "rests", id="woken for another reason: nothing is counted"),
        pytest.param(watching(), BAD, "Watching 1", id="one of two probes failed: counted"),
        pytest.param(watching(1), BAD, "Watching 2", id="failed again: counted"),
        pytest.param(watching(2), GOOD, "Watching 0", id="well again: failures in a row begin anew"),
        pytest.param(watching(2), None, "rests", id="a count on record is not counted again"),
        pytest.param(watching(2), BAD, "Watching 3", id="the last failure goes on record before the freeze"),
        pytest.param(watching(3), None, "Amend", id="all failures on record: frozen, whatever is probed"),
        pytest.param(watching(3), GOOD, "Amend", id="what is well again by then was degraded"),
        pytest.param(PAST, GOOD, "Healthy 0", id="at the end all well: healthy"),
        pytest.param(PAST, None, "rests", id="at the end, not probed yet: nobody knows"),
        pytest.param(PAST, BAD, "Watching 1", id="at the end failed: followed further"),
        pytest.param(watching(2, until=NOW), GOOD, "Healthy 0", id="past the end well again: healthy"),
        pytest.param(watching(2, until=NOW), BAD, "Watching 3", id="past the end failed for good"),
    ],
)
def test_watch(whole: WorkItem, probes: tuple[ProbeFact, ...] | None, expected: str) -> None:
    assert said(whole, probes) == expected


def test_what_failed_is_on_record_and_gone_when_all_is_well() -> None:
    action = step(watching(), BAD)
    assert isinstance(action, Settle)
    assert action.status.monitor is not None
    assert action.status.monitor.message == "page: it answered 500"
    action = step(watching(2), GOOD)
    assert isinstance(action, Settle)
    assert action.status.monitor is not None
    assert action.status.monitor.message == ""


@pytest.mark.parametrize("verdict", ["Healthy", "Degraded"])
def test_verdict_stands(verdict: str) -> None:
    found = Monitor.model_validate({"untilTime": NOW, "verdict": verdict, "failures": 3})
    assert said(watching(monitor=found), BAD) == "rests"


@pytest.mark.parametrize("off", [{"probes": []}, {"windowSeconds": 0}], ids=["no probes", "no window"])
def test_watch_that_is_no_longer_wanted_ends_without_a_verdict(off: dict[str, Any]) -> None:
    assert said(watching(1), None, of=shop(**off)) == "no watch"


# --- degraded


def mine(**fields: Any) -> Freeze:
    return Freeze(id=DEPLOYED, reason="r", item="shop-et-17", since_time=NOW, **fields)


def test_degraded_freezes_first_and_names_the_deploy_and_the_item() -> None:
    action = step(watching(3), None)
    assert isinstance(action, Amend)
    assert action.freeze == Freeze(
        id=DEPLOYED,
        reason="the deploy of SHOP-ET-17 is degraded: page: it answered 500",
        item="shop-et-17",
        item_uid=watching(3).metadata.uid,
        scope="merge",
        since_time=NOW,
    )
    status = amended(shop().status, action)
    assert amended(status, action) == status


@pytest.mark.parametrize("cleared", [None, NOW], ids=["standing", "cleared by a person since"])
def test_verdict_follows_the_freeze_in_one_write_with_its_id(cleared: datetime | None) -> None:
    action = step(watching(3), None, of=shop(freezes=(mine(cleared_time=cleared),)))
    assert isinstance(action, Settle)
    assert action.status.monitor == Monitor(
        until_time=UNTIL, verdict="Degraded", failures=3, freeze_id=DEPLOYED, message="page: it answered 500"
    )
    (note,) = action.notes
    follows = "Repository shop is frozen" if cleared is None else "nothing is frozen"
    assert (note.reason, note.warning) == ("Degraded", True)
    assert note.text == f"the deploy is degraded; {follows}: page: it answered 500"


@pytest.mark.parametrize(
    "options", [{"of": shop(onDegraded="AlertOnly")}, {"freeze": False}], ids=["alert only", "freezes switched off"]
)
def test_without_a_freeze_the_verdict_is_all_that_is_written(options: dict[str, Any]) -> None:
    action = step(watching(2), BAD, **options)
    assert isinstance(action, Settle)
    assert action.status.monitor is not None
    assert (action.status.monitor.verdict, action.status.monitor.failures) == ("Degraded", 3)
    assert action.status.monitor.freeze_id == ""
    assert [note.reason for note in action.notes] == ["Degraded"]


def test_freeze_that_was_made_is_named_though_freezes_were_switched_off_since() -> None:
    action = step(watching(3), None, of=shop(freezes=(mine(),)), freeze=False)
    assert isinstance(action, Settle)
    assert action.status.monitor is not None
    assert action.status.monitor.freeze_id == DEPLOYED


def test_foreign_freeze_is_not_taken_for_its_own() -> None:
    other = Freeze(id="another", reason="r", item="shop-et-9", since_time=NOW)
    assert said(watching(3), None, of=shop(freezes=(other,))) == "Amend"


@pytest.mark.parametrize(("threshold", "expected"), [(1, "Amend"), (5, "Watching 4")])
def test_threshold_of_now_counts(threshold: int, expected: str) -> None:
    assert said(watching(3), BAD, of=shop(failureThreshold=threshold)) == expected


@pytest.mark.parametrize(
    ("history", "expected"),
    [(HISTORY, DEPLOYED), (HISTORY[:1], "merge"), ((), UID)],
    ids=["the deploy's", "the merge's, where it was the deploy", "the item's, where nothing is on record"],
)
def test_freeze_has_the_id_of_what_deployed(history: tuple[HistoryEntry, ...], expected: str) -> None:
    assert freeze_id(case(watching(history=history))) == expected


def test_suspended_item_is_watched_too() -> None:
    whole = watching()
    held = whole.model_copy(update={"spec": whole.spec.model_copy(update={"suspend": True})})
    assert said(held, BAD) == "Watching 1"


# --- when

SPEC = MonitorSpec.model_validate(WATCH)


def due(*, since: float, until: float = 300.0, failures: int = 0) -> float:
    """Seconds until the next probe: `since` ago was the last, `until` from now is the end."""
    found = Monitor(until_time=NOW + timedelta(seconds=until), verdict="Watching", failures=failures)
    return seconds_to_probe(found, SPEC, since=NOW - timedelta(seconds=since), now=NOW)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param({"since": 0}, 15, id="an interval after the last"),
        pytest.param({"since": 4}, 11, id="woken early: not yet"),
        pytest.param({"since": 15}, 0, id="after an interval: now"),
        pytest.param({"since": 4000}, 0, id="long ago, as after a restart: now"),
        pytest.param({"since": 4, "until": 5}, 5, id="at the end, if that is sooner"),
        pytest.param({"since": 4, "until": 5, "failures": 1}, 11, id="not sooner for the end while it fails"),
        pytest.param({"since": 4, "until": -2}, 0, id="the end came since the last: now"),
        pytest.param({"since": 4, "until": -9}, 11, id="asked past the end already: an interval later"),
        pytest.param({"since": -3600}, 0, id="the clock was set back: now"),
    ],
)
def test_next_probe_is_due(given: dict[str, Any], expected: float) -> None:
    assert due(**given) == expected
