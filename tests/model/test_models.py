"""Every variant gives the answer that is expected of it: as built it keeps its laws, without a guard it breaks one."""

import pytest

from tests.model.search import Model, Step, explore
from tests.model.variants import VARIANTS, Variant

IN_TESTS = [variant for variant in VARIANTS if not variant.deep]


@pytest.mark.parametrize("variant", IN_TESTS, ids=str)
def test_variant_answers_as_expected(variant: Variant) -> None:
    found = variant.explore()
    assert variant.as_expected(found), f"{found.broken} stuck: {found.stuck}"


def counter(end: int, *, law: int = 99, fault: bool = False) -> Model[int]:
    """Counts to 5; a state above `law` breaks it, and the step to 3 is a fault or not."""

    def steps(state: int) -> list[Step[int]]:
        return [Step(f"to {state + 1}", state + 1, fault and state == 2)] if state < 5 else []

    return Model(0, steps, lambda state: "low" if state > law else "", lambda state: state == end)


def test_search_finds_the_shortest_path_to_a_broken_law() -> None:
    assert explore(counter(5, law=1)).broken == {"low": ["to 1", "to 2"]}


def test_search_finds_the_state_that_cannot_end() -> None:
    assert explore(counter(4)).stuck == ["to 1", "to 2", "to 3", "to 4", "to 5"]


def test_end_that_only_a_fault_leads_to_is_none() -> None:
    assert explore(counter(5)).stuck is None
    assert explore(counter(5, fault=True)).stuck == []
