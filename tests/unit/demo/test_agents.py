"""The demo's agents on a project's tree: what each ticket makes them do, in which order, to which end."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from examples.demo.forge import EXAMPLES
from examples.demo.tickets import PROJECTS, TICKETS, Ticket, project_of
from tests.e2e.rehearsal import Rehearsal, act_as, git

DISCOUNT, TAX, PRICE_LIST = TICKETS
WRITING = [("analyst", "pass"), ("architect", "pass"), ("developer", "pass")]


def rehearsal(directory: Path, ticket: Ticket) -> Rehearsal:
    """The ticket's project in a directory of its own."""
    tree = directory / project_of(ticket).repository
    tree.mkdir()
    return Rehearsal(tree, project_of(ticket))


def tree_of(directory: Path, ticket: Ticket) -> Path:
    return directory / project_of(ticket).repository


@pytest.mark.parametrize(
    ("ticket", "said"),
    [
        (DISCOUNT, [*WRITING, ("developer", "pass"), ("reviewer", "approve"), ("tester", "pass")]),
        (TAX, [*WRITING, ("reviewer", "approve"), ("tester", "pass")]),
        (
            PRICE_LIST,
            [
                *WRITING,
                ("reviewer", "request_changes"),
                ("developer", "pass"),
                ("reviewer", "approve"),
                ("tester", "pass"),
            ],
        ),
    ],
    ids=["one red CI", "straight through", "one review that asks for changes"],
)
def test_ticket_is_played_as_written(tmp_path: Path, ticket: Ticket, said: list[tuple[str, str]]) -> None:
    assert rehearsal(tmp_path, ticket).play(ticket) == said


def test_first_attempt_at_the_discount_breaks_a_test(tmp_path: Path) -> None:
    shop = rehearsal(tmp_path, DISCOUNT)
    act_as("developer", DISCOUNT, tree_of(tmp_path, DISCOUNT), base="HEAD")
    assert not shop.tests_pass()


def test_developer_repeats_what_was_lost(tmp_path: Path) -> None:
    rehearsal(tmp_path, TAX)
    tree = tree_of(tmp_path, TAX)
    first = act_as("developer", TAX, tree, base="HEAD")
    git(tree, "checkout", "--quiet", ".")
    assert act_as("developer", TAX, tree, base="HEAD") == first


def test_developer_of_finished_work_leaves_it_alone(tmp_path: Path) -> None:
    shop = rehearsal(tmp_path, TAX)
    shop.play(TAX)
    before = shop.history()
    assert act_as("developer", TAX, tree_of(tmp_path, TAX), base="HEAD")["verdict"] == "pass"
    shop.commit("again")
    assert shop.history() == before


def test_developer_asks_about_a_ticket_nobody_prepared(tmp_path: Path) -> None:
    rehearsal(tmp_path, DISCOUNT)
    unknown = Ticket("ET-9", "Sell abroad", "")
    answer = act_as("developer", unknown, tree_of(tmp_path, DISCOUNT), base="HEAD")
    assert (answer["verdict"], bool(answer["question"])) == ("blocked", True)


def test_tester_says_how_much_of_the_code_was_reached(tmp_path: Path) -> None:
    rehearsal(tmp_path, TAX)
    tree = tree_of(tmp_path, TAX)
    (tree / "shop" / "unused.py").write_text("def unused() -> int:\n    a = 1\n    return a\n")
    coverage = act_as("tester", TAX, tree, base="HEAD")["coverage"]
    assert 50 < coverage < 100


def test_tester_fails_a_tree_whose_tests_fail(tmp_path: Path) -> None:
    rehearsal(tmp_path, DISCOUNT)
    tree = tree_of(tmp_path, DISCOUNT)
    act_as("developer", DISCOUNT, tree, base="HEAD")
    assert act_as("tester", DISCOUNT, tree, base="HEAD")["verdict"] == "fail"


def test_tester_fails_a_tree_without_tests(tmp_path: Path) -> None:
    (tmp_path / "empty.py").write_text("")
    assert act_as("tester", TAX, tmp_path, base="HEAD")["verdict"] == "fail"


@pytest.mark.parametrize("project", PROJECTS, ids=lambda project: project.repository)
def test_project_begins_with_passing_tests(tmp_path: Path, project: object) -> None:
    ticket = next(ticket for ticket in TICKETS if project_of(ticket) == project)
    assert rehearsal(tmp_path, ticket).tests_pass()


def test_agent_reads_the_task_and_writes_the_answer_where_it_is_told(tmp_path: Path) -> None:
    rehearsal(tmp_path, TAX)
    task = {"key": "ET-2", "title": TAX.title, "description": TAX.text, "documents": "docs/", "baseSHA": "HEAD"}
    (tmp_path / "task.json").write_text(json.dumps(task))
    env = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(EXAMPLES.parent),
        "CONVEYOR_ROLE": "architect",
        "CONVEYOR_TASK_FILE": str(tmp_path / "task.json"),
        "CONVEYOR_ANSWER_FILE": str(tmp_path / "answer.json"),
        "CONVEYOR_WORKSPACE": str(tree_of(tmp_path, TAX)),
    }
    command = [sys.executable, "-P", "-B", "-m", "examples.agents"]
    subprocess.run(command, env=env, cwd=tmp_path, check=True, capture_output=True, timeout=60)
    answer = json.loads((tmp_path / "answer.json").read_text())
    assert answer == {"verdict": "pass", "summary": "ET-2: record the decision"}
