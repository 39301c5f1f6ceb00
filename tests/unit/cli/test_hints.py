"""Commands of ours in the operator's texts get the options that the user gave, and nothing else in them changes."""

import pytest

from conveyor.cli.hints import scope, scoped
from conveyor.cli.options import Options

NAMES = ("shop-et-17", "shop")
ROWS = [
    ("kubectl workitem resume shop-et-17 takes it back", "kubectl workitem resume shop-et-17 -n x takes it back"),
    ("or kubectl workitem approve shop-et-17", "or kubectl workitem approve shop-et-17 -n x"),
    ("(or kubectl workitem resume shop-et-17): why?", "(or kubectl workitem resume shop-et-17 -n x): why?"),
    ("kubectl workitem queue shows the order", "kubectl workitem queue -n x shows the order"),
    ("say kubectl workitem unfreeze shop", "say kubectl workitem unfreeze shop -n x"),
    ("kubectl workitem why shop-et-170", "kubectl workitem why -n x shop-et-170"),
    ("kubectl get pods", "kubectl get pods"),
]


@pytest.mark.parametrize(("text", "expected"), ROWS)
def test_a_command_gets_the_options_behind_its_name(text: str, expected: str) -> None:
    assert scoped(text, NAMES, " -n x") == expected
    assert scoped(text, NAMES, "") == text


def test_the_options_are_those_that_the_user_gave_and_quoted() -> None:
    assert scope(Options("why", name="a", namespace="team", context="the prod")) == " -n team --context 'the prod'"
    assert scope(Options("why", name="a")) == ""
