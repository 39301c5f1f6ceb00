"""Covers: what is made of Gitea's lists, in situations that a real one gives rarely."""

from typing import Any

import pytest

from conveyor.forge import gitea_wire as wire
from conveyor.pipeline.facts import ChangedFile


def comparison(*newest_first: dict[str, str], merge: int | None = None) -> wire.Comparison:
    commits: list[dict[str, Any]] = [
        {
            "files": [{"filename": name, "status": status} for name, status in files.items()],
            "sha": f"{index:040x}",
            "parents": [{"sha": "a"}, {"sha": "b"}] if index == merge else [{"sha": "a"}],
        }
        for index, files in enumerate(newest_first)
    ]
    return wire.COMPARISON.validate_python({"total_commits": len(commits), "commits": commits})


@pytest.mark.parametrize(
    ("oldest_first", "net"),
    [
        (["added"], "added"),
        (["added", "modified"], "added"),
        (["modified", "modified"], "modified"),
        (["modified", "removed"], "removed"),
        (["removed", "added"], "modified"),
        (["added", "removed", "added"], "added"),
        (["added", "removed"], None),
    ],
)
def test_path_touched_by_several_commits_counts_once_by_the_sum(oldest_first: list[str], net: str | None) -> None:
    found = wire.changed_files(comparison(*[{"f": status} for status in reversed(oldest_first)]))
    assert found == ((ChangedFile("f", net),) if net else ())


def test_what_a_merge_brought_along_is_not_a_change() -> None:
    found = wire.changed_files(comparison({"theirs": "added"}, {"ours": "added"}, merge=0))
    assert found == (ChangedFile("ours", "added"),)


def status(number: int, context: str, state: str, creator: str | None) -> wire.Status:
    user = {"login": creator} if creator else None
    return wire.Status.model_validate({"id": number, "context": context, "status": state, "creator": user})


def test_newest_status_of_each_context_and_creator_remains() -> None:
    found = wire.newest_statuses(
        [status(9, "ci", "success", "bot"), status(3, "ci", "failure", "bot"), status(10, "ci", "pending", None)]
    )
    assert [(one.creator, one.state) for one in found] == [("", "pending"), ("bot", "success")]


def pull(**head: Any) -> wire.Pull:
    end = {"label": "feature", "ref": "feature", "sha": "1" * 40, "repo_id": 7}
    return wire.PULL.validate_python(
        {
            "number": 1,
            "html_url": "u",
            "state": "open",
            "merged": False,
            "head": end | head,
            "base": end | {"label": "main", "ref": "main"},
        }
    )


def test_branch_of_a_fork_is_not_taken_for_ours() -> None:
    assert wire.pull_request(pull(repo_id=8)).head == "8:feature"


def test_deleted_branch_keeps_its_name() -> None:
    assert wire.pull_request(pull(ref="refs/pull/1/head")).head == "feature"
