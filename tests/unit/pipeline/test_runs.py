"""Runs: claimed with the step that needs them, followed to their end, and never two at once."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from conveyor.api.answers import Verdict
from conveyor.api.objects import WorkItem
from conveyor.api.stages import Stage
from conveyor.api.workitem import StalledReason
from conveyor.pipeline.case import Facts
from conveyor.pipeline.facts import JobFact, JobState
from conveyor.pipeline.runs import OVERTIME
from tests.unit.pipeline.builders import (
    DEVELOPER,
    HEAD,
    NOW,
    UID,
    UNKNOWN,
    active_run,
    facts,
    item,
    job,
    merged_pull,
    settled,
    stalled,
    ticket,
)
from tests.unit.pipeline.outcomes import Row, decide_row, table

RUN = active_run(Stage.REVIEW)
LONG_AGO = NOW - timedelta(hours=2)


def working(**fields: Any) -> WorkItem:
    return item(Stage.REVIEW, active_run=RUN.model_copy(update=fields))


def answer(verdict: str = "pass", **fields: Any) -> JobFact:
    whole = {"conveyor": 1, "uid": UID, "run": RUN.name, "token": RUN.token, "verdict": verdict, "sha": HEAD}
    return job(message=json.dumps(whole | fields))


CLAIMED, SEEN = working(), working(uid="job-uid")
OVER = working(uid="job-uid", started_time=LONG_AGO)
CANCELLED = item(Stage.REVIEW, active_run=RUN, spec={"cancel": True})
ACTIVE, DELETING = job(JobState.ACTIVE), job(JobState.DELETING)
FOREIGN = job(JobState.ACTIVE, item_uid="another")

ROWS: tuple[Row, ...] = (
    ("a claimed run's Job is created", CLAIMED, facts(), "StartRun"),
    ("a Job that is there is put on record", CLAIMED, facts(run_job=ACTIVE), "run goes on"),
    ("a Job at work is waited for", SEEN, facts(run_job=ACTIVE), "run goes on"),
    ("a Job being deleted is waited for", SEEN, facts(run_job=DELETING), "run goes on"),
    ("a Job that cannot be read is waited for", SEEN, facts(run_job=UNKNOWN), "run goes on"),
    ("a Job that vanished is infrastructure", SEEN, facts(), "run ended infrastructure"),
    ("a Job past its time is stopped", OVER, facts(run_job=ACTIVE), "StopRun"),
    (
        "a Job past its time that nobody saw is put on record first",
        working(started_time=LONG_AGO),
        facts(run_job=ACTIVE),
        "run goes on",
    ),
    (
        "a run past its time is not started any more",
        working(started_time=LONG_AGO),
        facts(),
        "run ended infrastructure",
    ),
    ("a stopped Job is counted", OVER, facts(), "run ended infrastructure"),
    ("another item's Job is a person's matter", CLAIMED, facts(run_job=FOREIGN), "run goes on, Stalled EffectUnknown"),
    ("another item's Job that is gone makes room", stalled(CLAIMED, StalledReason.EFFECT_UNKNOWN), facts(), "StartRun"),
    ("a pass is taken", SEEN, facts(run_job=answer()), "run ended pass"),
    ("a fail is taken", SEEN, facts(run_job=answer("fail")), "run ended fail"),
    ("a question is taken", SEEN, facts(run_job=answer("blocked", question="which?")), "run ended blocked"),
    ("a wait is taken", SEEN, facts(run_job=answer("retry", retryAfterSeconds=60)), "run ended retry"),
    ("no answer is infrastructure", SEEN, facts(run_job=job()), "run ended infrastructure"),
    (
        "a run that kept no time has failed",
        SEEN,
        facts(run_job=job(complete=False, reason="DeadlineExceeded")),
        "run ended fail",
    ),
    (
        "suspended, what runs may finish",
        item(Stage.REVIEW, active_run=RUN, spec={"suspend": True}),
        facts(run_job=answer()),
        "run ended pass",
    ),
    ("cancel stops the run first", CANCELLED, facts(run_job=ACTIVE), "StopRun"),
    ("cancel waits for the run to be away", CANCELLED, facts(run_job=DELETING), "StopRun"),
    ("cancel does not believe what it cannot read", CANCELLED, facts(run_job=UNKNOWN), "StopRun"),
    ("cancel ends with the run away", CANCELLED, facts(), "-> cancelled"),
    ("cancel ends with the run at its end", CANCELLED, facts(run_job=job()), "-> cancelled"),
    ("cancel leaves another item's Job alone", CANCELLED, facts(run_job=FOREIGN), "-> cancelled"),
    ("a merge by a person stops the run first", SEEN, facts(run_job=ACTIVE, pull=merged_pull()), "StopRun"),
    ("a merge by a person ends with the run away", SEEN, facts(pull=merged_pull()), "-> done"),
    ("a merge by an agent ends the run too", SEEN, facts(pull=merged_pull(DEVELOPER)), "Stalled MergedByAgent"),
    (
        "a closed ticket lets the run finish",
        item(Stage.REVIEW, active_run=RUN, source=True),
        facts(run_job=ACTIVE, ticket=ticket("Done")),
        "run goes on",
    ),
)


@table(ROWS)
def test_a_run(whole: WorkItem, known: Facts, expected: str) -> None:
    assert decide_row(whole, known) == expected


@pytest.mark.parametrize(
    ("found", "after"),
    [
        pytest.param(ACTIVE, OVERTIME.total_seconds() + 3600, id="at work: till its time is over"),
        pytest.param(
            replace(ACTIVE, reason="ImagePullBackOff"), 60, id="held up in its pod: nobody says when it goes on"
        ),
        pytest.param(
            replace(ACTIVE, reason="Suspended", suspended=True),
            OVERTIME.total_seconds() + 3600,
            id="held back: told so",
        ),
    ],
)
def test_a_job_at_work_is_looked_at_again_while_something_holds_its_pod_up(found: JobFact, after: float) -> None:
    assert settled(working(uid="job-uid", started_time=NOW), facts(run_job=found)).after == after


def test_the_answer_is_stored_in_the_write_that_clears_the_run() -> None:
    status = settled(SEEN, facts(run_job=answer(summary="fine", coverage=81.5))).status
    last = status.last_run
    assert status.active_run is None
    assert last is not None
    assert (last.name, last.verdict, last.sha, last.summary, last.coverage) == (
        RUN.name,
        Verdict.PASS,
        HEAD,
        "fine",
        81.5,
    )
    assert (last.started_time, last.finished_time) == (RUN.started_time, NOW)


@pytest.mark.parametrize(("asked", "kept"), [(600, 600), (0, 5)])
def test_a_wait_is_kept_but_never_shorter_than_a_moment(asked: int, kept: int) -> None:
    last = settled(SEEN, facts(run_job=answer("retry", retryAfterSeconds=asked))).status.last_run
    assert last is not None
    assert last.not_before_time == NOW + timedelta(seconds=kept)


def test_a_claim_has_a_new_name_a_secret_of_its_own_and_the_attempt() -> None:
    first = settled(item(Stage.DEVELOPMENT, last_run=None), facts(nonce="aa")).status
    other = settled(item(Stage.DEVELOPMENT, last_run=None), facts(nonce="bb")).status
    assert first.active_run is not None
    assert other.active_run is not None
    assert first.runs == 6
    assert first.active_run.attempt == 1
    assert first.active_run.token != other.active_run.token
    assert len(first.active_run.token) == 32


def test_the_seen_jobs_uid_is_recorded_without_a_second_write() -> None:
    first = settled(CLAIMED, facts(run_job=ACTIVE)).status
    assert first.active_run is not None
    assert first.active_run.uid == "job-uid"
    again = settled(CLAIMED.model_copy(update={"status": first}), facts(run_job=ACTIVE)).status
    assert again == first


def test_a_run_at_work_is_looked_at_again_when_its_time_is_over() -> None:
    action = settled(SEEN, facts(run_job=ACTIVE))
    assert action.after == (RUN.started_time + timedelta(seconds=3600) + OVERTIME - NOW).total_seconds()
