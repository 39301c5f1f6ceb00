"""The fake Plane's offset paging: a page is cut from the rows as they are now, so rows shift between pages."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from tests.fakes.plane_records import Json, Refused

T = TypeVar("T")


def page_of(rows: Sequence[T], query: Mapping[str, str], *, shape: Callable[[T], Json], max_per_page: int) -> Json:
    """The envelope of one page. `next_cursor` is always a string: `next_page_results` tells whether it leads on."""
    size = _number(query.get("per_page", str(max_per_page)), "Invalid per_page parameter.")
    if not 0 < size <= max_per_page:
        raise Refused({"detail": f"Invalid per_page value. Cannot exceed {max_per_page}."})
    page = _page_number(query.get("cursor", f"{size}:0:0"))
    total = len(rows)
    chosen = rows[page * size : (page + 1) * size]
    return {
        "grouped_by": None,
        "sub_grouped_by": None,
        "total_count": total,
        "next_cursor": f"{size}:{page + 1}:0",
        "prev_cursor": f"{size}:{page - 1}:1",
        "next_page_results": (page + 1) * size < total,
        "prev_page_results": page > 0,
        "count": len(chosen),
        "total_pages": math.ceil(total / size),
        "total_results": total,
        "extra_stats": None,
        "results": [shape(row) for row in chosen],
    }


def _page_number(cursor: str) -> int:
    parts = cursor.split(":")
    if len(parts) != 3:
        raise Refused({"detail": "Invalid cursor parameter."})
    return max(0, _number(parts[1], "Invalid cursor parameter."))


def _number(text: str, refusal: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise Refused({"detail": refusal}) from None
