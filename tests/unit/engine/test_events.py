"""Events: named by what they say, harmless whatever they quote, and never in the way."""

from typing import Any

import pytest

from conveyor.cluster.protocol import Key, Kind
from conveyor.engine.events import MAX_NOTE_BYTES, EventRecorder, Regarding, event, plain
from conveyor.pipeline.actions import Note
from tests.fakes.memory_cluster import Fault
from tests.unit.engine.process import Process
from tests.unit.engine.rig import Rig
from tests.unit.pipeline.builders import NOW

CART = Regarding(Kind.WORKITEM, Key("team", "cart"), "uid-1")


@pytest.mark.parametrize("text", ["\x1b[31mred\x1b[0m", "a\nb\r\0c", "\u202eback", "\u2028line"])
def test_control_characters_are_taken_out(text: str) -> None:
    assert plain(text).isprintable()


@pytest.mark.parametrize("letter", ["x", "щ", "🚀"])
def test_note_is_cut_to_what_an_event_takes_at_whole_letters(letter: str) -> None:
    cut = plain(letter * 2000)
    assert MAX_NOTE_BYTES - 4 < len(cut.encode()) <= MAX_NOTE_BYTES
    assert set(cut) == {letter}


def test_same_words_have_one_name_and_others_another() -> None:
    names = {
        event(about, Note(reason, text), now=NOW, by="me")["metadata"]["name"]
        for about in (CART, Regarding(CART.kind, CART.key, "uid-2"))
        for reason in ("Rework", "Approved")
        for text in ("red", "red", "green")
    }
    assert len(names) == 8


def test_event_names_its_object() -> None:
    found = event(
        Regarding(Kind.REPOSITORY, Key("team", "shop"), "u"),
        Note("Unreadable", "why", warning=True),
        now=NOW,
        by="x" * 999,
    )
    assert (found["regarding"]["kind"], found["regarding"]["name"], found["type"]) == ("Repository", "shop", "Warning")
    assert len(found["reportingInstance"]) == 128


async def process(**settings: Any) -> tuple[Rig, Process]:
    rig = Rig(**settings)
    return rig, await rig.boot()


@pytest.mark.parametrize("fault", [Fault.UNAVAILABLE, Fault.REJECTED, Fault.RATE_LIMITED, Fault.ANSWER_LOST])
async def test_event_that_cannot_be_stored_keeps_nobody_waiting(fault: Fault) -> None:
    rig, running = await process()
    rig.cluster.fail_next("record_event", fault)
    await EventRecorder(running.world).record(CART, (Note("First", "one"), Note("Second", "two")))
    assert "Second" in [reason for reason, _ in rig.notes()]


async def test_switched_off_there_are_none() -> None:
    rig, running = await process(events=False)
    await EventRecorder(running.world).record(CART, (Note("First", "one"),))
    assert rig.notes() == []
