"""What the engine asks of a tracker, against the fake Plane: states, tickets, comments, the state set."""

from collections.abc import Callable

import pytest

from conveyor.pipeline.facts import TicketSummary
from conveyor.tracker.budget import Budget
from conveyor.tracker.plane import Plane
from conveyor.tracker.plane import connect as connect_plane
from conveyor.web.errors import BadCredentials, HostNotAllowed, NotFound, RateLimited, Refused
from conveyor.web.hosts import AllowedHosts
from tests.fakes.clock import ManualClock
from tests.fakes.plane import DEFAULT_STATES, FakePlane
from tests.fakes.plane_records import Project
from tests.fakes.plane_shapes import iso
from tests.unit.tracker.clients import Connect, spec_of
from tests.unit.tracker.transports import After


def keys(summaries: tuple[TicketSummary, ...]) -> list[str]:
    return [summary.key for summary in summaries]


# --- project, states, us


async def test_identifier_is_the_projects(plane: Plane) -> None:
    assert await plane.identifier() == "ET"


async def test_me_is_the_author_of_our_comments(plane: Plane, fake: FakePlane, project: Project) -> None:
    ticket = fake.create_ticket(project.id, "Cart")
    await plane.comment(ticket.id, "hello", marker="m1")
    assert [comment.author for comment in await plane.comments(ticket.id)] == [await plane.me()]


async def test_states_come_with_their_groups(plane: Plane) -> None:
    assert tuple((state.name, state.group) for state in await plane.states()) == DEFAULT_STATES


async def test_states_are_asked_for_again_after_their_time(
    plane: Plane, fake: FakePlane, clock: ManualClock, project: Project
) -> None:
    await plane.states()
    project.states = project.states[:1]
    clock.advance(299)
    before = await plane.states()
    clock.advance(1)
    assert (len(before), len(await plane.states())) == (len(DEFAULT_STATES), 1)


async def test_failed_refresh_serves_the_old_states(plane: Plane, fake: FakePlane, clock: ManualClock) -> None:
    first = await plane.states()
    await fake.close()
    clock.advance(300)
    assert await plane.states() == first


async def test_states_are_new_again_soon_after_an_outage(
    plane: Plane, fake: FakePlane, clock: ManualClock, project: Project
) -> None:
    await plane.states()
    await fake.close()
    clock.advance(300)
    await plane.states()
    project.states = project.states[:1]
    await fake.open()
    clock.advance(30)
    assert len(await plane.states()) == 1


# --- ticket


async def test_ticket_is_read_with_its_text_as_plain_text(plane: Plane, fake: FakePlane, project: Project) -> None:
    made = fake.create_ticket(
        project.id,
        "Корзина  <b>",
        description_html="<p>Sum is <b>wrong</b></p><p>see &lt;log&gt;</p>",
        state="Analysis",
    )
    ticket = await plane.ticket(made.id)
    assert ticket is not None
    assert (ticket.key, ticket.name, ticket.text) == ("ET-1", "Корзина <b>", "Sum is wrong\n\nsee <log>")
    assert (ticket.state_id, ticket.updated) == (project.state("Analysis").id, iso(made.updated_at))
    assert ticket.url == f"{fake.url}/acme/projects/{project.id}/issues/{made.id}"


async def test_long_ticket_text_is_cut(plane: Plane, fake: FakePlane, project: Project) -> None:
    made = fake.create_ticket(project.id, "Long", description_html="<p>" + "x" * 100_000)
    ticket = await plane.ticket(made.id)
    assert ticket is not None
    assert len(ticket.text) == 32 * 1024


@pytest.mark.parametrize("as_objects", [False, True])
async def test_ticket_names_those_that_block_it(
    plane: Plane, fake: FakePlane, project: Project, *, as_objects: bool
) -> None:
    fake.variant.relations_as_objects = as_objects
    first, second = (fake.create_ticket(project.id, name) for name in ("first", "second"))
    fake.block(second.id, by=first.id)
    ticket = await plane.ticket(second.id, blockers=True)
    assert ticket is not None
    assert ticket.blocked_by == (first.id,)


async def test_who_blocks_a_ticket_is_asked_only_where_that_is_wanted(
    plane: Plane, fake: FakePlane, project: Project
) -> None:
    await plane.ticket(fake.create_ticket(project.id, "Cart").id)
    assert not any(path.rstrip("/").endswith("relations") for _, path in fake.requests)


async def test_server_without_relations_gives_a_ticket_that_nobody_blocks(
    plane: Plane, fake: FakePlane, project: Project
) -> None:
    fake.variant.has_relations = False
    ticket = await plane.ticket(fake.create_ticket(project.id, "Cart").id, blockers=True)
    assert ticket is not None
    assert ticket.blocked_by == ()


