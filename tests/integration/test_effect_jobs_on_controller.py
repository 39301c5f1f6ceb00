"""Each effect that is a Job, on the real Job controller: how it may go, and what is on record in the end.

| | image, staging | production | rollback |
|---|---|---|---|
| passes | the gate's word | done | the work begins on a new branch |
| fails, or its pod takes too long | the gate's word | rolled back, then the work begins again | a person |
| its pod never starts | said of nothing, another is begun | rolled back, and it stays | a person |
| somebody deletes it before it began, or by force | a person | a person | a person |
| somebody deletes it at work | as it ends | as it ends | as it ends |
"""

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from conveyor.api.objects import WorkItem
from conveyor.api.workitem import Effect
from conveyor.cluster.connection import from_kubeconfig
from conveyor.pipeline.job_kinds import JOB_KINDS
from tests.cluster.api import Kube
from tests.cluster.node import Outcome
from tests.integration.crd_objects import namespace_for
from tests.integration.effect_jobs import BUILT, Carrier, Case, Pods, Story, end_of

PASSES = Outcome(message=BUILT)
STORIES: Mapping[str, Story] = {
    "passes": Story(pod=PASSES),
    "fails": Story(pod=Outcome(exit_code=3)),
    "too-slow": Story(when="at work", act=Case.stop_pod),
    "never-starts": Story(when="created", act=Case.limit),
    "deleted-unrecorded": Story(when="created", act=Case.delete, pod=PASSES),
    "deleted-recorded": Story(when="recorded", act=Case.delete, pod=PASSES),
    "deleted-at-work": Story(when="at work", act=Case.delete, pod=Outcome(message=BUILT, after=3)),
    "removed-at-work": Story(when="at work", act=Case.delete_by_force, pod=Outcome(message=BUILT, after=3)),
}
BEFORE_MERGE = {
    "passes": "passed",
    "fails": "failed",
    "too-slow": "failed",
    "never-starts": "charged ['Infrastructure']",
    "deleted-at-work": "passed",
}
EXPECTED: Mapping[Effect, Mapping[str, str]] = {
    Effect.IMAGE: BEFORE_MERGE,
    Effect.STAGING: BEFORE_MERGE,
    Effect.PRODUCTION: {
        "passes": "done",
        "fails": "Rollback, then development",
        "too-slow": "Rollback, then development",
        "never-starts": "Rollback, then deploy",
        "deleted-at-work": "done",
    },
    Effect.ROLLBACK: {
        "passes": "CutBranch, then development",
        "fails": "RollbackFailed",
        "too-slow": "RollbackFailed",
        "never-starts": "RollbackFailed",
        "deleted-at-work": "CutBranch, then development",
    },
}
"""What is not named is parked: nobody can tell, or it never began."""
ALL = [(effect, name) for effect in JOB_KINDS for name in STORIES]


@pytest.fixture(scope="module")
def ends(crds: None, kube: Kube, kubeconfig: Path) -> Iterator[Mapping[tuple[Effect, str], WorkItem | BaseException]]:
    """All of them side by side, carried by one process."""
    with namespace_for(kube, "effect-jobs") as namespace:
        yield asyncio.run(carried(kube, kubeconfig, namespace))


async def carried(
    kube: Kube, kubeconfig: Path, namespace: str
) -> Mapping[tuple[Effect, str], WorkItem | BaseException]:
    cases = {
        (effect, name): Case(kube, namespace, effect, name=f"{effect.value.lower()}-{name}", story=STORIES[name])
        for effect, name in ALL
    }
    async with await from_kubeconfig(kubeconfig) as connection, Pods(kubeconfig, list(cases.values())):
        carrier = Carrier(connection, kube, namespace)
        for case in cases.values():
            carrier.begin(case)
        found = await asyncio.gather(*map(carrier.carry, cases.values()), return_exceptions=True)
        assert carrier.process.told.violations == []
    return dict(zip(cases, found, strict=True))


@pytest.mark.parametrize(("effect", "name"), ALL, ids=lambda value: str(getattr(value, "value", value)))
def test_job_ends_as_designed(
    effect: Effect, name: str, ends: Mapping[tuple[Effect, str], WorkItem | BaseException]
) -> None:
    item = ends[effect, name]
    assert isinstance(item, WorkItem), item
    assert end_of(item, effect) == EXPECTED[effect].get(name, "EffectUnknown")
