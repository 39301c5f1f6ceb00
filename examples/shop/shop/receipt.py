"""The receipt, as it is printed."""

from .cart import Cart

WIDTH = 32


def row(text: str, amount: object) -> str:
    """A text on the left, an amount on the right."""
    return f"{text:<{WIDTH - 10}}{amount:>10}"


def receipt(cart: Cart) -> str:
    """One row for each line of the cart, and the total."""
    rows = [row(f"{line.count} x {line.name}", line.cost) for line in cart.lines]
    rows.append(row("Total", cart.total()))
    return "\n".join(rows)
