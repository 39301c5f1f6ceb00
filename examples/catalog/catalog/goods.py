"""Goods, and how to find them."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True)
class Good:
    code: str
    name: str
    price: Decimal


def search(goods: Iterable[Good], text: str) -> list[Good]:
    """Those whose name contains the text, whatever its case, by name."""
    wanted = text.casefold()
    return sorted((good for good in goods if wanted in good.name.casefold()), key=lambda good: good.name)
