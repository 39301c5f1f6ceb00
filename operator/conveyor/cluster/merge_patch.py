"""JSON merge patches (RFC 7386): what to send so that one object becomes another.

A merge patch says "remove" by null, so it cannot set a member to null. Here a null member of an object means an absent
one, on both sides. Lists are replaced whole, nulls in them included.
"""

from __future__ import annotations

from typing import Any, TypeVar

from conveyor.api.fields import Model
from conveyor.cluster.protocol import JSONObject

M = TypeVar("M", bound=Model)


def merge_patch(old: JSONObject, new: JSONObject) -> JSONObject | None:
    """The patch that turns `old` into `new`; None where they are equal, so that nothing needs to be sent.

    The patch shares its values with `new`.
    """
    patch: JSONObject = {}
    for key in old | new:
        before, after = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            nested = merge_patch(before, after)
            if nested is not None:
                patch[key] = nested
        elif not _same(before, after):
            patch[key] = after
    return patch or None


def model_patch(old: M, new: M) -> JSONObject | None:
    """`merge_patch` of both as the API has them. Only fields that differ are spelled out: most of a status stays.

    A list of another length is sent whole whatever it was, so what it was is not spelled out either.
    """
    changed = {name for name in type(new).model_fields if getattr(old, name) != getattr(new, name)}
    known = {name for name in changed if not _is_resized(getattr(old, name), getattr(new, name))}
    return merge_patch(old.dump(only=known), new.dump(only=changed)) if changed else None


def _is_resized(old: object, new: object) -> bool:
    return isinstance(old, tuple) and isinstance(new, tuple) and len(old) != len(new)


def apply_merge_patch(target: JSONObject, patch: JSONObject) -> JSONObject:
    """What a server makes of `target` by `patch`. Neither is changed; the result shares values with both."""
    result = dict(target)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict):
            before = result.get(key)
            result[key] = apply_merge_patch(before if isinstance(before, dict) else {}, value)
        else:
            result[key] = value
    return result


def _same(left: Any, right: Any) -> bool:  # noqa: ANN401 any JSON value
    """Equal as JSON, where true is not 1."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_same(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_same, left, right))
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    return bool(left == right)
