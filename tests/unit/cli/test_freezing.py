"""`freeze` and `unfreeze`: what is written to the Repository, what the operator's answer becomes, what Git may undo."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

import pytest

from conveyor.api.annotations import REQUEST_PREFIX, parse_request
from conveyor.api.fields import rfc3339
from conveyor.api.objects import Repository
from conveyor.cli.api import JSONObject
from conveyor.cli.commands import WrongTime
from conveyor.cli.until import read_until
from conveyor.pipeline.readiness import frozen
from conveyor.pipeline.repository_verbs import answered
from tests.unit.cli.memory_api import MemoryApi
from tests.unit.cli.objects import NOW, ago, repository
from tests.unit.cli.sessions import Time, command

GIT = "if Git keeps this Repository, its next sync {}: change it there\n"
TAKES, SETS = GIT.format("takes the annotation away again"), GIT.format("sets the annotation again")
FREEZE, UNTIL, SCOPE = (f"conveyor.dev/freeze{end}" for end in ("", "-until", "-scope"))


def automatic(name: str = "t-1") -> JSONObject:
    return {"id": name, "reason": f"{name} failed", "item": "shop-et-2", "scope": "merge", "sinceTime": ago(hours=1)}


def operator(obj: JSONObject) -> None:
    """What the operator makes of a change, by its own functions."""
    whole = Repository.model_validate(obj)
    found = answered(whole, NOW, looked=True)
    status = frozen(whole.model_copy(update={"status": found.status}), now=NOW)
    obj["status"] = status.dump()


def shop(*freezes: JSONObject, away: bool = False, annotations: Mapping[str, str] | None = None) -> MemoryApi:
    status = {"freezes": list(freezes)}
    answers: Callable[[JSONObject], None] = (lambda _: None) if away else operator
    return MemoryApi([], [repository(status=status, annotations=annotations or {})], on_patch=answers)


# --- freeze


async def test_a_freeze_is_an_annotation_and_says_that_git_may_take_it_away() -> None:
    api = shop()
    result = await command(api, "freeze shop release week")
    (patch,) = api.patches
    assert patch == {"metadata": {"annotations": {FREEZE: "release week", SCOPE: None, UNTIL: None}}}
    assert (result.code, result.notes) == (0, TAKES)
    assert result.output == "freeze shop: frozen by the annotation, nothing new starts: release week\n"


async def test_scope_and_end_are_written_and_told() -> None:
    api = shop()
    result = await command(api, "freeze shop --scope merge --until 4h audit")
    end = rfc3339(NOW + timedelta(hours=4))
    assert api.patches[0]["metadata"]["annotations"] == {FREEZE: "audit", SCOPE: "merge", UNTIL: end}
    assert result.output == (
        f"freeze shop: frozen by the annotation until {end}, nothing new starts or is merged: audit\n"
    )


async def test_a_freeze_in_place_of_another_names_the_other() -> None:
    result = await command(shop(annotations={FREEZE: "holidays", UNTIL: "2027-01-01T00:00:00Z"}), "freeze shop audit")
    assert result.notes == f"it replaces the freeze 'holidays'; {TAKES}"
    assert "until" not in result.output


async def test_a_deploys_freeze_that_is_wider_is_what_holds() -> None:
    result = await command(shop(automatic()), "freeze shop audit")
    assert result.output == "freeze shop: frozen by a deploy, nothing new starts or is merged: t-1 failed\n"


async def test_nobody_answers_in_time_it_is_told_and_git_all_the_same() -> None:
    time = Time()
    result = await command(shop(away=True), "freeze shop audit", time=time)
    late = "freeze shop: asked for, but not answered within 10 s: is the operator running?\n"
    assert (result.code, result.notes, time.seconds) == (4, late + TAKES, 10)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("soon", "'soon' is no time"),
        ("2026-12-01T08:00:00", "'2026-12-01T08:00:00' has no zone"),
        ("2026-03-02T11:59:59Z", "'2026-03-02T11:59:59Z' is over already"),
        ("9999-12-31T23:59:59-14:00", "is beyond all times"),
    ],
)
async def test_an_end_that_is_none_is_refused_before_anything_is_written(text: str, why: str) -> None:
    api = shop()
    with pytest.raises(WrongTime, match=r"^argument --until: ") as refused:
        await command(api, f"freeze shop --until {text} audit")
    assert why in str(refused.value)
    assert "such as 90m, 4h, 2d" in str(refused.value)
    assert api.patches == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90m", NOW + timedelta(minutes=90)),
        ("2d", NOW + timedelta(days=2)),
        ("2026-03-02T14:00:00+01:00", NOW + timedelta(hours=1)),
    ],
)
def test_an_end_is_a_time_or_a_span(text: str, expected: datetime) -> None:
    assert read_until(text, NOW) == expected


# --- unfreeze


async def test_the_only_freeze_needs_no_name() -> None:
    api = shop(automatic())
    result = await command(api, "unfreeze shop")
    found = parse_request(*next(iter(api.patches[0]["metadata"]["annotations"].items())))
    assert found is not None
    assert (found.verb, found.by, found.text) == ("unfreeze", "ann@example.org", "t-1")
    assert (result.code, result.output, result.notes) == (0, "unfreeze shop: Accepted\n", "")


async def test_a_reason_goes_with_the_id() -> None:
    api = shop(automatic())
    await command(api, "unfreeze shop t-1 the cause is mended")
    (value,) = api.patches[0]["metadata"]["annotations"].values()
    assert value.endswith(" by=ann@example.org t-1 the cause is mended")


async def test_of_several_one_has_to_be_named() -> None:
    api = shop(automatic("t-1"), automatic("t-2"), annotations={FREEZE: "audit"})
    result = await command(api, "unfreeze shop")
    assert (result.code, api.patches) == (1, [])
    assert result.notes == ("unfreeze shop: say which: t-1, t-2, annotation, or all for those that deploys caused\n")


async def test_what_still_holds_after_it_is_told() -> None:
    result = await command(shop(automatic(), annotations={FREEZE: "audit"}), "unfreeze shop all")
    assert result.output == (
        "unfreeze shop: Accepted; still frozen: frozen by the annotation, nothing new starts: audit\n"
    )


async def test_the_annotation_is_taken_away_and_git_may_set_it_again() -> None:
    api = shop(annotations={FREEZE: "audit", SCOPE: "merge", UNTIL: "2027-01-01T00:00:00Z"})
    result = await command(api, "unfreeze shop annotation")
    assert api.patches == [{"metadata": {"annotations": {FREEZE: None, SCOPE: None, UNTIL: None}}}]
    assert (result.code, result.output, result.notes) == (0, "unfreeze shop: not frozen\n", SETS)


@pytest.mark.parametrize(
    ("api", "line", "why"),
    [
        (shop(), "unfreeze shop", "it is not frozen"),
        (shop(automatic()), "unfreeze shop annotation", "it has no annotation conveyor.dev/freeze; there stand t-1"),
        (shop(automatic()), "unfreeze shop t-9", "Refused: no automatic freeze t-9 stands; there stand t-1"),
    ],
)
async def test_what_is_not_there_is_not_ended(api: MemoryApi, line: str, why: str) -> None:
    result = await command(api, line)
    assert (result.code, result.output, result.notes) == (1, "", f"unfreeze shop: {why}\n")


async def test_no_wait_only_stores_it() -> None:
    api, time = shop(automatic(), away=True), Time()
    result = await command(api, "unfreeze shop --no-wait", time=time)
    assert (result.code, result.output, time.seconds) == (0, "unfreeze shop: asked for\n", 0)
    assert list(api.patches[0]["metadata"]["annotations"]) == [f"{REQUEST_PREFIX}unfreeze"]


async def test_a_repository_that_cannot_be_read_is_left_alone() -> None:
    api = shop()
    api.repositories_of("team")["shop"]["spec"] = {}
    result = await command(api, "unfreeze shop")
    assert (result.code, api.patches) == (1, [])
    assert "cannot be read" in result.notes
