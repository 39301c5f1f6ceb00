"""From when a change counts as stored, and what its way to a transition is made of."""

from pathlib import Path

from benchmarks.changing import Change, Changer
from benchmarks.merged import MergedFile
from benchmarks.reaction import Reaction
from conveyor.cluster.protocol import JSONObject


def item(stage: str) -> JSONObject:
    return {"metadata": {"name": "shop-100000"}, "status": {"stage": stage}}


def changer(path: Path) -> Changer:
    return Changer(path / "kubeconfig", "shop", MergedFile.create(path / "merged", items=1), per_second=20)


def test_the_watch_proves_a_change_stored_before_its_answer_came(tmp_path: Path) -> None:
    watcher, change = changer(tmp_path), Change("shop-100000", sent=1.0)
    watcher.changes["shop-100000"] = change

    watcher.saw(item("review"), 1.5)
    watcher.saw(item("done"), 2.0)
    watcher.saw(item("done"), 3.0)

    assert (change.stored, change.moved) == (1.5, 2.0)


def test_an_answer_that_came_first_is_the_proof(tmp_path: Path) -> None:
    watcher, change = changer(tmp_path), Change("shop-100000", sent=1.0, stored=1.2)
    watcher.changes["shop-100000"] = change

    watcher.saw(item("review"), 1.5)

    assert (change.stored, change.moved) == (1.2, 0.0)


def test_items_that_nobody_changed_are_nothing_to_the_watch(tmp_path: Path) -> None:
    watcher = changer(tmp_path)

    watcher.saw(item("done"), 1.0)

    assert watcher.changes == {}


def test_the_parts_of_a_reaction_follow_each_other() -> None:
    marks = {"seen": 1.5, "began": 1.75, "sent": 2.75, "stored": 4.75}

    found = Reaction.of(Change("shop-100000", sent=0.75, stored=1.0, moved=5.0), marks)

    assert found == Reaction(whole=4.0, with_change=4.25, change=0.25, seen=0.5, queued=0.25, decided=1.0, written=2.0)
