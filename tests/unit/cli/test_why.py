"""`why`: whole screens for the common cases, and one line of the rest."""

import json
from typing import Any

import pytest

from tests.unit.cli.memory_api import MemoryApi
from tests.unit.cli.objects import active_run, ago, at, condition, item, last_run, repository, stalled, waiting
from tests.unit.cli.sessions import command

JOB = "shop-et-17-developer-4-abcd1234"
PULL = {"pullRequest": {"number": 7, "url": "https://git.test/acme/shop/pulls/7"}}


async def screen(status: dict[str, Any], *others: Any, repo: Any = None, line: str = "") -> dict[str, Any]:
    api = MemoryApi([item(status=status), *others], [repo or repository()])
    found: dict[str, Any] = json.loads((await command(api, f"why shop-et-17 -o json {line}")).output)["why"]
    return found


async def test_an_item_whose_agent_works_says_which_and_that_nothing_is_to_be_done() -> None:
    run = active_run(reason="CI is red: tests")
    status = at("development", activeRun=run, waiting=waiting("Run", "the developer is at work", on=("Job", JOB)))
    result = await command(MemoryApi([item(status=status)], [repository()]), "why shop-et-17")
    assert result.output == (
        "Item        shop-et-17\n"
        "Ticket      ET-17\n"
        "Stage       development\n"
        "Waits       Run\n"
        "Meaning     a run is at work, or about to start\n"
        "Message     the developer is at work\n"
        "Since       2026-03-02T11:57:00Z (3m ago)\n"
        "In stage    2026-03-02T11:30:00Z (30m ago)\n"
        f"On          Job {JOB}\n"
        "Details     developer, attempt 2: CI is red: tests\n"
        "By itself   its answer is read when the Job has ended\n"
        "More        docs/why-does-my-item-wait.md#Run\n"
        f"Next        nothing to do; to look: kubectl logs --follow --all-containers job/{JOB}\n"
    )


async def test_a_stalled_item_says_since_when_and_ends_with_the_command_that_moves_it() -> None:
    status = at("testing", **stalled("RetriesExhausted", "tests failed; the budget is used up (Testing 3 of 3)"))
    result = await command(MemoryApi([item(status=status)], [repository()]), "why shop-et-17 -n team")
    assert result.output == (
        "Item        shop-et-17\n"
        "Ticket      ET-17\n"
        "Stage       testing\n"
        "Waits       RetriesExhausted\n"
        "Meaning     the same work failed as often as the budget allows\n"
        "Message     tests failed; the budget is used up (Testing 3 of 3)\n"
        "Since       2026-03-02T11:48:00Z (12m ago)\n"
        "In stage    2026-03-02T11:30:00Z (30m ago)\n"
        "By itself   it goes on if the failed gate passes after all\n"
        "More        docs/why-does-my-item-wait.md#RetriesExhausted\n"
        "Next        kubectl workitem retry shop-et-17 -n team\n"
    )


async def test_an_item_in_a_queue_says_who_is_ahead_and_what_that_one_does() -> None:
    ahead = item("shop-et-9", status=at("review", waiting=waiting("Review")))
    found = await screen(at("created", waiting=waiting("EarlierItem", on=("Repository", "shop"))), ahead)
    assert found["details"] == "number 1 in the queue, after shop-et-9 (review: under way: waits for Review)"


async def test_a_dependency_is_shown_with_its_stage_and_its_own_trouble() -> None:
    needed = item("web-ab-3", repository="web", status=at("review", **stalled("CISilent")))
    status = at("created", waiting=waiting("Dependency", on=("WorkItem", "web-ab-3")))
    api = MemoryApi([item(status=status, spec={"dependsOn": [{"name": "web-ab-3"}]}), needed], [repository()])
    found = json.loads((await command(api, "why shop-et-17 -o json")).output)["why"]
    assert found["details"] == "web-ab-3 is in review: Stalled, CISilent"
    assert found["next"] == "nothing to do; to look: kubectl workitem why web-ab-3"


async def test_an_open_gate_names_the_pull_request_and_both_answers() -> None:
    status = at("deploy-staging", waiting=waiting("Approval", on=("Ticket", "ET-17")), **PULL)
    status["conditions"] = [condition("AwaitingApproval", "True", "GateOpen", "deploy_approved")]
    found = await screen(status)
    assert found["since"] == "2026-03-02T11:48:00Z"
    assert found["details"] == (
        'look at https://git.test/acme/shop/pulls/7; the other answer: kubectl workitem reject shop-et-17 "<reason>"'
    )
    assert found["next"] == "kubectl workitem approve shop-et-17"


