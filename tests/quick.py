"""The quick part of the tests (`CONVEYOR_TEST_QUICK=1`), which takes fewer of many like cases."""

import os
import random
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")

QUICK = bool(os.environ.get("CONVEYOR_TEST_QUICK"))
EVERY = 3


def thinned(cases: Iterable[T]) -> Iterator[T]:
    """All of them; every third in the quick part, the first of which is a matter of chance and printed."""
    if not QUICK:
        return iter(cases)
    first = random.randrange(EVERY)  # noqa: S311 - no secret
    print(f"every {EVERY}. of the cases, from number {first} on")
    return islice(cases, first, None, EVERY)
