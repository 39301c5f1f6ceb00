"""The Jobs: what a cluster under the restricted policy takes, what an agent never gets, what no setting replaces.

| property | of |
|---|---|
| one try, no restart, no service account token, restricted security, resources | every run |
| no forge token, no run token, no task source | the agent's container |
| a bound on every volume that is written to, and on each container's storage | every run |
| our variables win over the Repository's | agent and effect containers |
| finalizer, no owner, template of the Repository, the pod's time limit before the Job's | effects |
"""

from typing import Any

import pytest

from conveyor.api.objects import Repository, WorkItem
from conveyor.api.repository import Agent, Production
from conveyor.api.stages import Role, Stage
from conveyor.api.workitem import ActiveRun, Effect
from conveyor.cluster.protocol import JSONObject
from conveyor.engine.manifests import RunPlan, effect_job, run_job
from conveyor.pipeline.case import Case, Facts
from conveyor.pipeline.intents import Target, intended
from tests.unit.pipeline.builders import NOW, POLICY, gate, on_record, repository, sha
from tests.unit.pipeline.builders import item as some_item

RUN_TOKEN, HOSTILE = "0123456789abcdef", "$(touch /tmp/owned); `id` \x1b[31m"
OURS = {"CONVEYOR_ROLE": "evil", "CONVEYOR_ANSWER_FILE": "/etc/passwd", "CONVEYOR_SHA": "evil", "MODEL_KEY": "k"}


def plan(*, of: Repository | None = None, agent: JSONObject | None = None, task: str = "{}") -> RunPlan:
    run = ActiveRun(
        name="cart-developer-3-0a1b2c3d",
        role=Role.DEVELOPER,
        stage=Stage.DEVELOPMENT,
        attempt=2,
        token=RUN_TOKEN,
        started_time=NOW,
    )
    return RunPlan(
        item=item(),
        repository=of or repository(agentCredentialsSecretRef={"name": "agents"}),
        run=run,
        agent=Agent.model_validate({"role": "developer", "image": "agent:1", "timeoutSeconds": 600} | (agent or {})),
        task=task,
        token_key="developer",
        tools_image="tools:1",
    )


def item() -> WorkItem:
    return some_item(Stage.DEVELOPMENT)


def pod(job: JSONObject) -> JSONObject:
    found: JSONObject = job["spec"]["template"]["spec"]
    return found


def containers(job: JSONObject) -> dict[str, JSONObject]:
    return {entry["name"]: entry for entry in [*pod(job).get("initContainers", []), *pod(job)["containers"]]}


def env(container: JSONObject) -> dict[str, str]:
    """As the container sees it: the last of a name counts."""
    return {entry["name"]: entry.get("value", "") for entry in container["env"]}


def volumes_of(job: JSONObject, container: str) -> set[str]:
    return {mount["name"] for mount in containers(job)[container]["volumeMounts"]}


def test_run_is_tried_once_and_ends_in_time() -> None:
    spec = run_job(plan())["spec"]
    assert (spec["backoffLimit"], spec["activeDeadlineSeconds"]) == (0, 660)
    assert spec["template"]["spec"]["activeDeadlineSeconds"] == 600
    assert spec["template"]["spec"]["restartPolicy"] == "Never"
    assert "ttlSecondsAfterFinished" not in spec


def test_steps_run_in_their_order_and_publish_has_the_last_word() -> None:
    job = run_job(plan())
    assert [entry["name"] for entry in pod(job)["initContainers"]] == ["clone", "agent"]
    assert [entry["name"] for entry in pod(job)["containers"]] == ["publish"]


AGENTS: list[JSONObject] = [
    {},
    {"podTemplate": {"spec": {"nodeSelector": {"disk": "fast"}, "tolerations": [{"key": "agents"}]}}},
    {
        "podTemplate": {
            "spec": {
                "automountServiceAccountToken": True,
                "hostNetwork": False,
                "restartPolicy": "Always",
                "containers": [{"name": "publish", "image": "evil"}],
                "initContainers": [{"name": "clone", "image": "evil"}],
            }
        }
    },
]


@pytest.mark.parametrize("agent", AGENTS)
def test_pod_is_what_the_restricted_policy_takes(agent: JSONObject) -> None:
    job = run_job(plan(agent=agent))
    security = pod(job)["securityContext"]
    assert (security["runAsNonRoot"], security["seccompProfile"]) == (True, {"type": "RuntimeDefault"})
    for container in containers(job).values():
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"]


@pytest.mark.parametrize("agent", AGENTS)
def test_pod_template_of_an_agent_replaces_none_of_the_trusted_steps(agent: JSONObject) -> None:
    job = run_job(plan(agent=agent))
    assert pod(job)["automountServiceAccountToken"] is False
    assert pod(job)["restartPolicy"] == "Never"
    assert {name: entry["image"] for name, entry in containers(job).items()} == {
        "clone": "tools:1",
        "agent": "agent:1",
        "publish": "tools:1",
    }


