from unittest import TestCase

from .cart import Cart
from .receipt import receipt


class ReceiptTest(TestCase):
    def test_receipt_has_a_row_for_each_line_and_the_total(self) -> None:
        cart = Cart()
        cart.add("tea", "3.50", 2)
        first, *_, last = receipt(cart).splitlines()
        assert first == "2 x tea                     7.00"
        assert last == "Total                       7.00"