async def test_deleted_or_archived_ticket_is_gone(plane: Plane, fake: FakePlane, project: Project) -> None:
    deleted, archived = (fake.create_ticket(project.id, name) for name in ("deleted", "archived"))
    fake.delete(deleted.id)
    fake.archive(archived.id)
    assert [await plane.ticket(deleted.id), await plane.ticket(archived.id)] == [None, None]


async def test_ticket_of_a_project_that_we_cannot_see_is_not_said_to_be_gone(
    connect: Connect, fake: FakePlane, project: Project
) -> None:
    ticket = fake.create_ticket(project.id, "Cart")
    with pytest.raises(NotFound, match="may not see it"):
        await connect(project_id="another").ticket(ticket.id)


# --- changes


async def test_changes_are_newest_first_and_include_the_watermarks_own(
    plane: Plane, fake: FakePlane, project: Project
) -> None:
    first, second, third = (fake.create_ticket(project.id, name) for name in ("a", "b", "c"))
    await fake.settle()
    fake.move(first.id, "To Analyse")
    await fake.settle()
    changes = await plane.changed_since(iso(third.updated_at) or "")
    assert keys(changes) == ["ET-1", "ET-3"]
    assert (changes[0].state_id, changes[0].updated) == (project.state("To Analyse").id, iso(first.updated_at))
    assert second.id not in [change.id for change in changes]


@pytest.mark.parametrize("watermark", ["", "yesterday"])
async def test_no_watermark_reads_every_ticket_to_the_last_page(
    plane: Plane, fake: FakePlane, project: Project, watermark: str
) -> None:
    for number in range(230):
        fake.create_ticket(project.id, f"ticket {number}")
    assert keys(await plane.changed_since(watermark)) == [f"ET-{number}" for number in range(230, 0, -1)]


async def test_descriptions_are_not_asked_for_in_lists(plane: Plane, fake: FakePlane) -> None:
    await plane.changed_since("")
    assert "fields=id%2Csequence_id%2Cstate%2Cupdated_at" in fake.requests[0][1]


async def test_reading_stops_at_the_page_that_reaches_behind_the_watermark(
    plane: Plane, fake: FakePlane, project: Project
) -> None:
    tickets = [fake.create_ticket(project.id, f"ticket {number}") for number in range(300)]
    await fake.settle()
    assert len(await plane.changed_since(iso(tickets[150].updated_at) or "")) == 150
    assert len(fake.requests) == 2


async def test_rows_that_shift_between_pages_come_once_each(
    connect: Connect, fake: FakePlane, project: Project
) -> None:
    tickets = [fake.create_ticket(project.id, f"ticket {number}") for number in range(150)]
    shifting = connect(transport=After(lambda: fake.move(tickets[0].id, "To Analyse")))
    found = keys(await shifting.changed_since(""))
    assert len(found) == len(set(found))
    assert set(found) >= {ticket.key for ticket in tickets[1:]}


async def test_ticket_that_changed_while_pages_were_read_is_in_the_next_call(
    connect: Connect, fake: FakePlane, project: Project
) -> None:
    tickets = [fake.create_ticket(project.id, f"ticket {number}") for number in range(150)]
    shifting = connect(transport=After(lambda: fake.move(tickets[0].id, "To Analyse")))
    watermark = (await shifting.changed_since(""))[0].updated
    assert "ET-1" in keys(await shifting.changed_since(watermark))


async def test_project_without_tickets_has_no_changes(plane: Plane) -> None:
    assert await plane.changed_since("") == ()


# --- state and comments


async def test_state_is_set_and_the_tickets_time_returned(plane: Plane, fake: FakePlane, project: Project) -> None:
    ticket = fake.create_ticket(project.id, "Cart")
    fake.worker.hold()
    updated = await plane.set_state(ticket.id, project.state("In Progress").id)
    assert (fake.state_of(ticket.id), updated) == ("In Progress", iso(ticket.updated_at))


async def test_state_of_another_project_is_refused(plane: Plane, fake: FakePlane, project: Project) -> None:
    ticket = fake.create_ticket(project.id, "Cart")
    other = fake.create_project("Other", "OT")
    with pytest.raises(Refused):
        await plane.set_state(ticket.id, other.states[0].id)
    assert fake.state_of(ticket.id) == "Backlog"


async def test_state_of_a_ticket_that_is_gone_cannot_be_set(plane: Plane, project: Project) -> None:
    with pytest.raises(NotFound):
        await plane.set_state("gone", project.states[0].id)


async def test_comment_with_the_same_marker_stands_once(plane: Plane, fake: FakePlane, project: Project) -> None:
    ticket = fake.create_ticket(project.id, "Cart")
    for text in ("first", "second"):
        await plane.comment(ticket.id, text, marker="run-1")
    assert fake.ledger.comments("ET-1") == ["<p>first</p>"]


async def test_comments_with_other_markers_all_stand(plane: Plane, fake: FakePlane, project: Project) -> None:
    ticket = fake.create_ticket(project.id, "Cart")
    for marker in ("run-1", "run-2"):
        await plane.comment(ticket.id, "What now?", marker=marker)
    assert len(fake.ledger.comments("ET-1")) == 2