def test_pod_template_of_an_agent_keeps_what_is_its_own() -> None:
    job = run_job(plan(agent=AGENTS[1]))
    assert (pod(job)["nodeSelector"], pod(job)["tolerations"]) == ({"disk": "fast"}, [{"key": "agents"}])


def test_agent_gets_no_token_and_shares_only_tree_task_and_answer() -> None:
    job = run_job(plan())
    assert volumes_of(job, "agent") == {"workspace", "answer", "task"}
    told = str(containers(job)["agent"])
    assert RUN_TOKEN not in told
    assert "TOKEN" not in told


def test_forge_token_is_one_key_of_one_secret_and_the_run_token_is_for_publish_alone() -> None:
    job = run_job(plan())
    volumes = {volume["name"]: volume for volume in pod(job)["volumes"]}
    assert volumes["forge"]["secret"] == {"secretName": "agents", "items": [{"key": "developer", "path": "token"}]}
    assert [name for name in containers(job) if "forge" in volumes_of(job, name)] == ["clone", "publish"]
    assert [name for name in containers(job) if "run" in volumes_of(job, name)] == ["publish"]


def test_no_variable_of_a_repository_replaces_one_of_ours() -> None:
    own = [{"name": name, "value": value} for name, value in OURS.items()]
    job = run_job(plan(agent={"env": own}))
    seen = env(containers(job)["agent"])
    assert (seen["CONVEYOR_ROLE"], seen["MODEL_KEY"]) == ("developer", "k")
    assert seen["CONVEYOR_ANSWER_FILE"].endswith("/answer.json")
    assert len(containers(job)["agent"]["env"]) == len({entry["name"] for entry in containers(job)["agent"]["env"]})


def test_text_of_tickets_is_in_an_annotation_and_nowhere_else() -> None:
    job = run_job(plan(task=HOSTILE))
    assert job["spec"]["template"]["metadata"]["annotations"]["conveyor.dev/task"] == HOSTILE
    job["spec"]["template"]["metadata"].pop("annotations")
    assert HOSTILE not in str(job)


def test_run_belongs_to_its_item_and_says_whose_it_is() -> None:
    metadata = run_job(plan())["metadata"]
    (owner,) = metadata["ownerReferences"]
    assert (owner["kind"], owner["uid"], owner["controller"]) == ("WorkItem", item().metadata.uid, True)
    assert metadata["labels"]["conveyor.dev/workitem-uid"] == item().metadata.uid
    assert metadata["labels"]["conveyor.dev/role"] == "developer"


def test_queue_name_is_kueues_label() -> None:
    job = run_job(plan(of=repository(queueName="agents")))
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "agents"


def room(job: JSONObject) -> dict[str, str]:
    """Of each volume that the pod writes to."""
    return {volume["name"]: volume["emptyDir"]["sizeLimit"] for volume in pod(job)["volumes"] if "emptyDir" in volume}


def test_run_fills_no_disk_of_its_node() -> None:
    job = run_job(plan())
    assert room(job) == {"workspace": "8Gi", "state": "4Gi", "tmp": "4Gi", "answer": "64Mi", "task": "16Mi"}
    for container in containers(job).values():
        storage = {part: container["resources"][part]["ephemeral-storage"] for part in ("requests", "limits")}
        assert storage == {"requests": "1Gi", "limits": "8Gi"}


@pytest.mark.parametrize(
    ("given", "requests", "limits", "tree"),
    [
        ({"limits": {"cpu": "2"}}, "1Gi", "8Gi", "8Gi"),
        ({"requests": None, "limits": {"memory": "2Gi"}}, "1Gi", "8Gi", "8Gi"),
        ({"limits": {"ephemeral-storage": "40Gi"}}, None, "40Gi", "40Gi"),
        ({"requests": {"ephemeral-storage": "20Gi"}}, "20Gi", None, "8Gi"),
    ],
    ids=["other limits", "with a null", "its own limit is the tree's too", "its own request alone"],
)
def test_agent_says_how_much_room_it_needs(
    given: JSONObject, requests: str | None, limits: str | None, tree: str
) -> None:
    job = run_job(plan(agent={"resources": given}))
    resources = containers(job)["agent"]["resources"]
    found = [(resources.get(part) or {}).get("ephemeral-storage") for part in ("requests", "limits")]
    assert (*found, room(job)["workspace"]) == (requests, limits, tree)


# --- effects

IMAGE, BEFORE = (f"registry.example/cart@sha256:{digit * 64}" for digit in "12")


