"""The senders: each is one entry. A new one is a parser, an entry here, and its place in `secrets`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from conveyor_ingress import gitea_events, plane_events
from conveyor_ingress.events import Event, Skipped
from conveyor_ingress.secrets import Registration, Secrets

Headers = Mapping[str, str]

_NAMESPACE = r"(?P<namespace>[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?)"
_REPOSITORY = r"(?P<repository>[a-z0-9](?:[-.a-z0-9]{0,61}[a-z0-9])?)"


@dataclass(frozen=True)
class Path:
    """Where a delivery was sent to. `repository` is empty where the path names none."""

    namespace: str
    repository: str


@dataclass(frozen=True)
class Sender:
    name: str
    path: re.Pattern[str]
    events: tuple[str, ...]
    """What its verified events are counted under."""
    signature: Callable[[Headers], str | None]
    """Hex; None or empty where there is none: Gitea sends the header empty for a webhook without a secret."""
    registrations: Callable[[Secrets, Path], tuple[Registration, ...]]
    """Raises secrets.Unconfigured."""
    parse: Callable[[Headers, bytes], Event | Skipped]
    """Raises events.Malformed."""


def _gitea_signature(headers: Headers) -> str | None:
    return headers.get("X-Gitea-Signature") or headers.get("X-Hub-Signature-256", "").removeprefix("sha256=")


SENDERS: Mapping[str, Sender] = {
    sender.name: sender
    for sender in (
        Sender(
            name="gitea",
            path=re.compile(f"/webhooks/gitea/{_NAMESPACE}/{_REPOSITORY}"),
            events=gitea_events.EVENTS,
            signature=_gitea_signature,
            registrations=lambda secrets, path: secrets.gitea(path.namespace, path.repository),
            parse=gitea_events.parse,
        ),
        Sender(
            name="plane",
            path=re.compile(f"/webhooks/plane/{_NAMESPACE}"),
            events=plane_events.EVENTS,
            signature=lambda headers: headers.get("X-Plane-Signature"),
            registrations=lambda secrets, path: secrets.plane(path.namespace),
            parse=plane_events.parse,
        ),
    )
}


def of_path(path: str) -> tuple[Sender, Path] | None:
    """Whose path it is, or None."""
    for sender in SENDERS.values():
        if match := sender.path.fullmatch(path):
            return sender, Path(match["namespace"], match.groupdict().get("repository", ""))
    return None
