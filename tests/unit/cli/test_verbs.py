"""Verbs: what is written, what the operator's answer becomes, and what happens without one."""

from collections.abc import Callable
from typing import Any

import pytest

from conveyor.api.annotations import MAX_REQUEST_LENGTH, REQUEST_PREFIX, parse_request
from conveyor.cli.api import JSONObject
from conveyor.cli.asking import TooLong, request
from conveyor.web.errors import NotFound, Refused
from tests.unit.cli.memory_api import MemoryApi
from tests.unit.cli.objects import ago, at, item, last_run, stalled, waiting
from tests.unit.cli.sessions import Time, command

GATE = item(status=at("analysis", waiting=waiting("Approval")))


def answering(result: str) -> Callable[[JSONObject], None]:
    """An operator that gives every request this answer."""

    def answer(obj: JSONObject) -> None:
        for key, value in obj["metadata"].get("annotations", {}).items():
            found = parse_request(key, value)
            if found is not None:
                echo = {"verb": found.verb.value, "id": found.id, "result": result, "time": ago()}
                obj["status"]["handledRequests"] = [echo]

    return answer


async def test_a_verb_is_asked_for_by_the_person_whom_the_api_server_knows() -> None:
    api = MemoryApi([GATE], on_patch=answering("Accepted"))
    result = await command(api, "reject shop-et-17 the scope is wrong")
    (patch,) = api.patches
    found = parse_request(*next(iter(patch["metadata"]["annotations"].items())))
    assert found is not None
    assert (found.verb, found.by, found.text) == ("reject", "ann@example.org", "the scope is wrong")
    assert (result.code, result.output) == (0, "reject shop-et-17: Accepted\n")


async def test_two_requests_have_two_ids() -> None:
    api = MemoryApi([GATE], on_patch=answering("Accepted"))
    await command(api, "refresh shop-et-17")
    await command(api, "refresh shop-et-17")
    first, second = (patch["metadata"]["annotations"][f"{REQUEST_PREFIX}refresh"] for patch in api.patches)
    assert first != second


async def test_a_refusal_ends_with_1_and_its_reason_on_standard_error() -> None:
    api = MemoryApi([GATE], on_patch=answering("Refused: no gate is open"))
    result = await command(api, "approve shop-et-17")
    assert (result.code, result.output, result.notes) == (1, "", "approve shop-et-17: Refused: no gate is open\n")


async def test_an_earlier_answer_is_not_taken_for_this_one() -> None:
    old = {"verb": "approve", "id": "old", "result": "Accepted", "time": ago(hours=1)}
    api = MemoryApi([item(status=at("analysis", handledRequests=[old]))])
    assert (await command(api, "approve shop-et-17 --wait 1")).code == 4


async def test_nobody_answers_in_time_it_says_so_and_ends_with_4() -> None:
    time = Time()
    result = await command(MemoryApi([GATE]), "approve shop-et-17", time=time)
    assert result.code == 4
    assert result.notes == (
        "approve shop-et-17: asked for, but not answered within 10 s (it waits: because of Approval): "
        "is the operator running?\n"
    )
    assert time.seconds == 10


async def test_an_answer_that_comes_later_is_waited_for() -> None:
    api, time = MemoryApi([GATE]), Time()

    def later() -> None:
        if time.seconds > 3:
            answering("Accepted")(api.items["team", "shop-et-17"])

    time.then = later
    assert (await command(api, "approve shop-et-17", time=time)).code == 0
    assert time.seconds == pytest.approx(3.25)


async def test_no_wait_only_stores_the_request() -> None:
    api, time = MemoryApi([GATE]), Time()
    result = await command(api, "approve shop-et-17 --no-wait", time=time)
    assert (result.code, result.output, time.seconds) == (0, "approve shop-et-17: asked for\n", 0)
    assert len(api.patches) == 1


async def test_hold_sets_suspend_and_resume_takes_it_back_without_a_request() -> None:
    api = MemoryApi([GATE])
    held = await command(api, "hold shop-et-17")
    resumed = await command(api, "resume shop-et-17")
    assert api.patches == [{"spec": {"suspend": True}}, {"spec": {"suspend": False}}]
    assert (held.output, resumed.output) == ("hold shop-et-17: held\n", "resume shop-et-17: no longer held\n")


@pytest.mark.parametrize(
    "status",
    [
        at("review", **stalled("CISilent")),
        at("analysis", lastRun=last_run(verdict="blocked", question="which colour?")),
    ],
    ids=["stalled", "asks"],
)
async def test_resume_of_a_held_item_that_more_than_that_holds_does_both_in_one_write(status: dict[str, Any]) -> None:
    api = MemoryApi([item(spec={"suspend": True}, status=status)], on_patch=answering("Accepted"))
    result = await command(api, "resume shop-et-17")
    (patch,) = api.patches
    assert patch["spec"] == {"suspend": False}
    assert list(patch["metadata"]["annotations"]) == [f"{REQUEST_PREFIX}resume"]
    assert result.code == 0


