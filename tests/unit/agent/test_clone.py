import json
import stat
from pathlib import Path

import pytest

from tests.unit.agent.conftest import BRANCH, FORGE_TOKEN, Run, git


def files_below(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*") if path.is_file()]


def test_the_tree_is_the_branch_with_its_whole_history(run: Run) -> None:
    theirs = run.somebody_pushes()
    assert run.clone() == 0
    assert run.git("rev-parse", "--abbrev-ref", "HEAD") == BRANCH
    assert run.git("log", "--format=%H %s").splitlines()[0] == f"{theirs} Push in between"
    assert run.git("rev-list", "--count", "HEAD") == "2"


def test_the_tree_holds_no_token_and_no_path_of_ours(cloned: Run) -> None:
    written = b"".join(path.read_bytes() for path in files_below(cloned.workspace))
    assert FORGE_TOKEN.encode() not in written
    assert f"{cloned.root}/state".encode() not in (cloned.workspace / ".git/config").read_bytes()


def test_our_own_repository_holds_no_token(cloned: Run) -> None:
    assert not [path for path in files_below(cloned.root / "state") if FORGE_TOKEN.encode() in path.read_bytes()]


def test_the_tree_shares_no_file_with_our_repository(cloned: Run) -> None:
    assert not [path for path in files_below(cloned.workspace) if path.stat().st_nlink > 1]
    assert not (cloned.workspace / ".git/objects/info/alternates").exists()


def test_another_user_of_the_group_can_work_in_the_tree(cloned: Run) -> None:
    wanted = {"README.md": stat.S_IWGRP, ".git": stat.S_IWGRP | stat.S_IXGRP, ".git/objects": stat.S_IWGRP}
    assert all((cloned.workspace / name).stat().st_mode & bits == bits for name, bits in wanted.items())


def test_an_agent_can_commit_as_its_role_without_configuring_anything(cloned: Run) -> None:
    configured = git(cloned.workspace, "config", "--local", "--get-regexp", "^user").splitlines()
    assert configured == ["user.name developer", "user.email developer@conveyor.invalid"]


def test_the_task_is_passed_on_to_the_agent(run: Run) -> None:
    run.task = {"title": "Grüße $(rm -rf /)"}
    run.clone()
    assert json.loads((run.root / "out/task.json").read_text())["title"] == "Grüße $(rm -rf /)"


def test_a_branch_that_does_not_exist_is_named(run: Run) -> None:
    run.task = {"branch": "feature/ET-18-other"}
    assert run.clone() == 1
    assert "feature/ET-18-other" in json.loads(run.termination_file.read_text())["error"]


def test_a_second_clone_on_the_same_volumes_is_refused(cloned: Run) -> None:
    assert cloned.clone() == 1
    assert "not empty" in json.loads(cloned.termination_file.read_text())["error"]


def test_a_malformed_task_is_refused_without_repeating_it(run: Run) -> None:
    run.task = {"attempt": "s3cret"}
    assert run.clone() == 1
    error = json.loads(run.termination_file.read_text())["error"]
    assert "attempt" in error
    assert "s3cret" not in error


def test_a_task_that_is_too_large_is_refused(run: Run) -> None:
    run.task = {"description": "x" * 70_000}
    assert run.clone() == 1
    assert "larger than 65536 bytes" in json.loads(run.termination_file.read_text())["error"]


def test_a_git_configuration_of_the_environment_has_no_say(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", f"url.{run.root}/nowhere/.insteadOf")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "file://")
    monkeypatch.setenv("GIT_DIR", f"{run.root}/nowhere")
    assert run.clone() == 0
