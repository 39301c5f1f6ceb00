"""A cart: lines of goods, and what they cost together."""

from dataclasses import dataclass, field
from decimal import Decimal


@dataclass(frozen=True)
class Line:
    name: str
    price: Decimal
    count: int = 1

    @property
    def cost(self) -> Decimal:
        """The price of all pieces of this line."""
        return self.price * self.count


@dataclass
class Cart:
    lines: list[Line] = field(default_factory=list)

    def add(self, name: str, price: str, count: int = 1) -> None:
        """Put `count` pieces into the cart; the price is that of one."""
        if count < 1:
            raise ValueError(f"wanted at least one piece of {name}, found {count}")
        self.lines.append(Line(name, Decimal(price), count))

    def total(self) -> Decimal:
        """What the customer pays."""
        return sum((line.cost for line in self.lines), Decimal(0))
