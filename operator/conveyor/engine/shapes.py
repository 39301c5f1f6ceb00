"""Parts of a stored object in the shape that they should have, whatever is there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def dict_in(obj: Mapping[str, Any], field: str) -> dict[str, Any]:
    """Empty where there is none."""
    value = obj.get(field)
    return value if isinstance(value, dict) else {}


def dicts_in(obj: Mapping[str, Any], field: str) -> list[dict[str, Any]]:
    """Those of a list; empty where there is none."""
    value = obj.get(field)
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []
