"""Where each event goes, as rows: what differs is in the row, a builder fills the rest."""

from typing import Any

import pytest

from conveyor.api.annotations import HintClass
from conveyor_ingress.answers import Why
from conveyor_ingress.events import Event, ForgeEvent, TicketEvent
from conveyor_ingress.resolve import CreateItem, Duplicate, Ignored, PatchHint, item_of, resolve
from conveyor_ingress.views import ItemView, RepositoryView, Tracker

PROJECT, START, OTHER_STATE, ISSUE = "p1", "s-start", "s-other", "i-17"


def repository(**fields: Any) -> RepositoryView:
    tracker = Tracker.model_validate(
        {"url": "https://plane.test", "workspace": "acme", "projectID": PROJECT, "identifier": "ET"}
    )
    plain: dict[str, Any] = {
        "name": "shop",
        "full_name": "acme/shop",
        "tracker": tracker,
        "start_state_ids": frozenset({START}),
        "hints": {},
    }
    return RepositoryView(**(plain | fields))


def item(**fields: Any) -> ItemView:
    plain: dict[str, Any] = {
        "name": "shop-et-17",
        "repository": "shop",
        "branch": "feature/ET-17-cart",
        "issue_id": ISSUE,
        "hints": {},
    }
    return ItemView(**(plain | fields))


def push(branch: str | None = "feature/ET-17-cart", **fields: Any) -> ForgeEvent:
    plain: dict[str, Any] = {"event": "push", "full_name": "acme/shop", "hint": HintClass.PUSH, "value": "v"}
    return ForgeEvent(**(plain | {"branch": branch} | fields))


def ticket(**fields: Any) -> TicketEvent:
    plain: dict[str, Any] = {
        "event": "issue",
        "project_id": PROJECT,
        "webhook_id": None,
        "workspace_id": None,
        "issue_id": ISSUE,
        "number": 17,
        "state_id": START,
        "identity": ("x",),
    }
    return TicketEvent(**(plain | fields))


@pytest.mark.parametrize(
    ("event", "name"),
    [
        pytest.param(push(), "shop-et-17", id="an item's branch"),
        pytest.param(push("feature/ET-17"), "shop-et-17", id="a branch without a slug"),
        pytest.param(push("feature/et-17-cart"), None, id="a key in lower case is none"),
        pytest.param(push("main"), None, id="another branch"),
        pytest.param(push(None), None, id="no branch"),
        pytest.param(ticket(), "shop-et-17", id="a ticket"),
        pytest.param(ticket(number=None), None, id="a ticket without a number"),
    ],
)
def test_event_needs_at_most_one_item_read(event: Event, name: str | None) -> None:
    assert item_of(event, repository()) == name


@pytest.mark.parametrize(
    ("event", "found", "target"),
    [
        pytest.param(push(), item(), "shop-et-17", id="its item has this branch"),
        pytest.param(push(), None, "shop", id="there is no such item"),
        pytest.param(push(), item(branch=None), "shop", id="the item has no branch yet"),
        pytest.param(push("feature/ET-17-2-again"), item(), "shop", id="the branch is of a later item of the ticket"),
        pytest.param(push(), item(repository="shop-et"), "shop", id="the item is another repository's"),
        pytest.param(push("main"), None, "shop", id="no item's branch"),
        pytest.param(push(None, hint=HintClass.CI), None, "shop", id="a status names no branch"),
        pytest.param(ticket(), item(), "shop-et-17", id="a ticket with its item"),
        pytest.param(ticket(state_id=OTHER_STATE), item(), "shop-et-17", id="a state that starts nothing"),
        pytest.param(ticket(), item(issue_id="another"), "shop", id="the name is taken by another ticket's item"),
        pytest.param(ticket(), item(issue_id=None), "shop", id="the name is taken by an item made by hand"),
        pytest.param(ticket(number=None, state_id=None), None, "shop", id="a comment"),
    ],
)
def test_event_is_hinted_to_its_item_or_the_repository(event: Event, found: ItemView | None, target: str) -> None:
    decision = resolve(event, repository(), found)
    assert isinstance(decision, PatchHint)
    assert decision.name == target
    assert decision.kind == ("Repository" if target == "shop" else "WorkItem")


