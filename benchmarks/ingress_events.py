"""What Gitea and Plane send in the benchmark of the ingress: recorded deliveries with other names, commits and times.

Each event has a serial number from which all of it follows, so that the sender and who checks agree on it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from benchmarks import naming
from conveyor.api.annotations import HintClass
from conveyor.api.names import item_name
from tests.unit.ingress import deliveries
from tests.unit.ingress.deliveries import Delivery

ITEMS, LANES = 1000, 100
NEW_TICKETS = 500_000
"""Numbers of tickets that have no item yet begin here."""
REPEATED = (62, 64, 65)
"""A repeated delivery is that of so many events ago, in turn: well over a second at 50/s, and of an item."""
GITEA_SECRET, PLANE_SECRET = "gitea-secret-of-the-benchmark", "plane-secret-of-the-benchmark"

Fields = Mapping[str, str]


class Kind(StrEnum):
    PUSH = "push"
    SYNC = "pull request synchronized"
    REVIEW = "review"
    STATUS = "commit status"
    TICKET = "ticket changed"
    COMMENT = "comment on a ticket"
    START = "ticket started"
    TAG = "push of a tag"
    TALK = "comment on a pull request"
    BACKLOG = "ticket that nobody started"
    REPEAT = "repeated delivery"


ON_ITEMS = (Kind.PUSH, Kind.SYNC, Kind.REVIEW, Kind.TICKET)
"""Each of them is hinted to the item itself, under a class of its own."""
MIX = (
    *(Kind.PUSH, Kind.SYNC, Kind.STATUS, Kind.TICKET, Kind.STATUS, Kind.REPEAT, Kind.TAG),
    *(Kind.PUSH, Kind.REVIEW, Kind.STATUS, Kind.START, Kind.COMMENT, Kind.PUSH, Kind.SYNC),
    *(Kind.TALK, Kind.STATUS, Kind.TICKET, Kind.REVIEW, Kind.BACKLOG, Kind.PUSH),
)
"""A day's deliveries: most are news, a twentieth comes twice, an eighth is nothing of ours."""


@dataclass(frozen=True)
class Place:
    """Where a hint is kept."""

    kind: str
    name: str
    hint: HintClass