async def test_comment_is_escaped(plane: Plane, fake: FakePlane, project: Project) -> None:
    ticket = fake.create_ticket(project.id, "Cart")
    await plane.comment(ticket.id, "<script>x</script>\n& more", marker="m")
    assert fake.ledger.comments("ET-1") == ["<p>&lt;script&gt;x&lt;/script&gt;<br>&amp; more</p>"]


async def test_comments_are_plain_and_oldest_first(plane: Plane, fake: FakePlane, project: Project) -> None:
    ticket = fake.create_ticket(project.id, "Cart")
    made = [fake.comment(ticket.id, html) for html in ("<p>use <b>euro</b></p>", "<p>and cents</p>")]
    comments = await plane.comments(ticket.id)
    assert [comment.text for comment in comments] == ["use euro", "and cents"]
    assert [comment.time for comment in comments] == [iso(comment.created_at) for comment in made]
    assert {comment.author for comment in comments} == {fake.person.id}


async def test_only_the_newest_hundred_comments_are_given(plane: Plane, fake: FakePlane, project: Project) -> None:
    ticket = fake.create_ticket(project.id, "Cart")
    for number in range(120):
        fake.comment(ticket.id, f"<p>{number}</p>")
    assert [comment.text for comment in await plane.comments(ticket.id)] == [str(number) for number in range(20, 120)]


# --- connecting


def reach(
    fake: FakePlane, clock: ManualClock, secret: dict[str, str], *, allowed: tuple[str, ...] = ("127.0.0.1",)
) -> Plane:
    seconds: Callable[[], float] = lambda: clock.now().timestamp()  # noqa: E731 - a clock is a value here
    spec = spec_of(fake.url, next(iter(fake.store.projects)))
    budget = Budget(60, clock=seconds)
    return connect_plane(spec, secret, allowed=AllowedHosts(allowed), budget=budget, clock=seconds)


async def test_connected_with_the_secrets_token_it_reads(fake: FakePlane, project: Project, clock: ManualClock) -> None:
    plane = reach(fake, clock, {"token": f"{fake.api_key}\n", "url": f"{fake.url}/"})
    assert await plane.identifier() == project.identifier
    await plane.aclose()


@pytest.mark.parametrize("key", ["token", "url"])
async def test_secret_without_a_key_is_told_by_its_name(
    fake: FakePlane, project: Project, clock: ManualClock, *, key: str
) -> None:
    secret = {"token": fake.api_key, "url": fake.url} | {key: " "}
    with pytest.raises(BadCredentials, match=f"Secret plane has no key {key}"):
        reach(fake, clock, secret)


async def test_token_goes_to_no_other_server_than_its_secret_names(
    fake: FakePlane, project: Project, clock: ManualClock
) -> None:
    with pytest.raises(HostNotAllowed):
        reach(fake, clock, {"token": fake.api_key, "url": "https://plane.example.test"})


async def test_tracker_that_the_settings_do_not_name_is_not_asked(
    fake: FakePlane, project: Project, clock: ManualClock
) -> None:
    with pytest.raises(HostNotAllowed):
        reach(fake, clock, {"token": fake.api_key, "url": fake.url}, allowed=("plane.example.test",))


async def test_token_that_plane_does_not_know_is_bad_credentials_and_not_shown(
    plane: Plane, fake: FakePlane, project: Project
) -> None:
    token = fake.api_key
    fake.revoke_key(token)
    with pytest.raises(BadCredentials) as caught:
        await plane.identifier()
    assert token not in f"{caught.value!r} {caught.value.__context__!r} {plane!r}"


# --- budget


async def test_projects_with_one_token_share_its_budget(connect: Connect, fake: FakePlane, budget: Budget) -> None:
    other = fake.create_project("Other", "OT")
    for _ in range(15):
        await connect().identifier()
        await connect(project_id=other.id).identifier()
    with pytest.raises(RateLimited):
        await connect().identifier()
    assert len(fake.requests) == 30


async def test_state_can_be_set_when_reads_have_used_their_half(
    plane: Plane, fake: FakePlane, project: Project
) -> None:
    ticket = fake.create_ticket(project.id, "Cart")
    for _ in range(30):
        await plane.identifier()
    with pytest.raises(RateLimited):
        await plane.identifier()
    await plane.set_state(ticket.id, project.state("Blocked").id)
    assert fake.state_of(ticket.id) == "Blocked"


async def test_what_others_use_of_the_token_is_left_to_them(plane: Plane, fake: FakePlane, clock: ManualClock) -> None:
    fake.limit.served[fake.api_key] = [clock.now()] * 56
    await plane.identifier()
    await plane.identifier()
    with pytest.raises(RateLimited, match="nothing was sent"):
        await plane.identifier()
