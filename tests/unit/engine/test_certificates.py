"""A certificate of death counts once for each thing that is taken from a process."""

from conveyor.cluster.protocol import Key
from conveyor.engine.certificates import MOST, Certificates

LEASE, OTHER = Key("team", "merge-shop"), Key("team", "deploy-shop")
CART, BASKET, ANOTHER = "uid/team.pod/nonce/cart", "uid/team.pod/nonce/basket", "uid/team.pod/later/cart"


def test_process_that_holds_again_what_was_taken_from_it_lives() -> None:
    used = Certificates()
    used.use(LEASE, CART)
    found = [used.is_void(LEASE, CART), used.is_void(LEASE, BASKET), used.is_void(OTHER, CART)]
    assert (found, used.is_void(LEASE, ANOTHER)) == ([True, True, False], False)


def test_intent_that_was_not_taken_after_all_is_no_sign_of_life() -> None:
    used = Certificates()
    used.use(LEASE, CART, token=4)
    assert [used.is_void(LEASE, CART, token=token) for token in (4, 5)] == [False, True]


def test_oldest_is_forgotten_where_there_are_too_many() -> None:
    used = Certificates()
    for number in range(MOST + 1):
        used.use(Key("team", f"lease-{number}"), CART)
    assert [used.is_void(Key("team", f"lease-{number}"), CART) for number in (0, 1, MOST)] == [False, True, True]