async def test_what_is_held_already_is_not_written_again() -> None:
    api = MemoryApi([item(spec={"suspend": True}, status=at("review"))])
    assert (await command(api, "hold shop-et-17")).code == 0
    assert api.patches == []


async def test_cancel_is_done_when_the_stage_says_so() -> None:
    def cancelled(obj: JSONObject) -> None:
        obj["status"]["stage"] = "cancelled"

    api = MemoryApi([GATE], on_patch=cancelled)
    result = await command(api, "cancel shop-et-17")
    assert (result.code, result.output) == (0, "cancel shop-et-17: cancelled\n")
    assert api.patches == [{"spec": {"cancel": True}}]


async def test_a_cancel_that_has_to_wait_says_what_for() -> None:
    api = MemoryApi([item(status=at("deploy", waiting=waiting("Deploy", "the deploy Job is at work")))])
    result = await command(api, "cancel shop-et-17")
    assert result.code == 4
    assert "it waits: the deploy Job is at work" in result.notes


async def test_a_done_item_cannot_be_cancelled() -> None:
    result = await command(MemoryApi([item(status=at("done"))]), "cancel shop-et-17")
    assert (result.code, result.notes) == (1, "cancel shop-et-17: Refused: the item is done\n")


async def test_an_item_that_is_not_there_is_not_found() -> None:
    with pytest.raises(NotFound):
        await command(MemoryApi(), "approve shop-et-17")


async def test_the_users_own_rights_count() -> None:
    with pytest.raises(Refused, match="ann may not patch"):
        await command(MemoryApi([GATE], may_patch=False), "approve shop-et-17")


async def test_a_reason_that_does_not_fit_is_refused_before_anything_is_written() -> None:
    api = MemoryApi([GATE])
    with pytest.raises(TooLong):
        await command(api, f"reject shop-et-17 {'x' * MAX_REQUEST_LENGTH}")
    assert api.patches == []


@pytest.mark.parametrize(
    ("by", "text", "read_by", "read_text"),
    [
        ("ann", "by=mallory do it", "ann", "by=mallory do it"),
        ("", "by=mallory do it", "unknown", "by=mallory do it"),
        ("ann smith", "", "annsmith", ""),
        ("system:serviceaccount:team:bot", "line\none\x1b[31m", "system:serviceaccount:team:bot", "line one"),
        ("x" * 500, "why", "x" * 128, "why"),
    ],
)
def test_no_text_can_speak_for_another_person(by: str, text: str, read_by: str, read_text: str) -> None:
    found = parse_request(f"{REQUEST_PREFIX}reject", request("a1", by=by, text=text))
    assert found is not None
    assert (found.id, found.by, found.text) == ("a1", read_by, read_text)


# --- override and release-lease


def asked_of(api: MemoryApi) -> tuple[str, str]:
    """Verb and text of the only request."""
    (patch,) = api.patches
    found = parse_request(*next(iter(patch["metadata"]["annotations"].items())))
    assert found is not None
    return found.verb.value, found.text


@pytest.mark.parametrize(
    ("move", "text"),
    [
        ("done", "analysis>done merged by hand"),
        ("analysis>done", "analysis>done merged by hand"),
        ("review>done", "review>done merged by hand"),
    ],
)
async def test_an_override_starts_where_the_item_is_unless_it_says_from_where(move: str, text: str) -> None:
    api = MemoryApi([GATE], on_patch=answering("Accepted"))
    result = await command(api, f"override shop-et-17 {move} merged by hand")
    assert asked_of(api) == ("override", text)
    assert (result.code, result.output) == (0, "override shop-et-17: Accepted\n")


async def test_an_item_that_was_not_seen_yet_is_overridden_from_created() -> None:
    api = MemoryApi([item()], on_patch=answering("Accepted"))
    await command(api, "override shop-et-17 cancelled by mistake")
    assert asked_of(api) == ("override", "created>cancelled by mistake")


async def test_an_override_without_the_right_to_it_is_refused_before_anything_changes() -> None:
    api = MemoryApi([GATE], may_patch=False)
    with pytest.raises(Refused, match="403"):
        await command(api, "override shop-et-17 done why not")
    assert api.patches == []


@pytest.mark.parametrize(("line", "text"), [("", ""), (" its node is lost", "its node is lost")])
async def test_leases_are_released_with_or_without_a_reason(line: str, text: str) -> None:
    api = MemoryApi([GATE], on_patch=answering("Refused: no Lease of this item is there"))
    result = await command(api, f"release-lease shop-et-17{line}")
    assert asked_of(api) == ("release-lease", text)
    assert (result.code, result.notes) == (
        1,
        "release-lease shop-et-17: Refused: no Lease of this item is there\n",
    )


async def test_a_command_in_an_answer_is_about_the_same_namespace() -> None:
    said = "Refused: spec.suspend is set: kubectl workitem resume shop-et-17 takes it back"
    api = MemoryApi([GATE], on_patch=answering(said))
    result = await command(api, "rework shop-et-17 -n team why not")
    assert result.notes.endswith(": kubectl workitem resume shop-et-17 -n team takes it back\n")
