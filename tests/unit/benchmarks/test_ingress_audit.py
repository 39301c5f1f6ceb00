"""The judge of the ingress: what was acknowledged is held by the API server, or it is lost."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Self

import pytest

from benchmarks import ingress_audit
from benchmarks.ingress_audit import Held, judge, places, requests_so_far, value_of
from benchmarks.ingress_events import Event, Kind, Place
from benchmarks.ingress_sender import Sent
from conveyor.api.annotations import HintClass

NAMESPACE = "shop"
PUSH, TAG = Event(1, Kind.PUSH), Event(2, Kind.TAG)
AGAIN = Event(1, Kind.PUSH, again=True)


def sent(*answers: tuple[int, str]) -> Sent:
    return Sent([code for code, _ in answers], [word for _, word in answers], [0.0] * len(answers))


def held(*events: Event) -> Held:
    return {event.place: [value_of(event, NAMESPACE)] for event in events if event.place}


def test_what_is_held_and_answered_as_it_should_be_is_counted() -> None:
    answers = sent((202, "accepted"), (200, "ignored"), (200, "duplicate"))
    verdict = judge([PUSH, TAG, AGAIN], answers, held(PUSH), namespace=NAMESPACE)
    assert (verdict.accepted, verdict.ignored, verdict.duplicates) == (1, 1, 1)
    assert (verdict.wrong, verdict.lost) == ([], [])


@pytest.mark.parametrize("word", ["accepted", "duplicate"])
def test_acknowledged_and_not_held_is_lost(word: str) -> None:
    verdict = judge([PUSH], sent((202 if word == "accepted" else 200, word)), {}, namespace=NAMESPACE)
    assert verdict.lost == [0]


def test_acknowledged_and_held_with_another_value_is_lost() -> None:
    other = {place: ["another"] for place in held(PUSH)}
    assert judge([PUSH], sent((202, "accepted")), other, namespace=NAMESPACE).lost == [0]


def test_what_was_not_acknowledged_is_not_lost() -> None:
    verdict = judge([PUSH, PUSH], sent((0, ""), (503, "unavailable")), {}, namespace=NAMESPACE)
    assert (verdict.not_answered, verdict.refused, verdict.lost) == (1, 1, [])


@pytest.mark.parametrize(
    ("events", "answers"),
    [
        pytest.param([PUSH], [(200, "ignored")], id="news is ignored"),
        pytest.param([PUSH], [(200, "duplicate")], id="news is a duplicate"),
        pytest.param([PUSH], [(200, "accepted")], id="accepted with the code of another answer"),
        pytest.param([PUSH], [(401, "unauthorized")], id="a signature is not believed"),
        pytest.param([TAG], [(202, "accepted")], id="nothing of ours is accepted"),
        pytest.param([PUSH, AGAIN], [(202, "accepted"), (202, "accepted")], id="a repetition is written again"),
    ],
)
def test_answer_that_is_not_right_is_told(events: Sequence[Event], answers: Sequence[tuple[int, str]]) -> None:
    assert len(judge(events, sent(*answers), held(PUSH), namespace=NAMESPACE).wrong) == 1


@pytest.mark.parametrize("answer", [(202, "accepted"), (200, "duplicate")])
def test_repetition_of_what_nobody_answered_may_be_news_or_not(answer: tuple[int, str]) -> None:
    verdict = judge([PUSH, AGAIN], sent((0, ""), answer), held(PUSH), namespace=NAMESPACE)
    assert (verdict.wrong, verdict.lost) == ([], [])


def test_places_of_an_object_are_its_hints() -> None:
    annotations = {"hint.conveyor.dev/push": "main 01", "hint.conveyor.dev/unheard": "x", "conveyor.dev/freeze": "y"}
    found = places("workitems", {"metadata": {"name": "a", "annotations": annotations}})
    assert found == {Place("workitems", "a", HintClass.PUSH): "main 01"}
    assert places("workitems", {"metadata": {"name": "a"}}) == {}


def test_requests_for_our_kinds_are_counted_and_watches_are_not() -> None:
    exposition = """# HELP apiserver_request_total Counter
apiserver_request_total{code="200",component="apiserver",group="conveyor.dev",resource="workitems",verb="GET"} 3
apiserver_request_total{code="404",component="apiserver",group="conveyor.dev",resource="workitems",verb="GET"} 1
apiserver_request_total{code="200",component="apiserver",group="conveyor.dev",resource="workitems",verb="PATCH"} 2e+01
apiserver_request_total{code="0",component="apiserver",group="conveyor.dev",resource="workitems",verb="WATCH"} 7
apiserver_request_total{code="200",component="apiserver",group="",resource="secrets",verb="GET"} 9
"""
    assert requests_so_far(exposition) == {"GET": 4, "PATCH": 20}


class Listed:
    """An API server that only says which lists it was asked for; its watches tell nothing."""

    asked: list[str]

    def __init__(self, _: Path) -> None:
        Listed.asked = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return

    async def request(self, _: str, path: str) -> dict[str, Any]:
        self.asked.append(path.rpartition("/")[2])
        return {"metadata": {"resourceVersion": "7"}}

    async def watch(self, _: str, *, resource_version: str) -> AsyncIterator[dict[str, Any]]:
        assert resource_version == "7"
        await asyncio.Event().wait()
        yield {}


async def test_nothing_is_sent_before_it_is_known_from_where_to_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingress_audit, "AsyncKube", Listed)
    async with ingress_audit.watched(Path("unused"), "team"):
        assert Listed.asked == list(ingress_audit.KINDS)
        await asyncio.sleep(0)  # the watches begin, from that version
