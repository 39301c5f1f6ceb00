"""Which objects a benchmark finds in the store."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from benchmarks import naming
from benchmarks.outside import Mood
from benchmarks.templates import Template, ready_repository, repository_spec
from benchmarks.walk import OCCUPIED, Walk
from conveyor.api.annotations import ITEMS_FINALIZER
from conveyor.api.answers import Verdict
from conveyor.api.stages import Role, Stage
from conveyor.api.workitem import WorkItemStatus
from conveyor.cluster.protocol import JSONObject

LANES_OF_A_RUN = 100
ITEMS_OF_A_LANE = 15
UNDER_WAY = 0
"""Of the items of a lane at rest: the first is under way, the last wait, the others have ended."""
CANCELLED, MOVER, FIRST_WAITING = 1, 2, 12


@dataclass(frozen=True)
class Objects:
    """What is to be in one namespace. `active` says which item a Repository admitted last."""

    namespace: str
    items: tuple[JSONObject, ...]
    repositories: tuple[JSONObject, ...]
    active: dict[str, str]

    def secrets(self) -> Iterator[JSONObject]:
        """What the Repositories name; a token says whose it is."""
        agents = {role.value: f"{role.value}-bot" for role in Role}
        given = {"forge": {"token": naming.OPERATOR}, "agents": agents}
        for name, values in given.items():
            text = values | {"url": "https://git.example"}
            yield {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": text}


def passed(stage: Stage) -> Callable[[WorkItemStatus], bool]:
    """The stage's role has passed, and its gates were not asked yet."""

    def reached(status: WorkItemStatus) -> bool:
        last = status.last_run
        return last is not None and (last.stage, last.verdict) == (stage, Verdict.PASS)

    return reached


async def at_work(namespace: str, *, items: int, stage: Stage, tickets: bool = False) -> Objects:
    """Items that nothing but the operator keeps from moving on: their stage's role has passed."""
    spec = repository_spec(serial=False, tickets=tickets, person=False)
    template = await Walk(spec, ticket=tickets).until(passed(stage))
    return await _objects(
        namespace, {naming.FIRST_NUMBER + index: (index % LANES_OF_A_RUN, template) for index in range(items)}, [spec]
    )


async def unreviewed(namespace: str, *, items: int) -> Objects:
    """Items that wait for the forge's reviewers, as many as want to."""
    spec = repository_spec(serial=False, tickets=False, person=False)
    template = await Walk(spec, ticket=False, mood=Mood.UNREVIEWED).to_rest()
    return await _objects(
        namespace, {naming.FIRST_NUMBER + index: (index % LANES_OF_A_RUN, template) for index in range(items)}, [spec]
    )


async def at_rest(namespace: str, *, items: int, movers: Stage | None = None) -> Objects:
    """A service in its third year: nearly all items have ended; each repository has one under way and some waiting.

    What is under way waits for a person, for CI or for a review, a third of the repositories each.

    `movers`: one more of each repository, made by hand, is in that stage, and nothing but the operator keeps it there.
    """
    specs = [repository_spec(serial=True, tickets=True, person=person) for person in (True, False, False)]
    moods = [Mood.GREEN, Mood.CI_AT_WORK, Mood.UNREVIEWED]
    under_way = [await Walk(spec, ticket=True, mood=mood).to_rest() for spec, mood in zip(specs, moods, strict=True)]
    done = await Walk(specs[1], ticket=True).to_rest()
    waiting = await Walk(specs[1], ticket=True, lane=OCCUPIED).to_rest()
    cancelled_walk = Walk(specs[1], ticket=True)
    await cancelled_walk.until(lambda status: status.stage == Stage.ARCHITECTURE)
    cancelled_walk.cancel()
    cancelled = await cancelled_walk.to_rest()
    mover = await Walk(specs[1], ticket=False).until(passed(movers)) if movers is not None else done

    def template(index: int) -> Template:
        lane, place = divmod(index, ITEMS_OF_A_LANE)
        if place == MOVER:
            return mover
        if place == UNDER_WAY:
            return under_way[lane % len(under_way)]
        if place == CANCELLED:
            return cancelled
        return waiting if place >= FIRST_WAITING else done

    chosen = {naming.FIRST_NUMBER + index: (index // ITEMS_OF_A_LANE, template(index)) for index in range(items)}
    return await _objects(namespace, chosen, specs)


def only(objects: Objects, chosen: Callable[[int], bool], *, namespace: str) -> Objects:
    """Some of the items, in a namespace without Repositories."""
    items = (item for item in objects.items if chosen(naming.number_in(item["metadata"]["name"])))
    moved = (item | {"metadata": item["metadata"] | {"namespace": namespace}} for item in items)
    return Objects(namespace, tuple(moved), (), {})


def is_mover(number: int) -> bool:
    """Whether `at_rest` makes this item one of its movers."""
    return (number - naming.FIRST_NUMBER) % ITEMS_OF_A_LANE == MOVER


async def in_line(namespace: str, *, lanes: int, waiting: int) -> Objects:
    """In each repository one item waits for a person, and so many for it. Nothing has ended."""
    spec = repository_spec(serial=True, tickets=True, person=True)
    first = await Walk(spec, ticket=True).to_rest()
    behind = await Walk(spec, ticket=True, lane=OCCUPIED).to_rest()
    each = 1 + waiting
    chosen = {
        naming.FIRST_NUMBER + index: (index // each, behind if index % each else first) for index in range(lanes * each)
    }
    return await _objects(namespace, chosen, [spec])


def mood_at_rest(number: int) -> Mood:
    """What the forge says of an item made by `at_rest`."""
    lane = (number - naming.FIRST_NUMBER) // ITEMS_OF_A_LANE
    return (Mood.GREEN, Mood.CI_AT_WORK, Mood.UNREVIEWED)[lane % 3]


MOODS: Mapping[str, Callable[[int], Mood]] = {
    "green": lambda _: Mood.GREEN,
    "unreviewed": lambda _: Mood.UNREVIEWED,
    "at rest": mood_at_rest,
}
KEPT_BACK: Mapping[str, Callable[[int], bool]] = {
    "none": lambda _: False,
    "all": lambda _: True,
    "movers": is_mover,
}
"""By the names that a plan has for them."""


AT_NO_WORK = (None, Stage.CREATED, Stage.DONE, Stage.CANCELLED)
"""Stages of items that hold no Repository."""


async def _objects(namespace: str, items: dict[int, tuple[int, Template]], lane_specs: list[JSONObject]) -> Objects:
    repositories = [await ready_repository(spec, namespace) for spec in lane_specs]
    lanes = sorted({lane for lane, _ in items.values()})
    held = {lane for lane, template in items.values() if template.status.get("stage") not in AT_NO_WORK}

    def repository(lane: int) -> JSONObject:
        template, name = repositories[lane % len(repositories)], naming.lane(lane)
        manifest = template.manifest("Repository", name, namespace=namespace, number=0, lane=name)
        if lane in held:
            manifest["metadata"]["finalizers"] = [ITEMS_FINALIZER]
        return manifest

    return Objects(
        namespace=namespace,
        items=tuple(
            template.manifest(
                "WorkItem", naming.item(number), namespace=namespace, number=number, lane=naming.lane(lane)
            )
            for number, (lane, template) in items.items()
        ),
        repositories=tuple(repository(lane) for lane in lanes),
        active={naming.lane(lane): naming.item(number) for number, (lane, _) in reversed(items.items())},
    )
