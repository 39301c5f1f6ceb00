"""Tickets: starts that nobody told us of, changes of people that count once, and what a ticket shows of its item."""

from itertools import count, pairwise

import pytest

from conveyor.cluster.protocol import Key, Kind
from conveyor.web.errors import RateLimited
from tests.fakes.memory_cluster import Fault
from tests.fakes.memory_faults import CallFault
from tests.unit.engine.rig import NAMESPACE, SHOP, TRACKER, Rig

PERSON = {"approval": {"analysis": "Person", "deploy": "Person"}}
AUTO = {"approval": {"analysis": "Auto", "deploy": "Auto"}}
ITEM = Key(NAMESPACE, "shop-et-17")


@pytest.fixture
def rig() -> Rig:
    rig = Rig()
    rig.repository(tracker=TRACKER, gates=PERSON)
    return rig


def items(rig: Rig) -> list[str]:
    return [key.name for key in rig.cluster.store.keys(Kind.WORKITEM)]


def state(rig: Rig) -> str:
    return rig.tracker.tickets["ticket-17"].state_id


def comments(rig: Rig) -> list[str]:
    return [comment.text for comment in rig.tracker.said.get("ticket-17", [])]


# --- starts


async def test_ticket_in_a_starting_state_gets_its_item_and_others_get_none(rig: Rig) -> None:
    rig.tracker.add(16, "Not yet")
    rig.tracker.add(17, "A cart", state="To Analyse")
    await rig.run(until=60)
    assert items(rig) == ["shop-et-17"]
    source = rig.cluster.store.object(Kind.WORKITEM, ITEM)["spec"]["source"]
    assert (source["key"], source["issueID"], source["url"]) == ("ET-17", "ticket-17", "https://plane.test/17")


async def test_ticket_started_later_is_found_within_an_interval(rig: Rig) -> None:
    rig.tracker.add(17, "A cart")
    await rig.run(until=60)
    assert items(rig) == []
    rig.tracker.move("ticket-17", "To Analyse")
    await rig.run(until=31)
    assert items(rig) == ["shop-et-17"]


async def test_project_of_a_repository_made_later_is_polled_too() -> None:
    rig = Rig()
    rig.tracker.add(17, "A cart", state="To Analyse")
    await rig.run(until=60)
    rig.repository(tracker=TRACKER)
    await rig.run(until=31)
    assert items(rig) == ["shop-et-17"]


@pytest.mark.parametrize("fault", [Fault.REQUEST_LOST, Fault.ANSWER_LOST, Fault.UNAVAILABLE])
async def test_item_that_nobody_knows_to_be_made_is_made_once_in_the_end(rig: Rig, fault: Fault) -> None:
    rig.tracker.add(17, "A cart", state="To Analyse")
    rig.tracker.add(18, "Later")
    rig.cluster.fail_next("create", fault)
    await rig.run(until=120)
    assert items(rig) == ["shop-et-17"]
    assert len(rig.cluster.writes_of("create")) == 1


async def test_key_that_gives_no_name_is_passed_over(rig: Rig) -> None:
    long = rig.repository("r" * 50, tracker=TRACKER)
    rig.cluster.store.remove(Kind.REPOSITORY, SHOP)
    rig.tracker.add(17, "A cart", state="To Analyse")
    await rig.run(until=60)
    assert rig.condition(long)[0] == "True"
    assert items(rig) == []
    assert rig.told.failures == []


async def test_unforeseen_error_in_one_project_ends_no_poll(rig: Rig) -> None:
    rig.tracker.add(17, "A cart", state="To Analyse")
    rig.tracker.refusal = KeyError("nobody thought of it")
    await rig.run(until=60)
    assert rig.told.failures
    rig.tracker.refusal = None
    await rig.run(until=60)
    assert items(rig) == ["shop-et-17"]


async def test_quiet_project_costs_one_read_an_interval_and_nothing_else(rig: Rig) -> None:
    rig.tracker.add(17, "A cart")
    await rig.run(until=60)
    written = len(rig.cluster.writes)
    await rig.run(until=600)
    assert len(rig.cluster.writes) == written
    assert rig.tracker.calls.effects == []


