"""created: what an item waits for before it is admitted, and what its admission is."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from conveyor.api.objects import WorkItem
from conveyor.api.stages import Stage
from conveyor.api.workitem import Effect, StalledReason
from conveyor.pipeline.case import Facts
from conveyor.pipeline.lane import DependencyFact, DependencyState, Lane
from tests.unit.pipeline.builders import (
    BASE,
    HEAD,
    NOW,
    OPEN_LANE,
    UNKNOWN,
    facts,
    item,
    repository,
    seen,
    settled,
    sha,
    stalled,
    ticket,
    transition,
)
from tests.unit.pipeline.outcomes import Row, decide_row, table
from tests.unit.pipeline.situations import FREEZES

CREATED = item(Stage.CREATED)
OF_TICKET = item(Stage.CREATED, source=True)
STARTED = ticket("To Analyse")
FREE = facts(branch_head=None, ticket=STARTED)
CUT = item(Stage.CREATED, branch="feature/ET-17-a-cart", transition=transition(Effect.CUT_BRANCH))


def lane(**fields: Any) -> Lane:
    return replace(OPEN_LANE, **fields)


def held(**fields: Any) -> Facts:
    return replace(FREE, lane=lane(**fields))


def started(**fields: Any) -> Facts:
    return replace(FREE, **fields)


def needs(*states: DependencyState) -> tuple[DependencyFact, ...]:
    return tuple(DependencyFact(f"shop-et-{n}", state) for n, state in enumerate(states))


ROWS: tuple[Row, ...] = (
    (
        "an item that names another ticket's key is nobody's",
        OF_TICKET,
        started(ticket=ticket("To Analyse", key="ET-7")),
        "Discard",
    ),
    ("an item without a stage begins in created", item(None), facts(), "-> created"),
    ("with the lane free the branch is intended", CREATED, FREE, "intends CutBranch"),
    ("an earlier item goes first", CREATED, held(first=False), "waits EarlierItem"),
    ("another item is under way", CREATED, held(occupied_by="x"), "waits EarlierItem"),
    ("the Repository is not ready", CREATED, held(ready=False), "waits Forge"),
    ("a frozen repository admits nothing", CREATED, held(freeze=FREEZES["admission"]), "waits RepositoryFrozen"),
    ("a freeze of merges stops admission too", CREATED, held(freeze=FREEZES["merge"]), "waits RepositoryFrozen"),
    (
        "the last deploy is being watched",
        CREATED,
        held(watched_until=NOW + timedelta(minutes=1)),
        "waits Monitor",
    ),
    (
        "a frozen repository is frozen while its deploy is watched",
        CREATED,
        held(freeze=FREEZES["merge"], watched_until=NOW),
        "waits RepositoryFrozen",
    ),
    (
        "an earlier item goes first after the watch too",
        CREATED,
        held(first=False, watched_until=NOW),
        "waits EarlierItem",
    ),
    (
        "dependencies that are done hold nothing back",
        CREATED,
        held(dependencies=needs(DependencyState.DONE)),
        "intends CutBranch",
    ),
    (
        "an open dependency holds it back",
        CREATED,
        held(dependencies=needs(DependencyState.DONE, DependencyState.OPEN)),
        "waits Dependency",
    ),
    (
        "a missing dependency holds it back",
        CREATED,
        held(dependencies=needs(DependencyState.MISSING)),
        "waits DependencyMissing",
    ),
    (
        "a cancelled dependency is a person's matter",
        CREATED,
        held(dependencies=needs(DependencyState.CANCELLED)),
        "Stalled DependencyCancelled",
    ),
    ("a cycle is a person's matter", CREATED, held(cycle=("a", "b")), "Stalled DependencyCycle"),
    ("a suspended item waits", item(Stage.CREATED, spec={"suspend": True}), FREE, "waits Suspended"),
    ("a cancelled item ends", item(Stage.CREATED, spec={"cancel": True}), FREE, "-> cancelled"),
    ("a branch of that name stands in the way", CREATED, facts(), "Stalled PriorWorkFound"),
    ("a branch that cannot be read is not missing", CREATED, facts(branch_head=UNKNOWN), "waits Forge"),
    ("a base that cannot be read is not cut from", CREATED, started(base_head=UNKNOWN), "waits Forge"),
    ("without a default branch it waits", CREATED, started(base_head=None), "waits Forge"),
    ("a ticket in a starting state starts", OF_TICKET, FREE, "intends CutBranch"),
    ("a ticket that was never started is nobody's wish", OF_TICKET, started(ticket=ticket("Backlog")), "Discard"),
    ("a ticket that is gone is nobody's wish", OF_TICKET, started(ticket=None), "Discard"),
    ("a ticket that was closed meanwhile is nobody's wish", OF_TICKET, started(ticket=ticket("Done")), "Discard"),
    (
        "a ticket that was cancelled meanwhile ends the item",
        OF_TICKET,
        started(ticket=ticket("Cancelled")),
        "-> cancelled",
    ),
    ("a ticket that cannot be read starts nothing", OF_TICKET, started(ticket=UNKNOWN), "waits Tracker"),
    ("states that cannot be read start nothing", OF_TICKET, started(states=UNKNOWN), "waits Tracker"),
    (
        "a state we set ourselves does not take the start back",
        item(Stage.CREATED, source=True, tracker=seen("Blocked")),
        started(ticket=ticket("Blocked")),
        "intends CutBranch",
    ),
    ("the branch is there at the base: ours", CUT, facts(branch_head=BASE), "-> analysis, run analyst"),
    ("the branch is not there yet", CUT, FREE, "Apply CutBranch"),
    (
        "the branch is there with somebody's work",
        CUT,
        facts(branch_head=HEAD),
        "CutBranch goes on, Stalled PriorWorkFound",
    ),
    ("the branch cannot be read after the cut", CUT, facts(branch_head=UNKNOWN), "CutBranch goes on"),
    ("without a slot the analyst waits", CUT, facts(branch_head=BASE, slot_free=False), "-> analysis, waits RunSlot"),
)


@table(ROWS)
def test_in_created(whole: WorkItem, known: Facts, expected: str) -> None:
    assert decide_row(whole, known) == expected


def test_an_item_that_is_not_the_active_one_is_admitted_first() -> None:
    assert decide_row(CREATED, replace(FREE, admitted=False), of=repository(active=False)) == "Admit"


def test_an_item_admitted_in_an_earlier_pass_is_looked_at_once_more() -> None:
    """The Repository may be frozen since: an admission whose intent was not stored begins anew."""
    assert decide_row(CREATED, replace(FREE, admitted=False), of=repository(active=True)) == "Admit"


def test_admission_records_branch_base_and_what_it_was_decided_for() -> None:
    status = settled(OF_TICKET, FREE).status
    assert (status.branch, status.base_branch, status.base_sha) == ("feature/ET-17-a-cart", "main", BASE)
    assert status.transition is not None
    assert status.transition.precondition.base_sha == BASE
    assert (status.runs, status.fencing_token) == (6, 5)


def test_what_many_wait_for_names_the_repository_and_nothing_that_changes() -> None:
    first, second = (settled(CREATED, held(first=False, occupied_by=other)).status.waiting for other in "ab")
    assert first == second
    assert first is not None
    assert first.on is not None
    assert first.on.kind == "Repository"


def test_wait_for_a_watch_ends_by_itself_and_names_nothing_that_changes() -> None:
    one, other = (settled(CREATED, held(watched_until=NOW + timedelta(minutes=minutes))) for minutes in (1, 7))
    assert (one.after, other.after) == (60.1, 420.1)
    assert one.status.waiting == other.status.waiting


def test_a_cycle_is_spelled_out_whole() -> None:
    waiting = settled(CREATED, held(cycle=("a", "b", "c"))).status.waiting
    assert waiting is not None
    assert "a -> b -> c -> a" in waiting.message


def test_prior_work_keeps_its_word_while_the_branch_is_there_and_goes_on_when_it_is_gone() -> None:
    found = stalled(CREATED, StalledReason.PRIOR_WORK_FOUND)
    assert decide_row(found, facts(branch_head=sha("x"))) == "Stalled PriorWorkFound"
    assert decide_row(found, facts(branch_head=UNKNOWN)) == "Stalled PriorWorkFound"
    assert decide_row(found, FREE) == "intends CutBranch"
