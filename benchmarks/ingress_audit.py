"""What became of the deliveries, judged by what the API server holds and not by what the ingress says of itself."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import Counter
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.ingress_events import Event, Place
from benchmarks.ingress_sender import NOT_ANSWERED, Sent
from conveyor.api.annotations import GROUP, VERSION, hints
from conveyor_ingress import senders
from conveyor_ingress.events import ForgeEvent, TicketEvent, hint_value
from tests.cluster.api import AsyncKube, Kube

KINDS = ("workitems", "repositories")
CODES = {"accepted": 202, "duplicate": 200, "ignored": 200}
_REQUESTS = re.compile(r"apiserver_request_total\{(?P<labels>[^}]*)\} (?P<count>\S+)")
_LABEL = re.compile(r'(\w+)="([^"]*)"')

Held = Mapping[Place, Collection[str]]
"""The values that a hint had at some time."""


@dataclass
class Verdict:
    """How many of the deliveries ended how."""

    accepted: int = 0
    duplicates: int = 0
    ignored: int = 0
    not_answered: int = 0
    """The replica died meanwhile: the sender knows that nobody took it."""
    refused: int = 0
    """Told that it was not taken."""
    lost: list[int] = field(default_factory=list)
    """Places in the stream of what was acknowledged and is not in the API server."""
    wrong: list[str] = field(default_factory=list)
    """Answers that are not right."""


def judge(events: Sequence[Event], sent: Sent, held: Held, *, namespace: str) -> Verdict:
    """What the API server held decides. Of a repeated delivery whose first was not taken, each answer is right."""
    verdict, taken = Verdict(), set[int]()
    for place, event in enumerate(events):
        code, word = sent.codes[place], sent.words[place]
        if code == NOT_ANSWERED:
            verdict.not_answered += 1
        elif code >= 500:
            verdict.refused += 1
        elif CODES.get(word) != code or not _is_right(event, word, first_taken=event.serial in taken):
            verdict.wrong.append(f"{place}: {event.kind}{' again' * event.again}: {code} {word}")
        else:
            _count(verdict, word)
        if word in ("accepted", "duplicate"):
            taken.add(event.serial)
            if event.place is None or value_of(event, namespace) not in held.get(event.place, ()):
                verdict.lost.append(place)
    return verdict


def _is_right(event: Event, word: str, *, first_taken: bool) -> bool:
    if event.again and not first_taken:
        return word in ("accepted", "duplicate")
    return word == event.expected


def _count(verdict: Verdict, word: str) -> None:
    verdict.accepted += word == "accepted"
    verdict.duplicates += word == "duplicate"
    verdict.ignored += word == "ignored"


def value_of(event: Event, namespace: str) -> str:
    """What is stored of an event, by the product's own reading of its delivery."""
    delivery = event.delivery(namespace)
    found = senders.of_path(delivery.path)
    assert found is not None
    read = found[0].parse(delivery.headers, delivery.body)
    if isinstance(read, ForgeEvent):
        return read.value
    assert isinstance(read, TicketEvent), read
    key = f"SHOP-{read.number}" if read.number else None
    return hint_value(key or read.issue_id, *read.identity)


def places(plural: str, object_: Mapping[str, Any]) -> dict[Place, str]:
    """The hints of one object."""
    metadata = object_["metadata"]
    found = hints(metadata.get("annotations") or {})
    return {Place(plural, metadata["name"], hint): value for hint, value in found.items()}


def held_now(kubeconfig: Path, namespace: str) -> Held:
    found: dict[Place, set[str]] = {}
    with Kube(kubeconfig) as kube:
        for plural in KINDS:
            listed = kube.get(f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}/{plural}")
            for object_ in listed["items"]:
                for place, value in places(plural, object_).items():
                    found.setdefault(place, set()).add(value)
    return found


@contextlib.asynccontextmanager
async def watched(kubeconfig: Path, namespace: str) -> AsyncIterator[dict[Place, set[str]]]:
    """Fills with each value that a hint has from now on. Raises what broke a watch."""
    found: dict[Place, set[str]] = {}
    async with AsyncKube(kubeconfig) as kube, asyncio.TaskGroup() as group:
        paths = [f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}/{plural}" for plural in KINDS]
        # Before anything is sent: what is stored before the first version would be told of by no watch.
        versions = [(await kube.request("GET", path))["metadata"]["resourceVersion"] for path in paths]
        tasks = [
            group.create_task(_watch(kube, path, found, plural=plural, version=version))
            for plural, path, version in zip(KINDS, paths, versions, strict=True)
        ]
        yield found
        for task in tasks:
            task.cancel()


async def _watch(kube: AsyncKube, path: str, found: dict[Place, set[str]], *, plural: str, version: str) -> None:
    """Of each change after `version`."""
    while True:
        async for event in kube.watch(path, resource_version=version):
            version = event["object"]["metadata"]["resourceVersion"]
            if event["type"] != "BOOKMARK":
                for place, value in places(plural, event["object"]).items():
                    found.setdefault(place, set()).add(value)


def requests_so_far(exposition: str) -> Counter[str]:
    """Requests for our own kinds that the API server has answered, by verb; the watches of its own parts left out."""
    found: Counter[str] = Counter()
    for match in _REQUESTS.finditer(exposition):
        labels = dict(_LABEL.findall(match["labels"]))
        if labels.get("group") == GROUP and labels.get("verb") not in ("LIST", "WATCH"):
            found[labels["verb"]] += int(float(match["count"]))
    return found
