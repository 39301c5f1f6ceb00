"""What a remembered Repository may be used for, and what is decided upon one that is read now."""

from copy import deepcopy
from typing import Any

import pytest

from conveyor.api.annotations import HintClass
from conveyor_ingress import remembered, senders
from conveyor_ingress.answers import Why
from conveyor_ingress.events import ForgeEvent
from conveyor_ingress.remembered import KEPT_SECONDS, Remembered, suffices_for
from conveyor_ingress.resolve import CreateItem, Decision, Duplicate, Ignored, PatchHint
from conveyor_ingress.views import RepositoryView
from tests.unit.ingress import deliveries
from tests.unit.ingress.conftest import Ingress, item, planned, repository
from tests.unit.ingress.deliveries import ISSUE, NAMESPACE, Delivery

VIEW = RepositoryView("shop", "bot/shop", None, frozenset({"s-start"}), {"push": "main 01"})


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def pushed(sha: str, branch: str = "feature/PROJ-1") -> Delivery:
    return deliveries.push().edited(after=sha * 40, ref=f"refs/heads/{branch}")


async def test_event_about_an_item_of_a_remembered_repository_costs_one_read(ingress: Ingress) -> None:
    ingress.store.items[NAMESPACE, "shop-proj-1"] = item("shop-proj-1", of="shop", branch="feature/PROJ-1")
    await ingress.send(pushed("a"))
    before = ingress.store.reads
    assert (await ingress.send(pushed("b"))).status == "accepted"
    assert (await ingress.send(pushed("b"))).status == "duplicate"
    assert ingress.store.reads - before == 2


def stored_by_another_replica(ingress: Ingress, delivery: Delivery) -> None:
    found = senders.of_path(delivery.path)
    assert found is not None
    event = found[0].parse(delivery.headers, delivery.body)
    assert isinstance(event, ForgeEvent)
    annotations = ingress.store.items[NAMESPACE, "shop-proj-1"]["metadata"].setdefault("annotations", {})
    annotations["hint.conveyor.dev/push"] = event.value


async def test_duplicate_of_what_another_replica_stored_costs_two_reads(ingress: Ingress) -> None:
    ingress.store.items[NAMESPACE, "shop-proj-1"] = item("shop-proj-1", of="shop", branch="feature/PROJ-1")
    await ingress.send(pushed("a"))
    stored_by_another_replica(ingress, pushed("b"))
    before = ingress.store.reads
    assert (await ingress.send(pushed("b"))).status == "duplicate"
    assert ingress.store.reads - before == 2


async def test_branch_that_was_moved_on_and_back_is_news_though_a_moment_ago_it_was_not(ingress: Ingress) -> None:
    key = (NAMESPACE, "shop-proj-1")
    ingress.store.items[key] = item("shop-proj-1", of="shop", branch="feature/PROJ-1")
    await ingress.send(pushed("c", "main"))
    stored_by_another_replica(ingress, pushed("a"))
    ingress.store.before[key] = deepcopy(ingress.store.items[key])
    await ingress.send(pushed("b"))
    assert (await ingress.send(pushed("a"))).status == "accepted"
    assert ingress.store.items[key] == ingress.store.before[key]


async def test_event_is_the_items_where_it_cannot_be_glanced_at(ingress: Ingress) -> None:
    ingress.store.items[NAMESPACE, "shop-proj-1"] = item("shop-proj-1", of="shop", branch="feature/PROJ-1")
    await ingress.send(pushed("a", "main"))
    ingress.store.cannot_be_glanced_at = True
    assert (await ingress.send(pushed("b"))).status == "accepted"
    assert ingress.hints("WorkItem", "shop-proj-1").keys() == {"push"}


async def test_event_of_an_item_that_was_not_there_a_moment_ago_is_the_items(ingress: Ingress) -> None:
    await ingress.send(pushed("a", "main"))
    ingress.store.items[NAMESPACE, "shop-proj-1"] = item("shop-proj-1", of="shop", branch="feature/PROJ-1")
    ingress.store.before[NAMESPACE, "shop-proj-1"] = None
    assert (await ingress.send(pushed("b"))).status == "accepted"
    assert ingress.hints("WorkItem", "shop-proj-1").keys() == {"push"}


async def test_event_of_an_item_that_is_gone_since_a_moment_ago_is_its_repositorys(ingress: Ingress) -> None:
    await ingress.send(pushed("a", "main"))
    ingress.store.before[NAMESPACE, "shop-proj-1"] = item("shop-proj-1", of="shop", branch="feature/PROJ-1")
    assert (await ingress.send(pushed("b"))).status == "accepted"
    assert ingress.hints("Repository", "shop")["push"].startswith("feature/PROJ-1 ")


