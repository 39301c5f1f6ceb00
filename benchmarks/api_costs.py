"""What a request costs the API server: its processor time, shared out by how long each kind of request took it.

It tells no processor time by request, but how many there were of each kind and how long they took in all
(`apiserver_request_duration_seconds`). Its processor time goes by that time, requests of all clients counted: what it
does beside, for its watches and caches, is in it in the same proportion. An estimate, the better the less others run.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

_LINE = re.compile(r"apiserver_request_duration_seconds_(sum|count)\{(.*)\} (\S+)")
_LABEL = re.compile(r'(\w+)="([^"]*)"')
LASTING = frozenset({"WATCH", "CONNECT"})
"""Verbs whose requests last until somebody ends them."""


@dataclass(frozen=True)
class Request:
    """A kind of request, as the API server's metrics tell them apart."""

    verb: str
    resource: str
    subresource: str = ""


@dataclass(frozen=True)
class Taken:
    count: float = 0.0
    seconds: float = 0.0


def request_of(method: str, route: str) -> Request:
    """`route` as in `calls`: resource, name, subresource."""
    resource, *rest = route.split("/")
    verb = "LIST" if method == "GET" and not rest else method
    return Request(verb, resource, rest[1] if len(rest) > 1 else "")


def taken(metrics: str) -> dict[Request, Taken]:
    """From the text of `/metrics`."""
    found: defaultdict[Request, dict[str, float]] = defaultdict(lambda: {"count": 0.0, "sum": 0.0})
    for line in metrics.splitlines():
        match = _LINE.fullmatch(line)
        if match is None:
            continue
        labels = dict(_LABEL.findall(match[2]))
        if labels["verb"] not in LASTING:
            found[Request(labels["verb"], labels["resource"], labels["subresource"])][match[1]] += float(match[3])
    return {request: Taken(values["count"], values["sum"]) for request, values in found.items()}


def costs(before: Mapping[Request, Taken], after: Mapping[Request, Taken], *, cpu: float) -> dict[Request, float]:
    """Seconds per request of each kind between two readings in which the API server used `cpu` seconds."""
    none = Taken()
    between = {
        request: Taken(new.count - before.get(request, none).count, new.seconds - before.get(request, none).seconds)
        for request, new in after.items()
    }
    total = sum(part.seconds for part in between.values())
    return {request: cpu * part.seconds / total / part.count for request, part in between.items() if part.count}
