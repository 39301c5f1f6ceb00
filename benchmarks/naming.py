"""The invented world's names: all that belongs to an item follows from its number, by plain text.

So one status that the pipeline itself has made is every item's, once the numbers are replaced (`templates`).
"""

import functools
import re

from conveyor.api.names import branch_name

FIRST_NUMBER = 100_000
TEMPLATE_NUMBER, TEMPLATE_LANE = 999_999, "lane-zzzz"
"""Stand for any number and any repository; neither occurs in anything else."""
TITLE = "Let customers pay by invoice"
BASE_SHA = "ba5e" * 10
DIFF = b"diff --git a/src/pay.py b/src/pay.py\n--- a/src/pay.py\n+++ b/src/pay.py\n@@ -1 +1 @@\n-no\n+yes\n"
OPERATOR, REVIEWER = "operator-bot", "reviewer-bot"


def item(number: int) -> str:
    return f"shop-{number}"


def key(number: int) -> str:
    """KEY of the item, with or without a ticket."""
    return item(number).upper()


def issue(number: int) -> str:
    return f"issue-{number}"


def lane(index: int) -> str:
    return f"lane-{index:04d}"


@functools.cache
def branch(number: int) -> str:
    return branch_name(key(number), TITLE)


def head(number: int) -> str:
    return f"{number:040d}"


def number_in(text: str) -> int:
    """The number of the item that a name, branch, commit or issue belongs to. ValueError where it is none's."""
    found = re.search(r"[1-9][0-9]{5}", text)
    if found is None:
        raise ValueError(f"there is no item's number in {text!r}")
    return int(found[0])
