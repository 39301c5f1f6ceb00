"""Jobs that no story foresees: whose pods are taken away, that the cluster refuses, that a person deletes."""

import json
from typing import Any

import pytest

from conveyor.cluster.protocol import JSONObject, Key, Kind, Rejected
from conveyor.web.errors import NotFound
from tests.fakes.memory_store import JOBS
from tests.unit.engine.rig import SHOP, Rig
from tests.unit.engine.starts import BEFORE, POD

GATES = {"approval": {"analysis": "Auto", "deploy": "Auto"}, "image": {"enabled": True, "template": POD}}
DEPLOY = {"template": POD, "rollbackTemplate": POD, "onFailure": "Hold"}


def begin(*, keeps: str = "", freeze: bool = True, **spec: JSONObject) -> tuple[Rig, Key]:
    """`keeps`: the effect whose Jobs do not end by themselves."""
    rig = Rig(freeze=freeze)
    whole: dict[str, Any] = {"gates": GATES, "deploy": DEPLOY} | spec
    rig.repository(**whole)
    rig.cluster.store.set_status(Kind.REPOSITORY, SHOP, {"production": BEFORE})
    rig.crew.keeps = frozenset({keeps})
    return rig, rig.item()


def jobs(rig: Rig, effect: str) -> list[Key]:
    """Those that are there."""
    return [key for key in rig.cluster.store.keys(JOBS) if effect.lower() in key.name]


async def at_work(rig: Rig, effect: str) -> Key:
    """The Job of that effect, once it is let begin."""

    def begun() -> bool:
        return any(rig.cluster.store.objects[JOBS, key]["status"].get("active") for key in jobs(rig, effect))

    await rig.run_until(begun)
    return jobs(rig, effect)[-1]


def ask(rig: Rig, item: Key, verb: str, text: str = "") -> None:
    value = f"{verb}{rig.cluster.store.version} by=anna {text}"
    rig.cluster.store.edit(Kind.WORKITEM, item, {"metadata": {"annotations": {f"request.conveyor.dev/{verb}": value}}})


def stalled(rig: Rig, item: Key) -> str:
    return rig.condition(item, "Stalled", Kind.WORKITEM)[1]


# --- its pod is gone, and what it said with it


def lose_pod(rig: Rig, job: Key, **answer: str) -> None:
    """It ends with exit 0 and this answer; its node is removed before anybody reads it."""
    rig.cluster.end_job(job, message=json.dumps({"conveyor": 1} | answer))
    rig.cluster.store.pods[job] = []


@pytest.mark.parametrize("effect", ["Production", "Rollback"])
async def test_deploy_whose_word_is_lost_is_a_persons_matter(effect: str) -> None:
    rig, item = begin(keeps=effect)
    rig.crew.exits["Production"] = [1] if effect == "Rollback" else []
    lose_pod(rig, await at_work(rig, effect), verdict="fail", summary="smoke tests are red")
    await rig.run(item, until=3600)
    assert (rig.stage(item), stalled(rig, item)) == ("deploy", "EffectUnknown")
    assert len([job for job in rig.jobs if effect.lower() in job]) == 1


async def test_retry_of_a_deploy_whose_word_is_lost_deploys_by_another_job() -> None:
    rig, item = begin(keeps="Production")
    lost = await at_work(rig, "Production")
    lose_pod(rig, lost, verdict="fail")
    await rig.run(item, until=3600)
    rig.crew.keeps = frozenset()
    ask(rig, item, "retry")
    await rig.run(item, until=3600)
    assert (rig.stage(item), len([job for job in rig.jobs if "production" in job])) == ("done", 2)
    assert not rig.cluster.store.object(JOBS, lost)["metadata"].get("finalizers")


async def test_image_whose_word_is_lost_is_built_again_and_charged_to_nobodys_work() -> None:
    rig, item = begin(keeps="Image")
    lose_pod(rig, await at_work(rig, "Image"), verdict="pass", image="r.test/cart@sha256:" + "1" * 64)
    rig.crew.keeps = frozenset()
    await rig.run(item, until=3600)
    assert (rig.stage(item), len([job for job in rig.jobs if "image" in job])) == ("done", 2)
    assert [charge["cause"] for charge in rig.status(item)["attempts"]] == ["Infrastructure"]


# --- it is refused: its template is gone, a quota is full, an admission webhook says no


def refuse(rig: Rig, verb: str) -> None:
    async def refused(*_: object, **__: object) -> Rejected:
        return Rejected('exceeded quota: "team"')

    setattr(rig.cluster, verb, refused)


@pytest.mark.parametrize("verb", ["create_job", "start_job"])
@pytest.mark.parametrize("effect", ["Production", "Rollback", "Image"])
async def test_job_that_is_refused_to_the_last_is_a_persons_matter(effect: str, verb: str) -> None:
    rig, item = begin()
    rig.crew.exits["Production"] = [1]
    await rig.run_until(lambda: rig.status(item).get("transition", {}).get("effect") == effect)
    refuse(rig, verb)
    await rig.run(item, until=4 * 3600)
    status, reason, message = rig.condition(item, "Stalled", Kind.WORKITEM)
    assert (status, reason, "exceeded quota" in message) == ("True", "EffectUnknown", True)
    before = rig.writes
    await rig.run(item, until=3600)
    assert (rig.writes, stalled(rig, item)) == (before, "EffectUnknown")


