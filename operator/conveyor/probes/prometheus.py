"""What a Prometheus answers to an instant query, and whether that means well.

Form and meaning: the HTTP API's page, "Instant queries" and "Expression query result formats". A sample's value is a
text, for JSON has neither NaN nor infinity.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import BaseModel, Field, TypeAdapter

Value = tuple[float, str]
"""Seconds since 1970, and the number as text."""


class _Sample(BaseModel):
    value: Value | None = None
    """Absent where the sample is a histogram."""


class _Vector(BaseModel):
    kind: Literal["vector"] = Field(alias="resultType")
    result: tuple[_Sample, ...]


class _Scalar(BaseModel):
    kind: Literal["scalar"] = Field(alias="resultType")
    result: Value


class _Other(BaseModel):
    kind: Literal["matrix", "string"] = Field(alias="resultType")


class QueryAnswer(BaseModel):
    status: Literal["success"]
    data: Annotated[_Vector | _Scalar | _Other, Field(discriminator="kind")]


QUERY_ANSWER = TypeAdapter(QueryAnswer)


def trouble(answer: QueryAnswer) -> str:
    """What is wrong with the result; empty where there is one and every number of it is other than 0.

    An empty result says that nothing is known, and NaN that nothing can be: neither is well.
    """
    match answer.data:
        case _Vector(result=()):
            return "the query gave no result"
        case _Vector(result=samples):
            bad = [text for text in map(_bad, (sample.value for sample in samples)) if text]
            return f"{len(bad)} of {len(samples)} results: {bad[0]}" if bad else ""
        case _Scalar(result=value):
            return _bad(value)
        case _Other(kind=kind):
            return f"the query gave a {kind}, wanted numbers of one moment"


def _bad(value: Value | None) -> str:
    if value is None:
        return "a histogram, wanted a number"
    try:
        number = float(value[1])
    except ValueError:
        return "not a number"
    return f"the result is {value[1]}" if number == 0 or math.isnan(number) else ""
