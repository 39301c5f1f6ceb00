"""The soak's judge finds what must not be, and is silent about items that went as they should."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from tests.faults.agents import Ran, Work
from tests.faults.audit import Audit, Intent, Story
from tests.faults.objects import write_kubeconfig
from tests.faults.project import Found, Project
from tests.soak.people import Job
from tests.soak.verdict import Seen, Whole, effects, findings
from tests.soak.ways import PLOTS, Way

Object = dict[str, Any]
PLOT, HEAD = PLOTS[0], "1" * 40
NO_PROJECT = cast("Project", None)


class Scene:
    """One item that was cut, proposed, merged and deployed, each once."""

    def __init__(self, directory: Path) -> None:
        audit = Audit(write_kubeconfig(directory / "kubeconfig", "http://127.0.0.1:1"), "x")
        status: Object = {"stage": "done", "mergeSHA": HEAD}
        self.story = Story("uid", {"metadata": {"name": "cart"}, "status": status})
        audit.items["cart"] = self.story
        self.status = status
        for effect in ("CutBranch", "OpenPullRequest", "Merge", "Production"):
            intent = Intent(effect.lower(), effect, {"headSHA": HEAD}, "feature/CART")
            self.story.intents[intent.id] = intent
        self.ran = [Ran("Production", "cart-production", HEAD, "production")]
        self.job = Job("cart", PLOT, Way.PLAIN, Work(NO_PROJECT, ran=self.ran), acts=False)
        pull = {"number": 1, "merged": True, "state": "closed", "head": {"ref": "feature/CART"}}
        self.found = Found(main=HEAD, moves=("0" * 40, HEAD), branches=("feature/CART",), pulls=(pull,))
        self.subjects = {"0" * 40: "Begin", HEAD: "Work of the developer", "2" * 40: "Work of nobody"}
        self.audit = audit

    def whole(self) -> Whole:
        return Whole(self.audit, [self.job], {PLOT.name: Seen(NO_PROJECT, self.found, self.subjects)})


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_item_that_went_its_way_is_no_finding(scene: Scene) -> None:
    assert list(findings(scene.whole())) == []


def test_item_that_went_to_production_with_a_later_one_is_no_finding(scene: Scene) -> None:
    del scene.story.intents["production"]
    scene.ran.clear()
    assert any("was deployed 0 times" in line for line in findings(scene.whole()))
    later = "3" * 40
    other = Job("pear", PLOT, Way.BY_HAND, Work(NO_PROJECT, ran=[Ran("Production", "p", later, "")]), acts=False)
    scene.found = replace(scene.found, moves=("0" * 40, HEAD, later))
    scene.subjects[later] = "Work of others"
    whole = replace(scene.whole(), jobs=[scene.job, other])
    assert not any(line.startswith("lost: cart") for line in findings(whole))


def test_effects_are_counted_by_intent(scene: Scene) -> None:
    counted = {effect: (found.intents, found.times[1]) for effect, found in effects(scene.whole()).items()}
    happened = dict.fromkeys(("CutBranch", "OpenPullRequest", "Merge", "Production"), (1, 1))
    assert counted == {"Image": (0, 0), "Staging": (0, 0), "Rollback": (0, 0)} | happened


def _main_moved_to(scene: Scene, *shas: str) -> None:
    scene.found = replace(scene.found, moves=("0" * 40, *shas))


WRONG: dict[str, tuple[Callable[[Scene], object], str]] = {
    "main put to one commit twice": (lambda it: _main_moved_to(it, HEAD, HEAD), "double: main"),
    "main put to what nobody intended": (lambda it: _main_moved_to(it, HEAD, "2" * 40), "nobody has intended"),
    "a merge that is not on main": (_main_moved_to, "lost: cart was merged 0 times"),
    "a Job's pod that ran twice": (lambda it: it.ran.append(it.ran[0]), "double: 2 pods"),
    "a deploy of another commit": (lambda it: it.status.update(mergeSHA="2" * 40), "lost: cart was deployed"),
    "a deploy of a cancelled item": (lambda it: it.status.update(stage="cancelled"), "double: cart is cancelled"),
    "a branch nobody intended": (
        lambda it: setattr(it, "found", replace(it.found, branches=("feature/CART", "feature/CART-2"))),
        "feature/CART-2",
    ),
    "an item under way": (lambda it: it.status.update(stage="review"), "half: cart"),
    "an intent on record": (lambda it: it.status.update(transition={"effect": "Merge"}), "half: cart"),
    "a write against the rules": (lambda it: it.story.offences.append("illegal edge"), "rule: cart"),
    "a person who was not needed after all": (lambda it: setattr(it.job, "acts", True), "half: cart"),
}


@pytest.mark.parametrize(("spoil", "wanted"), WRONG.values(), ids=WRONG)
def test_what_must_not_be_is_found(scene: Scene, spoil: Callable[[Scene], object], wanted: str) -> None:
    spoil(scene)
    found = list(findings(scene.whole()))
    assert [line for line in found if wanted in line] != [], found