async def test_event_of_a_repository_that_was_made_anew_meanwhile_is_not_ignored(ingress: Ingress) -> None:
    ingress.store.repositories[NAMESPACE, "shop"] = repository("shop", "bot/old")
    assert (await ingress.send(pushed("a"))).status == "ignored"
    ingress.store.repositories[NAMESPACE, "shop"] = repository("shop", "bot/shop")
    assert (await ingress.send(pushed("a"))).status == "accepted"


async def test_event_of_a_repository_that_is_gone_meanwhile_is_ignored(ingress: Ingress) -> None:
    await ingress.send(pushed("a"))
    del ingress.store.repositories[NAMESPACE, "shop"]
    said = await ingress.send(pushed("b"))
    assert said.body == {"status": "ignored", "reason": Why.REPOSITORY_UNKNOWN.value}


async def test_hint_that_another_replica_replaced_is_written_again(ingress: Ingress) -> None:
    for branch in ("main", "feature/PROJ-1"):
        await ingress.send(pushed("a", branch))
        annotations = ingress.store.repositories[NAMESPACE, "shop"]["metadata"]["annotations"]
        annotations["hint.conveyor.dev/push"] = "of another replica"
        assert (await ingress.send(pushed("a", branch))).status == "accepted"


async def test_ticket_whose_starting_state_became_known_meanwhile_creates_its_item(ingress: Ingress) -> None:
    ingress.store.repositories[NAMESPACE, "api"] = planned(start_states=())
    assert (await ingress.send(deliveries.ticket())).status == "ignored"
    ingress.store.repositories[NAMESPACE, "api"] = planned()
    assert (await ingress.send(deliveries.ticket())).status == "accepted"
    assert (NAMESPACE, "api-et-42") in ingress.store.items


async def test_item_is_looked_for_under_the_new_key_of_a_project(ingress: Ingress) -> None:
    await ingress.send(deliveries.load("plane", "plane-issue-comment"))
    changed: dict[str, Any] = planned()
    changed["spec"]["tracker"]["identifier"] = "NEW"
    ingress.store.repositories[NAMESPACE, "api"] = changed
    ingress.store.items[NAMESPACE, "api-new-42"] = item("api-new-42", of="api", issue=ISSUE)
    assert (await ingress.send(deliveries.ticket())).status == "accepted"
    assert ingress.hints("WorkItem", "api-new-42").keys() == {"ticket"}


@pytest.mark.parametrize(
    ("decision", "enough"),
    [
        (PatchHint("WorkItem", "shop-et-1", HintClass.PUSH, "v"), (True, True)),
        (Duplicate(), (True, False)),
        (PatchHint("Repository", "shop", HintClass.PUSH, "v"), (False, False)),
        (CreateItem("shop-et-1", "shop", {}, HintClass.TICKET, "v"), (False, False)),
        *((Ignored(why), (False, False)) for why in Why),
    ],
)
def test_only_what_is_about_an_item_is_decided_upon_a_remembered_repository(
    decision: Decision, enough: tuple[bool, bool]
) -> None:
    """Read now, or a moment ago."""
    assert tuple(suffices_for(decision, newest=newest) for newest in (True, False)) == enough


def test_hints_and_starting_states_are_not_remembered() -> None:
    known = Remembered(Clock())
    known.keep("team-a", "shop", VIEW)
    found = known.repository("team-a", "shop")
    assert found is not None
    assert (found.full_name, found.hints, found.start_state_ids) == ("bot/shop", {}, frozenset())
    assert known.repository("team-b", "shop") is None


def test_repository_is_remembered_for_a_while_and_until_it_is_gone() -> None:
    clock = Clock()
    known = Remembered(clock)
    known.keep("team-a", "shop", VIEW)
    clock.now += KEPT_SECONDS - 0.1
    assert known.repository("team-a", "shop") is not None
    clock.now += 0.1
    assert known.repository("team-a", "shop") is None
    known.keep("team-a", "shop", VIEW)
    known.keep("team-a", "shop", None)
    assert known.repository("team-a", "shop") is None


def test_so_many_are_remembered_and_the_oldest_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "MAX_KEPT", 2)
    known = Remembered(Clock())
    for name in ("one", "two", "one", "three"):
        known.keep("team-a", name, VIEW)
    assert [known.repository("team-a", name) is not None for name in ("one", "two", "three")] == [True, False, True]


def test_so_many_stored_events_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "MAX_STORED", 2)
    known = Remembered(Clock())
    one, two, three = (ForgeEvent("push", "bot/shop", HintClass.PUSH, value) for value in ("1", "2", "3"))
    for event in (one, two, three):
        known.keep_stored("team-a", event)
    assert [known.may_be_repeated("team-a", event) for event in (one, two, three)] == [False, True, True]
    assert not known.may_be_repeated("team-b", three)