async def test_the_forge_is_waited_for_because_the_repository_is_not_ready_a_person_is_needed() -> None:
    status = at("created", waiting=waiting("Forge", on=("Repository", "shop")))
    found = await screen(status, repo=repository(ready=("False", "BadCredentials", "the token is refused")))
    assert found["details"] == "the Repository is not Ready: BadCredentials: the token is refused"
    assert found["next"] == "kubectl describe repository.conveyor.dev shop"


async def test_the_forge_is_only_away_nothing_is_to_be_done() -> None:
    found = await screen(at("review", waiting=waiting("Forge")))
    assert found["next"] == "nothing to do; to look: kubectl workitem refresh shop-et-17"


@pytest.mark.parametrize(
    ("annotations", "command_line"),
    [
        ({"conveyor.dev/freeze": "x"}, "kubectl workitem unfreeze shop"),
        (
            {"conveyor.dev/freeze": "x", "conveyor.dev/freeze-until": "2027-01-01T00:00:00Z"},
            "nothing to do; to look: kubectl describe repository.conveyor.dev shop",
        ),
    ],
)
async def test_a_freeze_is_a_persons_matter_unless_it_has_an_end(
    annotations: dict[str, str], command_line: str
) -> None:
    status = at("created", waiting=waiting("RepositoryFrozen", on=("Repository", "shop")))
    assert (await screen(status, repo=repository(annotations=annotations)))["next"] == command_line


async def test_a_run_that_was_put_off_has_no_logs_to_look_at() -> None:
    found = await screen(at("development", waiting=waiting("Run", "the developer asked to wait"), lastRun=last_run()))
    assert found["next"] == "nothing to do; to look: kubectl workitem show shop-et-17"


def merging(phase: str) -> dict[str, Any]:
    intent = {"id": "t1", "from": "deploy-staging", "to": "deploy", "effect": "Merge", "phase": phase}
    owned = {"precondition": {}, "fencingToken": 4, "holder": "1b2c/ops.pod/9f", "deadlineTime": ago(minutes=-5)}
    return at("deploy-staging", transition=intent | owned, waiting=waiting("Merge"))


def held_by(other: dict[str, Any]) -> dict[str, Any]:
    text = f"Lease merge-shop is held by 1b2c/ops.pod/9f/{other['metadata']['uid']}: it goes on when that one is done"
    return at("deploy-staging", waiting=waiting("Lease", text, on=("Repository", "shop")))


async def test_a_lease_that_another_item_holds_leads_to_that_item() -> None:
    other = item("shop-et-9", status=merging("Prepared"))
    found = await screen(held_by(other), other)
    assert found["details"] == "behind shop-et-9 (deploy-staging)"
    assert found["next"] == "nothing to do; to look: kubectl workitem why shop-et-9"


async def test_a_lease_that_a_parked_merge_keeps_is_a_persons_matter() -> None:
    other = item("shop-et-9", status=merging("Unknown"))
    found = await screen(held_by(other), other)
    assert found["details"] == "behind shop-et-9; to go past it: kubectl workitem release-lease shop-et-9"
    assert found["next"] == "kubectl workitem why shop-et-9"


@pytest.mark.parametrize(
    ("phase", "following"),
    [
        ("Prepared", "nothing to do; to look: kubectl workitem why shop-et-9"),
        ("Unknown", "kubectl workitem why shop-et-9"),
    ],
)
async def test_a_deploy_under_way_leads_to_its_item_and_not_past_it(phase: str, following: str) -> None:
    deploying = merging(phase)
    other = item("shop-et-9", status=deploying | {"transition": deploying["transition"] | {"effect": "Production"}})
    text = "shop-et-9 has its Production under way: it goes on when the result of that is on record"
    found = await screen(at("deploy", waiting=waiting("Lease", text, on=("Repository", "shop"))), other)
    assert (found["details"], found["next"]) == ("behind shop-et-9 (deploy-staging)", following)


@pytest.mark.parametrize(
    ("message", "lease"),
    [
        ("Lease merge-shop is held by 1b2c/ops.pod/9f/gone: it goes on when", "merge-shop"),
        ("Lease deploy-shop cannot be taken now: 503", "deploy-shop"),
        ("Lease transition-u is held by 1b2c/ops.pod/9f/gone: it goes on when", "transition-uid-shop-et-17"),
    ],
)
async def test_a_lease_of_nobody_that_we_know_is_looked_at_itself(message: str, lease: str) -> None:
    found = await screen(at("deploy-staging", waiting=waiting("Lease", message, on=("Repository", "shop"))))
    assert (found["details"], found["next"]) == ("", f"nothing to do; to look: kubectl get lease {lease} -o yaml")


