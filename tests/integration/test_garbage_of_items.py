"""What goes with a WorkItem, by the cluster's own garbage collector: its runs go, a deploy at work stays."""

import os
from pathlib import Path

import anyio
import pytest

from conveyor.api.objects import WorkItem
from conveyor.api.stages import Stage
from conveyor.api.workitem import Effect, TransitionJob
from conveyor.cluster.client import KubernetesCluster
from conveyor.cluster.connection import from_kubeconfig
from conveyor.cluster.protocol import JSONObject, Key, Kind, Won
from conveyor.engine.manifests import RunPlan, effect_job, run_job
from conveyor.pipeline.facts import JobState
from tests.integration.crd_objects import HAND_MADE
from tests.unit.pipeline import builders

POD: JSONObject = {"spec": {"containers": [{"name": "work", "image": "example.invalid/x"}]}}
REPOSITORY = builders.repository(deploy={"template": POD})
SECONDS = 120
"""The collector learns of a new kind of owner every 30 s, which no flag changes (kube-controller-manager, 1.34)."""


def run_of(item: WorkItem) -> JSONObject:
    run = builders.active_run(Stage.DEVELOPMENT, name="run")
    agent = next(agent for agent in REPOSITORY.spec.agents if agent.role == run.role)
    return run_job(RunPlan(item, REPOSITORY, run, agent, task="{}", token_key="token", tools_image="x"))


def deploy_of(item: WorkItem) -> JSONObject:
    intent = builders.transition(Effect.PRODUCTION, job=TransitionJob(name="deploy"))
    return effect_job(item, REPOSITORY, intent)


@pytest.mark.skipif(
    not os.environ.get("CONVEYOR_TEST_ALL"),
    reason="the garbage collector may take 45 s to learn of a new kind of owner: CONVEYOR_TEST_ALL=1 waits for it",
)
@pytest.mark.usefixtures("crds")
async def test_runs_of_a_deleted_item_go_and_its_deploy_stays(kubeconfig: Path, namespace: str) -> None:
    async with await from_kubeconfig(kubeconfig) as connection:
        cluster, key = KubernetesCluster(connection), Key(namespace, "one")
        manifest = {"apiVersion": "conveyor.dev/v1alpha1", "kind": "WorkItem", "spec": HAND_MADE}
        made = await cluster.create(Kind.WORKITEM, manifest | {"metadata": {"name": "one", "namespace": namespace}})
        assert isinstance(made, Won)
        item = WorkItem.model_validate(made.object)
        for job in (run_of(item), deploy_of(item)):
            assert isinstance(await cluster.create_job(job), Won)
        await cluster.delete(Kind.WORKITEM, key, uid=item.metadata.uid)
        with anyio.fail_after(SECONDS):
            while True:
                run = await cluster.job(Key(namespace, "run"), with_message=True)
                if run.state == JobState.MISSING:
                    break
                await anyio.sleep(0.2)
        deploy = await cluster.job(Key(namespace, "deploy"), with_message=False)
        assert deploy.state == JobState.ACTIVE
        await cluster.release_job(Key(namespace, "deploy"))
