"""Items as decisions meet them: each unlike the plain one of its stage in one way that decisions look at."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from conveyor.api.answers import Verdict
from conveyor.api.objects import WorkItem
from conveyor.api.stages import ROLE_OF_STAGE, TERMINAL, Stage
from conveyor.api.workitem import Cause, Effect, HistoryEntry, Monitor, StalledReason
from conveyor.pipeline.job_kinds import JOB_KINDS
from conveyor.pipeline.resuming import DEPLOY_ENDED
from tests.unit.pipeline.builders import (
    CHANGE,
    IMAGE,
    NOW,
    active_run,
    approval,
    attempts,
    effect_job,
    gate,
    item,
    last_run,
    metadata,
    seen,
    sha,
    stalled,
    transition,
)
from tests.unit.pipeline.landing_situations import landing_variants

WITH_JOBS = "with Jobs"
"""How the name of a variant begins whose Repository has Jobs before the merge."""
DEPLOYED = (
    HistoryEntry(
        from_stage=Stage.DEPLOY, to_stage=Stage.DONE, time=NOW, actor="conveyor", cause="deployed", transition_id="d"
    ),
)

Variant = tuple[str, WorkItem]


def variants(stage: Stage | None) -> Iterator[Variant]:
    """Items in a stage, the plain one first, each unlike it in one way that decisions look at."""
    yield "plain", item(stage)
    yield "of a ticket", item(stage, source=True, tracker=seen())
    yield "to be cancelled", item(stage, spec={"cancel": True})
    yield "suspended", item(stage, spec={"suspend": True})
    yield "without a record of the ticket", item(stage, source=True)
    if stage is None:
        return
    yield "told to retry", item(stage, annotations={"request.conveyor.dev/retry": "1"})
    yield "told to send it back", item(stage, annotations={"request.conveyor.dev/rework": "1 by=lead no"})
    yield "told to release its Leases", item(stage, annotations={"request.conveyor.dev/release-lease": "1"})
    for end in (Stage.DEVELOPMENT, Stage.DEPLOY, Stage.DONE):
        yield f"told to be in {end}", told_to_be_in(end, item(stage))
    yield "with budgets used up", item(stage, attempts=attempts(**{cause.value: 3 for cause in Cause}))
    yield from _runs(stage)
    yield from _verdicts(stage)
    yield from _gates(stage)
    yield from landing_variants(stage)
    yield from _watches(stage)
    yield from _words(stage)
    yield from ((f"Stalled {reason.value}", stalled(item(stage), reason)) for reason in StalledReason)
    if stage == Stage.CANCELLED:
        yield "with its pull request", item(stage, pull_request=item(Stage.REVIEW).status.pull_request)
    if stage == Stage.DEPLOY:
        for verb, reason in itertools.product(("retry", "rework"), DEPLOY_ENDED):
            whole = item(stage, annotations={f"request.conveyor.dev/{verb}": "1"})
            yield f"told to {verb}, Stalled {reason.value}", stalled(whole, reason)


def told_to_be_in(end: Stage, whole: WorkItem) -> WorkItem:
    """By a person who breaks the glass."""
    annotations = {"request.conveyor.dev/override": f"1 by=lead {whole.status.stage}>{end} by hand"}
    return whole.model_copy(update={"metadata": whole.metadata.model_copy(update={"annotations": annotations})})


def _runs(stage: Stage) -> Iterator[Variant]:
    if stage not in ROLE_OF_STAGE:
        return
    yield "with a run claimed", item(stage, active_run=active_run(stage))
    yield "with a run at work", item(stage, active_run=active_run(stage, uid="job-uid"))
    long_ago = NOW - timedelta(hours=3)
    yield "with a run past its time", item(stage, active_run=active_run(stage, uid="job-uid", started_time=long_ago))
    at_work = item(stage, active_run=active_run(stage, uid="job-uid"))
    yield "with a run at work told to be in deploy-staging", told_to_be_in(Stage.DEPLOY_STAGING, at_work)
    yield (
        "with a run at work to be cancelled",
        item(stage, active_run=active_run(stage), spec={"cancel": True}),
    )


def _verdicts(stage: Stage) -> Iterator[Variant]:
    if stage not in ROLE_OF_STAGE:
        return
    yield "whose role has not worked", item(stage, last_run=None)
    for verdict in set(Verdict) - {Verdict.PASS}:
        yield f"whose role said {verdict.value}", item(stage, last_run=last_run(stage, verdict))
    asks = last_run(stage, Verdict.BLOCKED, question="which one?")
    yield "that asks", item(stage, last_run=asks)
    yield "of a ticket that asks", item(stage, last_run=asks, source=True, tracker=seen("Needs Input"))
    later = last_run(stage, Verdict.RETRY, not_before_time=NOW + timedelta(minutes=1))
    yield "whose role waits", item(stage, last_run=later)
    yield "whose role passed another commit", item(stage, last_run=last_run(stage, sha=sha("older")))
    if stage not in (Stage.ANALYSIS, Stage.ARCHITECTURE):
        yield "without a pull request", item(stage, pull_request=None)


def _gates(stage: Stage) -> Iterator[Variant]:
    name = {Stage.ANALYSIS: "analysis_approved", Stage.DEPLOY_STAGING: "deploy_approved"}.get(stage)
    if name is None:
        return
    yield "that asks a person", item(stage, approval=approval(name, text_digest=""))
    yield "of a ticket that asks a person", item(stage, approval=approval(name), source=True, tracker=seen())
    produced = CHANGE if stage == Stage.DEPLOY_STAGING else ""
    words = (gate(name, change_id=produced), gate("review_approved"), gate("tests_passed"))
    yield "approved", item(stage, gates=words)
    yield "approved for another commit", item(stage, gates=(gate(name, head_sha=sha("older"), change_id=""),))
    yield "told yes", item(stage, approval=approval(name), annotations={"request.conveyor.dev/approve": "1"})
    yield "told no", item(stage, approval=approval(name), annotations={"request.conveyor.dev/reject": "1"})
    yield "never tested", item(stage, last_run=None, gates=())


def _watches(stage: Stage) -> Iterator[Variant]:
    if stage not in TERMINAL:
        return
    for verdict in ("Watching", "Healthy", "Degraded"):
        for failures in (0, 1, 2, 3):
            for left in (60, 0):
                found = Monitor.model_validate(
                    {"untilTime": NOW + timedelta(seconds=left), "verdict": verdict, "failures": failures}
                )
                yield f"watched: {verdict} {failures}, {left} s left", item(stage, monitor=found, history=DEPLOYED)


def _words(stage: Stage) -> Iterator[Variant]:
    """What Jobs before the merge have said."""
    if stage != Stage.DEPLOY_STAGING:
        return
    base = item(stage).status.gates
    image, staging = gate("image_fresh"), gate("staging_healthy")
    for name, words in {
        "built": (image,),
        "built of another commit": (gate("image_fresh", head_sha=sha("older")), staging),
        "not built": (gate("image_fresh", passed=False),),
        "built and in staging": (image, staging),
        "built and not healthy": (image, gate("staging_healthy", passed=False)),
    }.items():
        gates = tuple(sorted((*base, *words), key=lambda entry: entry.name))
        yield f"{WITH_JOBS}, {name}", item(stage, gates=gates, image=IMAGE)
        if "not" in name:
            spent = item(stage, gates=gates, image=IMAGE, attempts=attempts(Image=3, Staging=3))
            yield f"{WITH_JOBS}, {name}, Stalled", stalled(spent, StalledReason.RETRIES_EXHAUSTED)


LANDS = (Stage.DEPLOY_STAGING, Stage.DEPLOY)


def intents() -> Iterator[Variant]:
    for effect, stage in (
        (Effect.CUT_BRANCH, Stage.CREATED),
        (Effect.CUT_BRANCH, Stage.DEPLOY),
        (Effect.OPEN_PULL_REQUEST, Stage.DEVELOPMENT),
        (Effect.REBASE, Stage.DEPLOY_STAGING),
        (Effect.IMAGE, Stage.DEPLOY_STAGING),
        (Effect.STAGING, Stage.DEPLOY_STAGING),
        (Effect.MERGE, Stage.DEPLOY_STAGING),
        (Effect.RATCHET, Stage.DEPLOY),
        (Effect.PRODUCTION, Stage.DEPLOY),
        (Effect.ROLLBACK, Stage.DEPLOY),
    ):
        changes: dict[str, dict[str, Any]] = {
            "under way": {},
            "left behind": {"holder": "another"},
            "parked": {"phase": "Unknown"},
            "past its time": {"deadline_time": NOW - timedelta(seconds=1)},
            "long past its time": {"deadline_time": NOW - timedelta(hours=1)},
        }
        if effect in JOB_KINDS:
            changes["with its Job"] = {"job": effect_job(effect, uid="job-uid")}
        if effect == Effect.ROLLBACK:
            changes["with its Job, to stay"] = changes["with its Job"] | {"to_stage": Stage.DEPLOY}
        produced: dict[str, Any] = {"branch": "feature/ET-17-a-cart"} if effect == Effect.CUT_BRANCH else {}
        produced |= {"last_run": last_run(Stage.TESTING, coverage=82.0)} if stage in LANDS else {}
        if (effect, stage) == (Effect.CUT_BRANCH, Stage.DEPLOY):
            produced |= dict.fromkeys(("pull_request", "head_sha", "change_id", "merge_sha"))
            changes = {
                how: fields | {"from_stage": stage, "to_stage": Stage.DEVELOPMENT} for how, fields in changes.items()
            }
        for how, fields in changes.items():
            whole = item(stage, transition=transition(effect, **fields), **produced)
            yield f"{effect.value} {how}", whole
            yield f"{effect.value} {how}, told to be in review", told_to_be_in(Stage.REVIEW, whole)
            for spec in ("cancel", "suspend"):
                said = whole.spec.model_copy(update={spec: True})
                yield f"{effect.value} {how}, {spec}", whole.model_copy(update={"spec": said})
            if how == "parked":
                asked = metadata(whole.name, annotations={"request.conveyor.dev/retry": "1"})
                told = stalled(whole, StalledReason.EFFECT_UNKNOWN).model_copy(update={"metadata": asked})
                yield f"{effect.value} {how}, told to retry", told