# --- verdicts


async def to_the_gate(rig: Rig) -> None:
    rig.tracker.add(17, "A cart", state="To Analyse")
    await rig.run(until=120)
    assert rig.waiting(ITEM)[0] == "Approval"
    assert state(rig) == "Needs Input"


async def test_rejection_sends_the_analyst_back_once(rig: Rig) -> None:
    await to_the_gate(rig)
    rig.tracker.move("ticket-17", "Rejected")
    await rig.run(until=300)
    assert rig.waiting(ITEM)[0] == "Approval"
    assert [job.split("-")[3] for job in rig.jobs] == ["analyst", "analyst"]
    assert state(rig) == "Needs Input"


async def test_ticket_edited_at_the_gate_is_asked_about_again(rig: Rig) -> None:
    await to_the_gate(rig)
    before = rig.status(ITEM)["approval"]
    rig.tracker.edit("ticket-17", "Something else entirely")
    rig.tracker.move("ticket-17", "Approved")
    await rig.run(until=120)
    assert rig.stage(ITEM) == "analysis"
    assert rig.status(ITEM)["approval"]["textDigest"] != before["textDigest"]


@pytest.mark.parametrize("fault", [Fault.OVERTAKEN, Fault.REQUEST_LOST, Fault.UNAVAILABLE])
async def test_verdict_is_not_forgotten_when_its_write_goes_wrong(rig: Rig, fault: Fault) -> None:
    await to_the_gate(rig)
    rig.tracker.move("ticket-17", "Approved")
    rig.cluster.fail_next("patch_status", fault)
    await rig.run(until=120)
    assert rig.stage(ITEM) == "deploy-staging"


async def stalled(rig: Rig) -> None:
    """With the budget used up and nothing but the ticket to wake it."""
    rig.crew.answers["analyst"] = "nonsense"
    rig.tracker.add(17, "A cart", state="To Analyse")
    await rig.run(until=300)
    assert rig.condition(ITEM, "Stalled", Kind.WORKITEM)[1] == "RetriesExhausted"
    assert state(rig) == "Blocked"
    rig.crew.answers.clear()


async def test_starting_state_on_a_stalled_item_is_a_retry(rig: Rig) -> None:
    await stalled(rig)
    rig.tracker.move("ticket-17", "To Analyse")
    await rig.run(until=60)
    assert rig.waiting(ITEM)[0] == "Approval"


@pytest.mark.parametrize("fault", [Fault.OVERTAKEN, Fault.REQUEST_LOST, Fault.UNAVAILABLE])
async def test_start_told_once_is_not_forgotten_when_its_write_goes_wrong(rig: Rig, fault: Fault) -> None:
    await stalled(rig)
    rig.tracker.move("ticket-17", "To Analyse")
    rig.cluster.fail_next("patch_status", fault)
    await rig.run(until=60)
    assert rig.waiting(ITEM)[0] == "Approval"


async def test_start_told_once_is_not_forgotten_when_the_ticket_cannot_be_read(rig: Rig) -> None:
    await stalled(rig)
    rig.tracker.move("ticket-17", "To Analyse")
    rig.tracker.unreadable = 3
    await rig.run(until=60)
    assert rig.waiting(ITEM)[0] == "Approval"


async def test_ticket_cancelled_while_a_run_is_at_work_stops_run_and_item(rig: Rig) -> None:
    rig.crew.idle = True
    rig.tracker.add(17, "A cart", state="To Analyse")
    await rig.run(until=60)
    rig.tracker.move("ticket-17", "Cancelled")
    await rig.run(until=60)
    assert rig.stage(ITEM) == "cancelled"
    assert rig.cluster.store.keys("jobs") == []


