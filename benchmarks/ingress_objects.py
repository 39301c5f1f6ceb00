"""What the ingress finds in the store, and the raw writes that it is compared with: on objects of the same size."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

from benchmarks import naming, population
from benchmarks.ingress_events import ITEMS, LANES, item_of
from benchmarks.population import Objects
from benchmarks.templates import Template, repository_spec
from benchmarks.walk import Reached, Walk
from conveyor.api.stages import Stage
from conveyor.cluster.merge_patch import merge_patch
from conveyor.cluster.protocol import JSONObject


async def under_way(namespace: str) -> Objects:
    """Items of tickets, under the names that the product gives them, whose tester has passed."""
    objects = await population.at_work(namespace, items=ITEMS, stage=Stage.TESTING, tickets=True)
    items = tuple(_as_named_by_the_product(item) for item in objects.items)
    active = {lane: item_of(lane, naming.number_in(name)) for lane, name in objects.active.items()}
    return replace(objects, items=items, active=active)


def _as_named_by_the_product(item: JSONObject) -> JSONObject:
    metadata = item["metadata"]
    name = item_of(item["spec"]["repositoryRef"]["name"], naming.number_in(metadata["name"]))
    return item | {"metadata": metadata | {"name": name}}


async def transitions() -> Sequence[tuple[str, JSONObject]]:
    """The two last moves of each of these items, as status patches by name: all first ones, then all second ones."""
    walk = Walk(repository_spec(serial=False, tickets=True, person=False), ticket=True)
    reached = (population.passed(Stage.TESTING), _is_in(Stage.DEPLOY_STAGING), _is_in(Stage.DONE))
    statuses = [(await walk.until(here)).status for here in reached]
    moves = [merge_patch(before, after) or {} for before, after in itertools.pairwise(statuses)]
    return [_of_item(move, index) for move in moves for index in range(ITEMS)]


def _is_in(stage: Stage) -> Reached:
    return lambda status: status.stage == stage


def _of_item(move: JSONObject, index: int) -> tuple[str, JSONObject]:
    number, lane = naming.FIRST_NUMBER + index, naming.lane(index % LANES)
    whole = Template({}, move).manifest("WorkItem", "", namespace="", number=number, lane=lane)
    return item_of(lane, number), whole["status"]
