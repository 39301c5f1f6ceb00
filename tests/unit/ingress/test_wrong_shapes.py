"""A signed body of any shape is answered 2xx or 400, never 5xx: absent, null and retyped fields crashed others
(CVE-2025-59537, -59531, -59538 of Argo CD).
"""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conveyor_ingress.events import Malformed
from conveyor_ingress.senders import of_path
from tests.unit.ingress import deliveries
from tests.unit.ingress.conftest import Ingress
from tests.unit.ingress.deliveries import Delivery

Path = tuple[str | int, ...]
DROP = object()
ALL = [deliveries.load(*name) for name in deliveries.names()]
WRONG = [DROP, None, "", "None", "x" * 5000, 0, -1, 2**70, 1.5, True, [], [None], {}, {"id": None}]
UNREAD = {"activity", "assignees", "base", "commit", "commits", "head_commit", "internal_tracker", "issue", "labels"}
UNREAD |= {"merged_by", "owner", "permissions", "pusher", "repo", "requested_reviewer", "requested_reviewers", "user"}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def paths(value: Any, *, depth: int, at: Path = ()) -> Iterator[Path]:
    """Every place in a payload, down to a depth."""
    if at:
        yield at
    if depth and isinstance(value, dict):
        for key, inner in value.items():
            yield from paths(inner, depth=depth - 1, at=(*at, key))
    elif depth and isinstance(value, list):
        for index, inner in enumerate(value):
            yield from paths(inner, depth=depth - 1, at=(*at, index))


def changed(payload: Any, path: Path, value: Any) -> Any:
    result = copy.deepcopy(payload)
    holder = result
    for key in path[:-1]:
        holder = holder[key]
    if value is DROP:
        del holder[path[-1]]
    else:
        holder[path[-1]] = value
    return result


@st.composite
def mutated(draw: st.DrawFn) -> Delivery:
    delivery = draw(st.sampled_from(ALL))
    payload = delivery.payload
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(list(paths(payload, depth=9))))
        payload = changed(payload, path, draw(st.sampled_from(WRONG) | JSON))
        if not payload:
            break
    return delivery.with_json(payload)


@given(delivery=mutated())
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
async def test_signed_body_of_any_shape_is_never_5xx(ingress: Ingress, delivery: Delivery) -> None:
    assert (await ingress.send(delivery)).code in (200, 202, 400)


@given(payload=JSON, header=st.sampled_from([delivery.headers.get("X-Gitea-Event-Type", "") for delivery in ALL]))
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
async def test_signed_nonsense_is_never_5xx(ingress: Ingress, payload: Any, header: str) -> None:
    for delivery in (deliveries.push(), deliveries.ticket()):
        said = await ingress.send(delivery.changed(X_Gitea_Event_Type=header).with_json(payload))
        assert said.code in (200, 400)


def slim(value: Any) -> Any:
    """Without the parts that nobody reads, which are most of it."""
    if not isinstance(value, dict):
        return value
    return {key: slim(inner) for key, inner in value.items() if key not in UNREAD or isinstance(inner, str)}


@pytest.mark.parametrize("name", deliveries.names(), ids="/".join)
def test_each_field_absent_null_or_retyped_is_read_or_malformed(name: tuple[str, str]) -> None:
    delivery = deliveries.load(*name)
    found = of_path(delivery.path)
    assert found is not None
    payload = slim(delivery.payload)
    found[0].parse(delivery.headers, json.dumps(payload).encode())
    for path in paths(payload, depth=9):
        for wrong in WRONG:
            body = json.dumps(changed(payload, path, wrong)).encode()
            try:
                found[0].parse(delivery.headers, body)
            except Malformed:
                continue


@pytest.mark.parametrize("delivery", ALL, ids=["/".join(name) for name in deliveries.names()])
async def test_body_under_any_other_event_header_is_never_5xx(ingress: Ingress, delivery: Delivery) -> None:
    for other in ALL:
        header = other.headers.get("X-Gitea-Event-Type", "issue")
        assert (await ingress.send(delivery.changed(X_Gitea_Event_Type=header))).code in (200, 202, 400)
