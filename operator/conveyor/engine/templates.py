"""Pod templates as Repositories give them: anything the API server stored, brought to a shape that can be built on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from conveyor.web.errors import Refused


class _Shape(BaseModel):
    """Only what is read or written here; the rest is the API server's to judge."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)


class _Container(_Shape):
    env: list[dict[str, Any]] = []


class _Spec(_Shape):
    initContainers: list[_Container] = []  # noqa: N815 - Kubernetes' spelling
    containers: list[_Container] = []
    volumes: list[Any] = []


class _Metadata(_Shape):
    labels: dict[str, Any] = {}
    annotations: dict[str, Any] = {}


class _Template(_Shape):
    metadata: _Metadata = _Metadata()
    spec: _Spec = _Spec()


def pod_template(given: Mapping[str, Any], field: str) -> dict[str, Any]:
    """A copy to build on, without nulls, which Kubernetes takes for absent.

    Raises Refused, naming `field`, where it is no pod template.
    """
    template = {key: _without_nulls(value) for key, value in given.items() if value is not None}
    try:
        _Template.model_validate(template)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join([field, *map(str, first["loc"])])
        raise Refused(f"{place} is not as in a pod template: {first['msg']}") from None
    return template


def _without_nulls(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, dict):
        return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_without_nulls(inner) for inner in value]
    return value
