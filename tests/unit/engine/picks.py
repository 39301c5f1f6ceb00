"""Which of many like cases a test goes through: some by chance, or all of them where there is time.

`CONVEYOR_TEST_ALL=1` takes every one, `CONVEYOR_TEST_QUICK=1` half as many. The seed is printed with a failure, and
`CONVEYOR_TEST_SEED` repeats the choice.
"""

import os
import random
from collections.abc import Sequence

from tests.quick import QUICK


def picks(cases: Sequence[int], *, count: int = 12) -> list[int]:
    """In order; the first and the last are always among them."""
    if QUICK:
        count = (count + 1) // 2
    if os.environ.get("CONVEYOR_TEST_ALL") or len(cases) <= count:
        return list(cases)
    seed = int(os.environ.get("CONVEYOR_TEST_SEED") or random.randrange(10**6))  # noqa: S311 - no secret
    print(f"CONVEYOR_TEST_SEED={seed}")
    chosen = random.Random(seed).sample(cases[1:-1], count - 2)  # noqa: S311 - no secret
    return [cases[0], *sorted(chosen), cases[-1]]
