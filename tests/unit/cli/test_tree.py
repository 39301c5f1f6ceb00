"""`tree`: what hangs on an item, in whole tables, and what is left out where the user has no right to see it."""

import json
from typing import Any

from conveyor.cli.api import JSONObject
from tests.unit.cli.memory_api import MemoryApi
from tests.unit.cli.objects import NAMESPACE, active_run, ago, at, item, stalled, waiting
from tests.unit.cli.sessions import command

UID = "uid-shop-et-17"
RUN = active_run()["name"]
HOLDER = f"pod-1/manager/n0nce/{UID}"
TRANSITION = {
    "id": "t1",
    "from": "deploy",
    "to": "done",
    "effect": "Production",
    "phase": "Prepared",
    "job": {"name": "shop-et-17-production-t1", "uid": "j"},
    "precondition": {},
    "fencingToken": 4,
    "holder": HOLDER,
    "deadlineTime": ago(minutes=-5),
}


def needs(*names: str) -> dict[str, Any]:
    return {"dependsOn": [{"name": name} for name in names]}


def job(name: str, *, uid: str = UID, ended: str = "", **labels: str) -> JSONObject:
    found = {"conveyor.dev/workitem": "shop-et-17", "conveyor.dev/workitem-uid": uid}
    found |= {f"conveyor.dev/{key}": value for key, value in labels.items()}
    metadata = {"name": name, "namespace": NAMESPACE, "labels": found, "creationTimestamp": ago(minutes=3)}
    conditions = [{"type": ended, "status": "True"}] if ended else []
    return {"metadata": metadata, "status": {"conditions": conditions}}


def lease(name: str, holder: str) -> JSONObject:
    metadata = {"name": name, "namespace": NAMESPACE, "labels": {"conveyor.dev/repository": "shop"}}
    return {"metadata": metadata, "spec": {"holderIdentity": holder, "acquireTime": ago(minutes=2)}}


async def test_a_tree_shows_items_jobs_effect_and_leases() -> None:
    whole = item(spec=needs("shop-et-3"), status=at("deploy", transition=TRANSITION, waiting=waiting("Deploy")))
    others = [
        item("shop-et-3", spec=needs("web-ab-1", "shop-et-9"), status=at("review", **stalled("CISilent"))),
        item("web-ab-1", repository="web", status=at("done")),
        item("shop-et-20", spec=needs("shop-et-17"), status=at("created", waiting=waiting("Dependency"))),
    ]
    jobs = [
        job("shop-et-17-developer-2-aa", ended="Failed", role="developer", attempt="2"),
        job("shop-et-17-production-t1", effect="Production"),
        job("shop-et-17-image-t0", ended="Complete", effect="Image"),
        job("namesake", uid="another", role="tester"),
    ]
    leases = [lease(f"transition-{UID}", HOLDER), lease("merge-shop", "pod-1/manager/n0nce/uid-another")]
    result = await command(MemoryApi([whole, *others], jobs=jobs, leases=leases), "tree shop-et-17")
    assert result.output == (
        "NAME                           KIND       RELATION    STATE       AGE   MESSAGE\n"
        "shop-et-17                     WorkItem   -           deploy      5h    waits for Deploy\n"
        "  shop-et-3                    WorkItem   needs       review      5h    Stalled: CISilent\n"
        "    shop-et-9                  WorkItem   needs       missing     -     -\n"
        "    web-ab-1                   WorkItem   needs       done        5h    -\n"
        "  shop-et-20                   WorkItem   needed by   created     5h    waits for Dependency\n"
        "  shop-et-17-developer-2-aa    Job        run         failed      3m    developer, attempt 2\n"
        f"  Production                   Effect     effect      under way   -     deploy -> done, held by {HOLDER}\n"
        "    shop-et-17-production-t1   Job        effect      at work     3m    Production\n"
        "  shop-et-17-image-t0          Job        effect      complete    3m    Image\n"
        f"  transition-{UID}    Lease      lease       held        2m    by {HOLDER}\n"
    )


async def test_what_is_on_record_and_not_seen_is_told() -> None:
    whole = item(status=at("development", activeRun=active_run()))
    result = await command(MemoryApi([whole]), "tree shop-et-17")
    last = result.output.splitlines()[-1].split()
    assert last[:5] == [RUN, "Job", "run", "claimed", "3m"]
    assert " ".join(last[5:]) == "developer, attempt 2: on record, its Job is not seen"


async def test_a_circle_is_followed_once() -> None:
    circle = [item("shop-et-17", spec=needs("shop-et-18")), item("shop-et-18", spec=needs("shop-et-17"))]
    rows = json.loads((await command(MemoryApi(circle), "tree shop-et-17 -o json")).output)["tree"]
    assert [(row["depth"], row["name"], row["relation"]) for row in rows] == [
        (0, "shop-et-17", ""),
        (1, "shop-et-18", "needs"),
        (2, "shop-et-17", "needs"),
        (1, "shop-et-18", "needed by"),
        (2, "shop-et-17", "needed by"),
    ]
    assert rows[2]["message"] == "as above"


async def test_names_are_of_work_items_alone() -> None:
    whole = item(spec=needs("shop-et-3"), status=at("deploy", transition=TRANSITION))
    result = await command(MemoryApi([whole, item("shop-et-3")]), "tree shop-et-17 -o name")
    assert result.output == "workitem.conveyor.dev/shop-et-17\nworkitem.conveyor.dev/shop-et-3\n"


async def test_without_the_right_to_list_jobs_and_leases_the_items_are_shown() -> None:
    result = await command(MemoryApi([item()], may_list=False), "tree shop-et-17")
    assert (result.code, len(result.output.splitlines())) == (0, 2)
    assert result.notes == ("Jobs are not shown: you may not list them\nLeases are not shown: you may not list them\n")


async def test_an_item_of_a_newer_operator_is_shown_as_unreadable_among_the_others() -> None:
    newer = item("shop-et-3", status=at("canary"))
    result = await command(MemoryApi([item(spec=needs("shop-et-3")), newer]), "tree shop-et-17")
    assert "cannot be read" in result.output.splitlines()[2]
