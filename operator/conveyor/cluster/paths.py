"""Paths of the API, from names that are checked: a reference in somebody's object must not lead elsewhere."""

from __future__ import annotations

import re

from conveyor.web.errors import Refused

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")


def path(*segments: str) -> str:
    """`/a/b` of these segments. Raises Refused for one that no object of Kubernetes can have as its name."""
    for segment in segments:
        if not _NAME.fullmatch(segment):
            raise Refused(f"{segment[:80]!r} cannot be the name of an object in Kubernetes")
    return "".join(f"/{segment}" for segment in segments)