async def test_deploy_that_was_refused_goes_on_once_a_person_says_resume() -> None:
    rig, item = begin()
    await rig.run_until(lambda: rig.status(item).get("transition", {}).get("effect") == "Production")
    refuse(rig, "create_job")
    await rig.run(item, until=4 * 3600)
    delattr(rig.cluster, "create_job")
    ask(rig, item, "resume")
    await rig.run(item, until=3600)
    assert (rig.stage(item), len([job for job in rig.jobs if "production" in job])) == ("done", 1)


async def test_override_ends_a_deploy_that_was_refused() -> None:
    rig, item = begin()
    await rig.run_until(lambda: rig.status(item).get("transition", {}).get("effect") == "Production")
    refuse(rig, "create_job")
    await rig.run(item, until=4 * 3600)
    ask(rig, item, "override", "deploy>done by hand")
    await rig.run(item, until=600)
    assert rig.stage(item) == "done"


# --- a person deletes it: our finalizer holds it, so that it is never gone


@pytest.mark.parametrize("begun", [False, True], ids=["before it began", "at work"])
async def test_override_follows_the_deletion_of_a_deploy_as_it_was_told(begun: bool) -> None:
    rig, item = begin(keeps="Production")
    if begun:
        job = await at_work(rig, "Production")
    else:
        await rig.run_until(lambda: bool(jobs(rig, "production")))
        [job] = jobs(rig, "production")
    rig.cluster.store.delete(JOBS, job)
    rig.cluster.store.pods[job] = []
    await rig.run(item, until=3 * 3600)
    assert stalled(rig, item) == "EffectUnknown"
    ask(rig, item, "override", "deploy>done it is live")
    await rig.run(item, until=600)
    assert (rig.stage(item), jobs(rig, "production")) == ("done", [])


# --- it says more than it should


async def test_staging_that_says_not_configured_is_a_word_all_the_same() -> None:
    rig, item = begin(keeps="Staging", staging={"template": POD})
    said = json.dumps({"conveyor": 1, "verdict": "pass", "summary": "NotConfigured"})
    rig.cluster.end_job(await at_work(rig, "Staging"), message=said)
    await rig.run(item, until=3600)
    assert (rig.stage(item), len([job for job in rig.jobs if "staging" in job])) == ("done", 1)


# --- what is deployed is another thing than an old cache says


async def test_rollback_goes_back_to_what_the_api_server_says_is_deployed() -> None:
    rig, item = begin(freeze=False)
    rig.crew.exits["Production"] = [1]
    await rig.run_until(lambda: rig.status(item).get("transition", {}).get("effect") == "Production")
    assert rig.process is not None
    seen = rig.process.seen

    def without_repositories(kind: str, event: str, obj: JSONObject) -> None:
        if kind != Kind.REPOSITORY:
            seen(kind, event, obj)

    rig.process.seen = without_repositories  # type: ignore[method-assign]  # its watch stands still
    newer = {"image": "registry.test/cart@sha256:" + "7" * 64, "sha": "7" * 40, "item": "other"}
    rig.cluster.store.set_status(Kind.REPOSITORY, SHOP, {"production": newer})
    await rig.run(item, until=3000)
    [rollback] = jobs(rig, "rollback")
    variables = rig.cluster.store.object(JOBS, rollback)["spec"]["template"]["spec"]["containers"][0]["env"]
    assert {"name": "CONVEYOR_PREVIOUS_IMAGE", "value": newer["image"]} in variables


# --- a later commit is deployed already


async def test_retry_of_a_failed_deploy_does_not_take_a_later_one_back() -> None:
    rig, cart = begin(serialGate={"mode": "Enabled", "onStalled": "Pass"})
    rig.crew.exits["Production"] = [1]
    await rig.run_until(lambda: rig.stage(cart) == "deploy" and stalled(rig, cart) == "DeployFailed")
    thaw = {"metadata": {"annotations": {"request.conveyor.dev/unfreeze": "u1 by=anna all"}}}
    rig.cluster.store.edit(Kind.REPOSITORY, SHOP, thaw)
    pear = rig.item("pear", title="A pear")
    await rig.run(pear, until=7200)
    assert rig.stage(pear) == "done"
    ask(rig, cart, "retry")
    await rig.run(cart, until=7200)
    production = rig.status(SHOP, Kind.REPOSITORY)["production"]
    assert (production["sha"], stalled(rig, cart)) == (rig.status(pear)["mergeSHA"], "DeployFailed")
    assert "has this commit in it" in rig.waiting(cart)[1]


async def test_deploy_waits_while_the_whole_repository_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """It answers 404 then, as it does for a commit that it does not have."""
    rig, item = begin()
    await rig.run_until(lambda: rig.stage(item) == "deploy")

    async def away(base: str, commit: str) -> bool:
        raise NotFound("repository")

    with monkeypatch.context() as patch:
        patch.setattr(rig.forge, "contains", away)
        await rig.run(item, until=600)
        assert (rig.waiting(item)[0], jobs(rig, "production")) == ("Forge", [])
    await rig.run(item, until=7200)
    assert rig.stage(item) == "done"