async def test_a_question_is_answered_on_the_ticket_first() -> None:
    asked = last_run("developer", "development", verdict="blocked", question="which colour?")
    found = await screen(at("development", waiting=waiting("Person", "the developer asks"), lastRun=asked))
    assert (found["details"], found["next"]) == (
        "answer on https://plane.test/ET-17 first",
        "kubectl workitem resume shop-et-17",
    )


async def test_slots_are_taken_who_is_at_work_is_named() -> None:
    busy = item("shop-et-9", status=at("review", activeRun=active_run("reviewer", "review"), waiting=waiting("Run")))
    status = at("development", waiting=waiting("RunSlot", on=("Repository", "shop")))
    found = await screen(status, busy, repo=repository(spec={"maxConcurrentRuns": 1}))
    assert found["details"] == "1 at once in this repository; at work here: shop-et-9"


async def test_an_item_that_nobody_looked_at_asks_whether_the_operator_runs() -> None:
    found = await screen({})
    assert found["meaning"] == "the operator has not looked at it yet"


async def test_an_ended_item_says_how_it_ended() -> None:
    entry = {"from": "deploy", "to": "done", "time": ago(hours=1), "actor": "conveyor", "cause": "deployed"}
    found = await screen(at("done", history=[entry]))
    assert (found["meaning"], found["details"], found["reason"]) == ("it has ended", "deployed", None)


async def test_a_cancelled_item_that_was_merged_after_all_says_what_a_person_has_to_see_to() -> None:
    found = await screen(at("cancelled", **stalled("MergedLate", "our own late request merged pull request #7")))
    assert "landed after that" in found["meaning"]
    assert (found["message"], found["next"]) == (
        "our own late request merged pull request #7",
        "kubectl workitem show shop-et-17",
    )


async def test_a_stall_of_a_newer_operator_is_admitted_not_to_be_known() -> None:
    found = await screen(at("review", **stalled("BrandNew")))
    assert "this version of the command does not know" in found["meaning"]


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (at("review", **stalled("CISilent")), 10),
        (at("analysis", waiting=waiting("Approval")), 10),
        (at("development", waiting=waiting("CI")), 0),
        (at("done"), 0),
    ],
    ids=["stalled", "approval", "ci", "done"],
)
async def test_the_exit_code_tells_whether_a_person_is_needed(status: dict[str, Any], code: int) -> None:
    api = MemoryApi([item(status=status)], [repository()])
    assert (await command(api, "why shop-et-17 --exit-code")).code == code
    assert (await command(api, "why shop-et-17")).code == 0


async def test_an_unreadable_item_is_refused_with_the_way_to_look_at_it() -> None:
    result = await command(MemoryApi([item(status=at("canary"))]), "why shop-et-17")
    assert result.code == 1
    assert result.notes.startswith("shop-et-17 cannot be read: status.stage: ")
    assert result.notes.endswith("to look: kubectl get workitem.conveyor.dev shop-et-17 -o yaml\n")


async def test_printed_commands_carry_the_options_that_were_given() -> None:
    status = at("analysis", waiting=waiting("Approval"))
    found = await screen(status, line="-n team --context prod")
    assert found["next"] == "kubectl workitem approve shop-et-17 -n team --context prod"


def watch(verdict: str, **fields: Any) -> dict[str, Any]:
    return {"monitor": {"untilTime": ago(minutes=-4), "verdict": verdict, **fields}}


async def test_an_item_that_waits_for_a_watch_says_whose_deploy_it_is_and_how_it_goes() -> None:
    deployer = item("shop-et-9", status=at("done", **watch("Watching", failures=1, message="page: it answered 500")))
    repo = repository(
        spec={"monitor": {"probes": [{"url": "https://shop.test"}]}},
        status={"activeItem": {"name": "shop-et-9", "uid": "uid-shop-et-9"}},
    )
    found = await screen(at("created", waiting=waiting("Monitor")), deployer, repo=repo)
    assert found["details"] == (
        "shop-et-9 is watched until 2026-03-02T12:04:00Z, 1 failed in a row: page: it answered 500"
    )
    assert found["next"] == "nothing to do; to look: kubectl workitem queue --repository shop"


@pytest.mark.parametrize(
    ("verdict", "says"),
    [
        ("Watching", "the deploy is watched until 2026-03-02T12:04:00Z"),
        ("Healthy", "the deploy was found healthy"),
        ("Degraded", "the deploy was found degraded: down"),
    ],
)
async def test_an_ended_item_says_what_the_watch_over_its_deploy_found(verdict: str, says: str) -> None:
    message = "down" if verdict == "Degraded" else ""
    assert (await screen(at("done", **watch(verdict, message=message))))["details"] == says