@pytest.mark.parametrize(
    ("event", "of", "why"),
    [
        pytest.param(push(), None, Why.REPOSITORY_UNKNOWN, id="no such Repository"),
        pytest.param(push(full_name="acme/other"), repository(), Why.REPOSITORY_OTHER, id="another repository's event"),
        pytest.param(ticket(), repository(tracker=None), Why.PROJECT, id="a Repository without a tracker"),
        pytest.param(ticket(project_id="p2"), repository(), Why.PROJECT, id="another project"),
        pytest.param(ticket(state_id=OTHER_STATE), repository(), Why.STATE, id="a state that starts nothing"),
        pytest.param(ticket(), repository(start_state_ids=frozenset()), Why.STATES_UNKNOWN, id="no states known"),
        pytest.param(ticket(number=None), repository(), Why.NAME, id="a start without a number"),
        pytest.param(ticket(), repository(name="x" * 50), Why.NAME, id="a name too long"),
    ],
)
def test_event_that_is_nothing_of_ours_is_ignored(event: Event, of: RepositoryView | None, why: Why) -> None:
    assert resolve(event, of, None) == Ignored(why)


def test_started_ticket_without_item_creates_it() -> None:
    decision = resolve(ticket(), repository(), None)
    assert isinstance(decision, CreateItem)
    assert decision.name == "shop-et-17"
    assert decision.source["key"] == "ET-17"
    assert decision.manifest("team-a")["metadata"]["annotations"] == {"hint.conveyor.dev/ticket": decision.value}


def test_event_stored_already_is_a_duplicate() -> None:
    assert resolve(push(), repository(), item(hints={"push": "v"})) == Duplicate()


SEEN = ("s-now", "2026-03-02T11:00:00.000000Z")


def test_change_that_the_operator_has_on_record_is_a_duplicate() -> None:
    ours = ticket(state_id=SEEN[0], updated=SEEN[1])
    assert resolve(ours, repository(), item(ticket=SEEN)) == Duplicate()


@pytest.mark.parametrize(
    ("event", "seen"),
    [
        pytest.param(
            ticket(state_id=SEEN[0], updated="2026-03-02T11:00:01.000000Z"), SEEN, id="it changed again since"
        ),
        pytest.param(ticket(state_id=OTHER_STATE, updated=SEEN[1]), SEEN, id="another state"),
        pytest.param(ticket(state_id=SEEN[0]), SEEN, id="it does not say when"),
        pytest.param(ticket(state_id=None, updated=SEEN[1]), SEEN, id="a comment"),
        pytest.param(ticket(state_id=SEEN[0], updated=SEEN[1]), None, id="nothing was seen yet"),
        pytest.param(ticket(state_id=None, updated=None), None, id="nothing is known on either side"),
    ],
)
def test_change_that_may_be_news_is_written(event: TicketEvent, seen: tuple[str, str] | None) -> None:
    assert isinstance(resolve(event, repository(), item(ticket=seen)), PatchHint)


def test_other_event_of_the_same_class_is_written() -> None:
    assert isinstance(resolve(push(), repository(), item(hints={"push": "another"})), PatchHint)


def test_same_value_on_another_class_is_written() -> None:
    assert isinstance(resolve(push(), repository(), item(hints={"ci": "v"})), PatchHint)


def test_project_id_in_other_letter_case_is_the_same() -> None:
    tracker = Tracker.model_validate({"url": "u", "workspace": "w", "projectID": PROJECT.upper(), "identifier": "ET"})
    assert isinstance(resolve(ticket(), repository(tracker=tracker), item()), PatchHint)
