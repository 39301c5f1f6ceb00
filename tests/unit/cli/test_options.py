"""The command line: where options may stand, and what is refused with 2."""

import pytest

from conveyor.cli.options import Options, parse


@pytest.mark.parametrize(
    "line", ["-n team list -o json", "list -n team -o json", "-o json list -n team"], ids=["before", "after", "both"]
)
def test_options_may_stand_before_and_after_the_command(line: str) -> None:
    assert parse(line.split()) == Options("list", namespace="team", output="json")


def test_the_command_after_an_option_does_not_undo_it() -> None:
    assert parse(["--context", "prod", "-n", "team", "why", "shop-et-17", "--exit-code"]) == Options(
        "why", name="shop-et-17", context="prod", namespace="team", exit_code=True
    )


def test_a_reason_needs_no_quotes() -> None:
    assert parse(["reject", "shop-et-17", "not", "like", "this"]).reason == "not like this"


@pytest.mark.parametrize(
    "line",
    [
        "",
        "lists",
        "show",
        "reject shop-et-17",
        "list -o yaml",
        "list -A -n team",
        "why -A shop-et-17",
        "approve shop-et-17 --wait -1",
        "approve shop-et-17 --wait soon",
        "approve shop-et-17 --wait 5 --no-wait",
        "list --names team",
    ],
)
def test_what_makes_no_sense_ends_with_2(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(line.split())
    assert ended.value.code == 2
    assert "kubectl workitem" in capsys.readouterr().err
