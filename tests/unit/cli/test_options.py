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


def test_a_move_may_stand_in_quotes_with_blanks() -> None:
    found = parse(["override", "shop-et-17", "review > done", "merged", "by", "hand"])
    assert (found.move, found.reason) == ("review>done", "merged by hand")


def test_a_wrong_stage_is_answered_with_those_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["override", "shop-et-17", "staging", "why"])
    assert "argument STAGE: there is no stage 'staging': created, analysis, " in capsys.readouterr().err


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
        "override shop-et-17 done",
        "override shop-et-17 staging why not",
        "override shop-et-17 review>staging why not",
        "override shop-et-17 review>>done why not",
        "freeze shop",
        "freeze shop --scope all audit",
        "unfreeze",
        "tree",
        "tree -A shop-et-17",
    ],
)
def test_what_makes_no_sense_ends_with_2(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(line.split())
    assert ended.value.code == 2
    assert "kubectl workitem" in capsys.readouterr().err