async def test_ticket_that_left_its_starting_state_before_the_start_has_no_item(rig: Rig) -> None:
    rig.cluster.store.edit(Kind.REPOSITORY, SHOP, {"spec": {"gates": AUTO}})
    rig.item("blocker", title="Blocker")
    rig.crew.idle = True
    rig.tracker.add(17, "A cart", state="To Analyse")
    await rig.run(until=60)
    rig.tracker.move("ticket-17", "Backlog")
    rig.crew.idle = False
    await rig.run(until=200)
    assert items(rig) == ["blocker"]


# --- what a ticket shows


async def test_why_a_person_is_needed_is_said_once_beside_the_state(rig: Rig) -> None:
    await stalled(rig)
    (text,) = comments(rig)
    assert text.startswith("A person is needed:")
    await rig.run(until=3600)
    rig.process = None
    await rig.run(until=3600)
    assert comments(rig) == [text]


async def test_state_whose_record_is_overtaken_by_a_hint_is_not_set_again(rig: Rig) -> None:
    rig.cluster.store.edit(Kind.REPOSITORY, SHOP, {"spec": {"gates": AUTO}})
    rig.tracker.add(17, "A cart", state="To Analyse")
    numbers, told = count(), rig.tracker.calls.on_effect
    assert told is not None

    def hint() -> None:
        told()
        annotations = {"hint.conveyor.dev/push": str(next(numbers))}
        rig.cluster.store.edit(Kind.WORKITEM, ITEM, {"metadata": {"annotations": annotations}})

    rig.tracker.calls.on_effect = hint
    await rig.run(ITEM)
    shown = [effect[2] for effect in rig.tracker.calls.effects if effect[0] == "set_state"]
    assert shown[-1] == "Done"
    assert all(earlier != later for earlier, later in pairwise(shown))


async def test_state_that_a_person_set_is_left_alone_until_our_next_stage(rig: Rig) -> None:
    await stalled(rig)
    rig.tracker.move("ticket-17", "Backlog")
    await rig.run(until=600)
    assert state(rig) == "Backlog"


async def test_project_without_the_state_gets_the_words_alone(rig: Rig) -> None:
    del rig.tracker.states_of["Blocked"]
    rig.crew.answers["analyst"] = "nonsense"
    rig.tracker.add(17, "A cart", state="To Analyse")
    await rig.run(until=300)
    assert state(rig) == "Analysis"
    assert len(comments(rig)) == 1


async def test_tracker_that_is_away_holds_no_item_up(rig: Rig) -> None:
    rig.cluster.store.edit(Kind.REPOSITORY, SHOP, {"spec": {"gates": AUTO}})
    rig.tracker.add(17, "A cart", state="To Analyse")
    for _ in range(20):
        rig.tracker.calls.fail_next("set_state", CallFault.UNAVAILABLE)
    await rig.run(ITEM)
    assert rig.stage(ITEM) == "done"
    await rig.run(until=600)
    assert state(rig) == "Done"


async def test_nothing_is_remembered_of_items_that_are_gone(rig: Rig) -> None:
    await stalled(rig)
    rig.cluster.store.remove(Kind.WORKITEM, ITEM)
    await rig.run(until=1)
    process = rig.process
    assert process is not None
    assert process.indicator._said == {}
    assert process.items._refusals == {}


async def test_rate_limit_parks_until_the_time_it_names(rig: Rig) -> None:
    rig.tracker.add(17, "A cart", state="To Analyse")
    rig.tracker.refusal = RateLimited("429", until_seconds=45)
    await rig.run(until=31)
    assert items(rig) == []
    rig.tracker.refusal = None
    await rig.run(until=61)
    assert items(rig) == ["shop-et-17"]


async def test_what_the_rounds_have_come_to_is_counted(rig: Rig) -> None:
    rig.tracker.add(17, "A cart", state="To Analyse")
    await rig.run(until=120)
    assert rig.process is not None
    found = rig.process.poll.found
    assert (found.enabled, found.interval, found.last_unblocked) == (True, 30.0, "team/shop-et-17")
    assert found.unblocked_total == 1
    assert found.deduped_total > 0
    assert found.last_run_ts is not None