def made(effect: Effect, template: JSONObject) -> JSONObject:
    """The Job of an effect, of an item whose image is built, in a Repository that deployed another before."""
    build = {"image": {"enabled": True, "repository": "registry.example/cart", "template": template}}
    deploy = {"template": template, "rollbackTemplate": template, "timeoutSeconds": 300}
    of = repository(gates=build, staging={"template": template, "timeoutSeconds": 200}, deploy=deploy)
    of = on_record(of, production=Production(image=BEFORE, sha=sha("before")))
    built = some_item(Stage.DEPLOY, gates=(gate("image_fresh"),), image=IMAGE)
    case = Case(built, of, Facts(), POLICY, NOW)
    status = intended(case, case.status, Target(effect=effect, to=Stage.DONE, head_sha=sha("merged")))
    assert status.transition is not None
    return effect_job(built, of, status.transition)


def production(template: JSONObject) -> JSONObject:
    return made(Effect.PRODUCTION, template)


TEMPLATE: dict[str, Any] = {
    "metadata": {"labels": {"team": "shop"}},
    "spec": {
        "serviceAccountName": "deployer",
        "containers": [{"name": "deploy", "image": "d:1", "env": [{"name": "CONVEYOR_SHA", "value": "evil"}]}],
    },
}


def test_deploy_is_the_repositorys_own_pod_held_until_its_result_is_stored() -> None:
    job = production(TEMPLATE)
    assert job["metadata"].get("finalizers") == ["conveyor.dev/result"]
    assert "ownerReferences" not in job["metadata"]
    assert "podFailurePolicy" not in job["spec"]
    assert (pod(job)["serviceAccountName"], pod(job)["restartPolicy"]) == ("deployer", "Never")
    assert job["spec"]["template"]["metadata"]["labels"]["team"] == "shop"


def test_deploy_knows_the_merged_commit_whatever_its_template_says() -> None:
    (container,) = pod(production(TEMPLATE))["containers"]
    assert env(container)["CONVEYOR_SHA"] == sha("merged")
    assert container["terminationMessagePath"] == env(container)["CONVEYOR_TERMINATION_FILE"]


@pytest.mark.parametrize(
    ("effect", "image"),
    [
        (Effect.IMAGE, "registry.example/cart"),
        (Effect.STAGING, IMAGE),
        (Effect.PRODUCTION, IMAGE),
        (Effect.ROLLBACK, IMAGE),
    ],
    ids=str,
)
def test_job_is_told_commit_images_and_whose_it_is(effect: Effect, image: str) -> None:
    job = made(effect, TEMPLATE)
    (container,) = pod(job)["containers"]
    seen = env(container)
    assert (seen["CONVEYOR_SHA"], seen["CONVEYOR_IMAGE"], seen["CONVEYOR_PREVIOUS_IMAGE"]) == (
        sha("merged"),
        image,
        BEFORE,
    )
    assert seen["CONVEYOR_TRANSITION_ID"].startswith(job["metadata"]["name"].rpartition("-")[2])
    assert seen["CONVEYOR_WORKITEM"] == "shop-et-17"
    assert job["metadata"]["labels"]["conveyor.dev/effect"] == effect.value


def test_image_of_another_commit_is_nobodys_to_deploy() -> None:
    older = some_item(Stage.DEPLOY, gates=(gate("image_fresh", head_sha=sha("older")),), image=IMAGE)
    case = Case(older, repository(), Facts(), POLICY, NOW)
    status = intended(case, case.status, Target(effect=Effect.PRODUCTION, to=Stage.DONE, head_sha=sha("merged")))
    assert status.transition is not None
    (container,) = pod(effect_job(older, repository(deploy={"template": TEMPLATE}), status.transition))["containers"]
    assert env(container)["CONVEYOR_IMAGE"] == ""


@pytest.mark.parametrize(
    ("effect", "own", "seconds"),
    [
        (Effect.IMAGE, None, 1800),
        (Effect.IMAGE, 4000, 4000),
        (Effect.STAGING, None, 200),
        (Effect.PRODUCTION, None, 300),
        (Effect.ROLLBACK, None, 300),
        (Effect.PRODUCTION, 100, 100),
        (Effect.PRODUCTION, 4000, 300),
    ],
)
def test_pod_ends_in_time_and_its_job_a_minute_after_the_limit(effect: Effect, own: int | None, seconds: int) -> None:
    template = {"spec": TEMPLATE["spec"] | ({"activeDeadlineSeconds": own} if own is not None else {})}
    job = made(effect, template)
    limit = 300 if own == 100 else seconds
    assert (pod(job)["activeDeadlineSeconds"], job["spec"]["activeDeadlineSeconds"]) == (seconds, limit + 60)


def test_template_of_a_repository_is_not_changed_by_its_use() -> None:
    production(TEMPLATE)
    assert TEMPLATE["spec"]["containers"][0]["env"] == [{"name": "CONVEYOR_SHA", "value": "evil"}]
