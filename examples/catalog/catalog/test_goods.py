from decimal import Decimal
from unittest import TestCase

from .goods import Good, search

TEA = Good("T1", "Green tea", Decimal("3.50"))
CUP = Good("C1", "Tea cup", Decimal("8.00"))
POT = Good("P1", "Pot", Decimal("25.00"))


class SearchTest(TestCase):
    def test_search_ignores_case(self) -> None:
        assert search([CUP, TEA, POT], "TEA") == [TEA, CUP]

    def test_search_for_what_is_not_there_finds_nothing(self) -> None:
        assert search([CUP, TEA, POT], "spoon") == []
