"""`show`: a whole item, and an item of which little is known."""

import json

from tests.unit.cli.memory_api import MemoryApi
from tests.unit.cli.objects import BASE, HEAD, active_run, ago, at, item, last_run, repository, waiting
from tests.unit.cli.sessions import command

FULL = item(
    spec={"dependsOn": [{"name": "shop-et-9"}], "priority": 2, "suspend": True},
    status=at(
        "development",
        waiting=waiting("Run", "the developer is at work", on=("Job", "shop-et-17-developer-4-abcd1234")),
        branch="feature/ET-17-mend",
        baseBranch="main",
        baseSHA=BASE,
        headSHA=HEAD,
        pullRequest={"number": 7, "url": "https://git.test/acme/shop/pulls/7"},
        runs=4,
        activeRun=active_run(reason="CI is red: tests"),
        lastRun=last_run(),
        attempts=[{"cause": "CI", "count": 2, "sha": HEAD}, {"cause": "HeadMoved", "count": 1}],
        gates=[
            {"name": "analysis_complete", "passed": True, "headSHA": BASE, "checkedTime": ago(hours=1)},
            {
                "name": "ci_green",
                "passed": False,
                "headSHA": HEAD,
                "reason": "CI is red",
                "checkedTime": ago(minutes=4),
            },
        ],
        approval={"gate": "analysis_approved", "headSHA": BASE, "openedTime": "2026-03-02T11:00:00Z"},
        transition={
            "id": "abc",
            "from": "development",
            "to": "review",
            "effect": "OpenPullRequest",
            "phase": "Prepared",
            "precondition": {},
            "fencingToken": 3,
            "holder": "pod/main/1",
            "deadlineTime": "2026-03-02T12:15:00Z",
        },
        handledRequests=[{"verb": "retry", "id": "r1", "result": "Accepted", "time": ago(minutes=6)}],
        history=[
            {"to": "created", "time": ago(hours=5), "actor": "conveyor", "cause": "seen"},
            {"from": "created", "to": "analysis", "time": ago(hours=4), "actor": "conveyor", "cause": "admitted"},
        ],
    ),
)


FULL_TEXT = f"""\
Name         shop-et-17
Namespace    team
Key          ET-17
Ticket       https://plane.test/ET-17
Repository   shop
Priority     2
Depends on   shop-et-9
Stage        development
Since        2026-03-02T11:30:00Z (30m ago)
Waiting      Run
On           Job shop-et-17-developer-4-abcd1234
Message      the developer is at work
Held         spec.suspend
Created      2026-03-02T07:00:00Z (5h ago)

Work
Branch         feature/ET-17-mend
Base           main at 0ddba11c0ddb
Head           {HEAD}
Pull request   #7 https://git.test/acme/shop/pulls/7

A person has to approve
Gate     analysis_approved
Commit   {BASE}
Opened   2026-03-02T11:00:00Z

Side effect under way
Effect     OpenPullRequest
To         review
Phase      Prepared
Holder     pod/main/1
Deadline   2026-03-02T12:15:00Z (in 15m)
Id         abc

Gates
GATE                STATE           COMMIT         CHECKED   REASON
analysis_complete   passed          0ddba11c0ddb   60m       -
ci_green            open            f00dfeedf00d   4m        CI is red
pull_request_open   not asked yet   -              -         -

Runs
RUN                               ROLE        STAGE         ATTEMPT   VERDICT   STARTED   FINISHED   SUMMARY
shop-et-17-developer-4-abcd1234   developer   development   2         at work   3m        -          CI is red: tests
shop-et-17-analyst-3-abcd1234     analyst     analysis      -         pass      25m       20m        wrote it down

Rework charged
CAUSE       USED   CAP   COMMIT
CI          2      3     f00dfeedf00d
HeadMoved   1      3     -
total       2      6     -

History
FROM      TO         AGE   BY         CAUSE
-         created    5h    conveyor   seen
created   analysis   4h    conveyor   admitted

Requests answered
VERB    ID   AGE   RESULT
retry   r1   6m    Accepted
"""


async def test_a_full_item_is_shown_with_all_its_parts() -> None:
    result = await command(MemoryApi([FULL], [repository()]), "show shop-et-17")
    assert result.output == FULL_TEXT


async def test_parts_that_are_not_there_are_left_out() -> None:
    result = await command(MemoryApi([item(status=at("created"))], [repository()]), "show shop-et-17 -o json")
    assert list(json.loads(result.output)) == ["item"]


async def test_without_its_repository_an_item_is_shown_without_caps() -> None:
    result = await command(MemoryApi([FULL]), "show shop-et-17 -o json")
    assert {row["cap"] for row in json.loads(result.output)["budget"]} == {None}


async def test_secrets_of_a_run_are_not_shown() -> None:
    for form in ("table", "wide", "json"):
        assert "run-token" not in (await command(MemoryApi([FULL]), f"show shop-et-17 -o {form}")).output


async def test_a_watch_over_the_deploy_is_shown_with_what_it_found() -> None:
    found = {"untilTime": ago(minutes=-4), "verdict": "Degraded", "failures": 3, "message": "down", "freezeID": "f1"}
    result = await command(MemoryApi([item(status=at("done", monitor=found))], [repository()]), "show shop-et-17")
    assert result.output.endswith(
        "Watch over the deploy\n"
        "Verdict   Degraded\n"
        "Until     2026-03-02T12:04:00Z (in 4m)\n"
        "Failed    3\n"
        "Found     down\n"
        "Freeze    f1\n"
    )


async def test_a_gate_that_is_not_configured_has_not_passed() -> None:
    word = {"passed": True, "headSHA": HEAD, "checkedTime": ago(minutes=4)}
    gates = [{"name": "image_fresh", "reason": "NotConfigured", **word}, {"name": "tests_passed", **word}]
    shown = item(status=at("deploy-staging", gates=gates))
    rows = json.loads((await command(MemoryApi([shown], [repository()]), "show shop-et-17 -o json")).output)["gates"]
    states = {row["name"]: row["state"] for row in rows}
    assert (states["image_fresh"], states["tests_passed"]) == ("not configured", "passed")


async def test_a_command_in_the_message_is_about_the_same_namespace() -> None:
    text = "spec.suspend is set: kubectl workitem resume shop-et-17 takes it back"
    shown = MemoryApi([item(status=at("review", waiting=waiting("Suspended", text)))], [repository()])
    wanted = "spec.suspend is set: kubectl workitem resume shop-et-17 -n team takes it back"
    assert wanted in (await command(shown, "show shop-et-17 -n team")).output
    assert wanted in (await command(shown, "why shop-et-17 -n team")).output
    assert text in (await command(shown, "why shop-et-17")).output
