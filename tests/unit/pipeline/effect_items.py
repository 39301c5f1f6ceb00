"""Items with the intent of an effect that is a Job, in a Repository that wants all of them."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from conveyor.api.objects import Repository, WorkItem
from conveyor.api.repository import Production
from conveyor.api.stages import Stage
from conveyor.api.workitem import Effect
from conveyor.pipeline.case import Facts
from conveyor.pipeline.facts import JobState
from conveyor.pipeline.job_kinds import JOB_KINDS
from tests.unit.pipeline.builders import (
    HEAD,
    IMAGE,
    NOW,
    effect_job,
    gate,
    item,
    job,
    on_record,
    repository,
    sha,
    transition,
)
from tests.unit.pipeline.outcomes import decide_row

POD: dict[str, Any] = {"spec": {"containers": [{"name": "work", "image": "work:1"}]}}
BUILT = {"enabled": True, "repository": "registry.example/cart", "template": POD}
GATES = {"approval": {"analysis": "Auto", "deploy": "Auto"}}
DEPLOYED = Production(image=IMAGE, sha=HEAD, revision=HEAD, item="shop-et-17")
WANTED = on_record(repository(gates=GATES | {"image": BUILT}, staging={"template": POD}), production=DEPLOYED)
OTHER = sha("other")
HELD = job(JobState.ACTIVE, suspended=True, unstarted=True)
"""As it was created."""
FRESH = gate("image_fresh")

STAGE_OF = {
    Effect.IMAGE: Stage.DEPLOY_STAGING,
    Effect.STAGING: Stage.DEPLOY_STAGING,
    Effect.PRODUCTION: Stage.DEPLOY,
    Effect.ROLLBACK: Stage.DEPLOY,
}
EACH = pytest.mark.parametrize("effect", JOB_KINDS, ids=str)


def said(verdict: str = "pass", **more: str) -> str:
    return json.dumps({"conveyor": 1, "verdict": verdict} | more)


def at_work(effect: Effect, *, uid: str | None = "job-uid", **fields: Any) -> WorkItem:
    """With the intent of an effect, and its Job's uid on record."""
    intent = transition(effect, job=effect_job(effect, uid=uid), **fields)
    return item(STAGE_OF[effect], transition=intent)


def row(whole: WorkItem, known: Facts, *, of: Repository = WANTED, hours: float = 0) -> str:
    return decide_row(whole, known, of=of, now=NOW + timedelta(hours=hours))


READY = item(Stage.DEPLOY_STAGING)


def with_words(*words: Any, image: str | None = IMAGE) -> WorkItem:
    names = {word.name for word in words}
    rest = [word for word in READY.status.gates if word.name not in names]
    return item(Stage.DEPLOY_STAGING, gates=tuple(sorted([*rest, *words], key=lambda it: it.name)), image=image)
