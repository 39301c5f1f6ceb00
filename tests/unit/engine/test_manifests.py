"""The Jobs as built, where a Repository's own pod template wants something else than we do."""

import json
from typing import Any

import pytest

from conveyor.api.repository import Agent
from conveyor.api.stages import Role, Stage
from conveyor.api.workitem import Effect
from conveyor.cluster.protocol import JSONObject
from conveyor.engine.manifests import RunPlan, effect_job, run_job
from conveyor.web.errors import Refused
from tests.unit.pipeline import builders

EVIL = {"name": "publish", "image": "evil:1", "command": ["sh"]}


def run(**agent: Any) -> JSONObject:
    """The spec of a run's pod."""
    plan = RunPlan(
        item=builders.item(Stage.DEVELOPMENT),
        repository=builders.AUTO,
        run=builders.active_run(Stage.DEVELOPMENT),
        agent=Agent.model_validate({"role": Role.DEVELOPER, "image": "agent:1"} | agent),
        task="{}",
        token_key="developer",
        tools_image="tools:1",
    )
    pod: JSONObject = run_job(plan)["spec"]["template"]["spec"]
    return pod


def production(template: JSONObject) -> JSONObject:
    item, intent = builders.item(Stage.DEPLOY), builders.transition(Effect.PRODUCTION)
    return effect_job(item, builders.AUTO, intent, template=template)


@pytest.mark.parametrize(
    "spec",
    [
        {"containers": [EVIL], "initContainers": [EVIL]},
        {"automountServiceAccountToken": True},
        {"shareProcessNamespace": True},
        {"hostPID": True},
        {"securityContext": {"runAsUser": 0, "runAsNonRoot": False}},
        {"restartPolicy": "Always"},
    ],
)
def test_pod_template_takes_nothing_from_the_trusted_steps(spec: JSONObject) -> None:
    assert run(podTemplate={"spec": spec}) == run()


def test_pod_template_adds_volumes_that_no_container_mounts() -> None:
    pod, plain = run(podTemplate={"spec": {"volumes": [{"name": "host", "hostPath": {"path": "/"}}]}}), run()
    assert pod["volumes"] == [*plain["volumes"], {"name": "host", "hostPath": {"path": "/"}}]
    assert pod["initContainers"] == plain["initContainers"]
    assert pod["containers"] == plain["containers"]


def test_agent_has_neither_forge_token_nor_run_token() -> None:
    agent = run()["initContainers"][1]
    assert {mount["name"] for mount in agent["volumeMounts"]} == {"workspace", "answer", "task"}
    assert not {entry["name"] for entry in agent["env"]} & {"CONVEYOR_FORGE_TOKEN_FILE", "CONVEYOR_RUN_TOKEN_FILE"}


def test_agent_environment_replaces_none_of_ours() -> None:
    plain = run()["initContainers"][1]
    given = run(env=[{"name": "CONVEYOR_ANSWER_FILE", "value": "/tmp/x"}])["initContainers"][1]
    assert given == plain


@pytest.mark.parametrize(
    "nulls",
    [
        {"metadata": None, "spec": None},
        {"metadata": {"annotations": None, "labels": None}},
        {"spec": {"volumes": None, "securityContext": None}},
    ],
)
def test_nulls_of_a_pod_template_are_as_good_as_absent(nulls: JSONObject) -> None:
    assert run(podTemplate=nulls) == run()


def test_nulls_of_an_effect_template_are_as_good_as_absent() -> None:
    bare = {"name": "deploy", "image": "deploy:1"}
    nulls = {"metadata": {"labels": None}, "spec": {"initContainers": None, "containers": [bare | {"env": None}]}}
    assert production(nulls) == production({"spec": {"containers": [bare]}})


@pytest.mark.parametrize(
    "template",
    [
        {"metadata": "x"},
        {"metadata": {"annotations": ["x"]}},
        {"spec": ["x"]},
        {"spec": {"containers": ["s3cret"]}},
        {"spec": {"containers": {"name": "deploy"}}},
        {"spec": {"initContainers": [{"env": ["A=s3cret"]}]}},
    ],
    ids=json.dumps,
)
def test_what_is_no_pod_template_is_refused_without_repeating_it(template: JSONObject) -> None:
    with pytest.raises(Refused, match="the template of Production") as refused:
        production(template)
    assert "s3cret" not in str(refused.value)
    with pytest.raises(Refused, match="podTemplate of the agent developer"):
        run(podTemplate=template)
