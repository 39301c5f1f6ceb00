import math

import pytest

from conveyor.engine.outcomes import Again, Done, Outcome, Person, Retry


@pytest.mark.parametrize("outcome", [Done(), Again(1), Retry("no answer"), Person("asks")], ids=repr)
def test_outcome_read_as_a_boolean_is_refused(outcome: Outcome) -> None:
    with pytest.raises(TypeError, match=type(outcome).__name__):
        bool(outcome)


@pytest.mark.parametrize("seconds", [-1, math.inf, math.nan])
def test_time_that_never_comes_is_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match="seconds"):
        Again(seconds)