@dataclass(frozen=True)
class Event:
    """`kind` is never REPEAT: a repeated delivery is the event `serial` once more, with `again` set."""

    serial: int
    kind: Kind
    again: bool = False

    @property
    def number(self) -> int:
        """The ticket's."""
        if self.kind in (Kind.START, Kind.BACKLOG):
            return NEW_TICKETS + self.serial
        # Shifted by one each time round, so that no item has the same kinds for ever.
        return naming.FIRST_NUMBER + (self.serial + self.serial // ITEMS) % ITEMS

    @property
    def lane(self) -> str:
        return naming.lane((self.number - naming.FIRST_NUMBER) % LANES)

    @property
    def expected(self) -> str:
        """What the ingress is to answer."""
        if self.place is None:
            return "ignored"
        return "duplicate" if self.again else "accepted"

    @property
    def place(self) -> Place | None:
        template = _TEMPLATES[self.kind]
        if template.hint is None:
            return None
        if self.kind in (Kind.STATUS, Kind.COMMENT):
            return Place("repositories", self.lane, template.hint)
        return Place("workitems", item_of(self.lane, self.number), template.hint)

    def delivery(self, namespace: str) -> Delivery:
        """The whole request, signed."""
        template = _TEMPLATES[self.kind]
        recorded, text = _recorded(self.kind)
        fields = self._fields()
        for name in template.replaced.values():
            text = text.replace(_token(name), fields[name])
        path = f"/webhooks/plane/{namespace}" if template.plane else f"/webhooks/gitea/{namespace}/{self.lane}"
        empty = Delivery(path, recorded.headers, b"", PLANE_SECRET if template.plane else GITEA_SECRET)
        return empty.with_body(text.encode())

    def _fields(self) -> Fields:
        minutes, seconds = divmod(self.serial, 60)
        return {
            "sha": f"{self.serial + 1:08x}" * 5,
            "branch": naming.branch(self.number),
            "full name": f"shop/{self.lane}",
            "number": f'"number": {self.number},',
            "sequence": f'"sequence_id": {self.number},',
            "project": f"project-{self.lane}",
            "issue": naming.issue(self.number),
            "state": "state-in-progress" if self.kind in (Kind.TICKET, Kind.BACKLOG) else "state-to-analyse",
            "moment": f"2026-11-{20 + minutes // 1440:02}T{minutes // 60 % 24:02}:{minutes % 60:02}:{seconds:02}.5Z",
            "comment": f"comment-{self.serial}",
        }


@dataclass(frozen=True)
class _Template:
    """A recorded delivery, and what of its text is replaced by which field; without a hint it is ignored."""

    folder: str
    name: str
    hint: HintClass | None
    replaced: Fields

    @property
    def plane(self) -> bool:
        return self.folder == "plane"


def _token(field: str) -> str:
    return f"@{field}@"


_OF_REPOSITORY = {"bot/shop": "full name"}
_OF_BRANCH = _OF_REPOSITORY | {"feature/PROJ-1": "branch"}
_OF_PULL = _OF_BRANCH | {'"number": 1,': "number"}
_PULL_HEAD = {"b29ca0c7c57c6b9597ea459b0da48217723251a5": "sha"}
_OF_TICKET = {
    deliveries.PROJECT: "project",
    deliveries.ISSUE: "issue",
    '"sequence_id": 42,': "sequence",
    deliveries.STARTING: "state",
    "2026-11-20T09:01:30.771904Z": "moment",
}


def _gitea(name: str, hint: HintClass | None, replaced: Fields) -> _Template:
    return _Template("gitea-1.26", name, hint, replaced)


def _ticket(hint: HintClass | None) -> _Template:
    return _Template("plane", "plane-issue-state-changed", hint, _OF_TICKET)


_TEMPLATES: Mapping[Kind, _Template] = {
    Kind.PUSH: _gitea(
        "push-existing-branch", HintClass.PUSH, _OF_BRANCH | {"9d3b5287aec893f63ba7da1f61dd047727335caf": "sha"}
    ),
    Kind.SYNC: _gitea("pull_request-synchronized", HintClass.PULL_REQUEST, _OF_PULL | _PULL_HEAD),
    Kind.REVIEW: _gitea("review-approved", HintClass.REVIEW, _OF_PULL | _PULL_HEAD),
    Kind.STATUS: _gitea("status-success", HintClass.CI, _OF_REPOSITORY | _PULL_HEAD),
    Kind.TAG: _gitea("push-tag", None, _OF_REPOSITORY),
    Kind.TALK: _gitea("issue_comment-on-pr", None, _OF_REPOSITORY),
    Kind.TICKET: _ticket(HintClass.TICKET),
    Kind.START: _ticket(HintClass.TICKET),
    Kind.BACKLOG: _ticket(None),
    Kind.COMMENT: _Template(
        "plane",
        "plane-issue-comment",
        HintClass.TICKET,
        {deliveries.PROJECT: "project", deliveries.ISSUE: "issue", "8b9481ae-37dc-536b-8349-9de67a4c077e": "comment"},
    ),
}


@functools.cache
def _recorded(kind: Kind) -> tuple[Delivery, str]:
    """As it was, and its body's text with tokens in it."""
    template = _TEMPLATES[kind]
    recorded = deliveries.load(template.folder, template.name)
    text = recorded.body.decode()
    for old, field in template.replaced.items():
        if old not in text:
            raise ValueError(f"{template.name} has no {old!r}")
        text = text.replace(old, _token(field))
    return recorded, text


def item_of(lane: str, number: int) -> str:
    """As the product names a ticket's item. ValueError where it cannot."""
    name = item_name(lane, naming.key(number))
    if name is None:
        raise ValueError(f"there is no name for {number} of {lane}")
    return name


def mixed(first: int, count: int) -> Iterator[Event]:
    """As they come in a day, serials from `first`, which is a multiple of the mix's length."""
    for serial in range(first, first + count):
        kind = MIX[serial % len(MIX)]
        earlier = serial - REPEATED[serial // len(MIX) % len(REPEATED)]
        if kind is not Kind.REPEAT:
            yield Event(serial, kind)
        elif earlier >= first:
            yield Event(earlier, MIX[earlier % len(MIX)], again=True)
        else:
            yield Event(serial, Kind.PUSH)  # nothing to repeat yet


def on_items(first: int, count: int, *, again: bool = False) -> Iterator[Event]:
    """Each item once for each of four kinds: no place twice as long as `count` is at most 4,000."""
    for serial in range(first, first + count):
        yield Event(serial, ON_ITEMS[serial // ITEMS % len(ON_ITEMS)], again)


STREAMS: Mapping[str, Callable[[int, int], Iterator[Event]]] = {
    "mixed": mixed,
    "new": on_items,
    "again": functools.partial(on_items, again=True),
}


def request(delivery: Delivery) -> bytes:
    """As it goes over the wire."""
    headers = {"Host": "ingress.example"} | delivery.headers | {"Content-Length": str(len(delivery.body))}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST {delivery.path} HTTP/1.1\r\n{head}\r\n".encode() + delivery.body


def unsigned(namespace: str) -> tuple[bytes, bytes]:
    """What a stranger sends: no signature, or one that was made with another secret."""
    push = Event(0, Kind.PUSH).delivery(namespace)
    bare = {name: value for name, value in push.headers.items() if "Signature" not in name}
    return (
        request(Delivery(push.path, bare, push.body, "")),
        request(push.with_body(push.body, secret="a guess")),  # noqa: S106 invented
    )
