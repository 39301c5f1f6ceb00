"""What the result of a query means: only numbers of this moment, all of them other than 0, are well."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from conveyor.probes.prometheus import QUERY_ANSWER, trouble


def vector(*numbers: str) -> dict[str, Any]:
    samples = [{"metric": {"pod": str(index)}, "value": [1772452800.1, number]} for index, number in enumerate(numbers)]
    return {"resultType": "vector", "result": samples}


def answer(data: Any, **rest: Any) -> bytes:
    return json.dumps({"status": "success", "data": data} | rest).encode()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(vector("1"), "", id="one that is 1"),
        pytest.param(vector("0.001", "-3", "+Inf"), "", id="several, none of them 0"),
        pytest.param({"resultType": "scalar", "result": [1772452800, "2"]}, "", id="a plain number"),
        pytest.param(vector(), "the query gave no result", id="none"),
        pytest.param(vector("0"), "1 of 1 results: the result is 0", id="one that is 0"),
        pytest.param(vector("1", "0e5", "1"), "1 of 3 results: the result is 0e5", id="one of several that is 0"),
        pytest.param(vector("-0"), "1 of 1 results: the result is -0", id="0 below 0"),
        pytest.param(vector("NaN"), "1 of 1 results: the result is NaN", id="no number at all"),
        pytest.param(vector("many"), "1 of 1 results: not a number", id="a word"),
        pytest.param({"resultType": "scalar", "result": [1772452800, "0"]}, "the result is 0", id="a plain 0"),
        pytest.param(
            {"resultType": "matrix", "result": [{"metric": {}, "values": [[1, "1"]]}]},
            "the query gave a matrix, wanted numbers of one moment",
            id="a range",
        ),
        pytest.param(
            {"resultType": "string", "result": [1, "1"]},
            "the query gave a string, wanted numbers of one moment",
            id="a text",
        ),
        pytest.param(
            {"resultType": "vector", "result": [{"metric": {}, "histogram": [1, {"count": "1"}]}]},
            "1 of 1 results: a histogram, wanted a number",
            id="a histogram",
        ),
    ],
)
def test_result_is_well_only_where_every_number_is_other_than_zero(data: dict[str, Any], expected: str) -> None:
    assert trouble(QUERY_ANSWER.validate_json(answer(data, warnings=["slow"]))) == expected


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(json.dumps({"status": "error", "errorType": "bad_data"}), id="an error"),
        pytest.param(answer(vector("1"), status="error").decode(), id="an error with a result"),
        pytest.param(json.dumps({"status": "success"}), id="no data"),
        pytest.param(answer({"resultType": "vector", "result": "1"}).decode(), id="no list"),
        pytest.param(answer({"resultType": "table", "result": []}).decode(), id="a kind that nobody knows"),
        pytest.param("[]", id="something else"),
    ],
)
def test_other_answer_is_none(text: str) -> None:
    with pytest.raises(ValidationError):
        QUERY_ANSWER.validate_json(text)
