from decimal import Decimal
from unittest import TestCase

from .cart import Cart


class CartTest(TestCase):
    def test_empty_cart_costs_nothing(self) -> None:
        assert Cart().total() == 0

    def test_total_counts_every_piece(self) -> None:
        cart = Cart()
        cart.add("tea", "3.50", 2)
        cart.add("cup", "8.00")
        assert cart.total() == Decimal("15.00")

    def test_less_than_one_piece_is_refused(self) -> None:
        with self.assertRaisesRegex(ValueError, "at least one piece of tea"):  # noqa: PT027
            Cart().add("tea", "3.50", 0)
