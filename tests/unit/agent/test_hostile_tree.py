"""A workspace made to attack: nothing in it is run, no file of ours gets out, nothing damaged gets on.

A planted program leaves a file, `ran`.
"""

import os
import zlib
from hashlib import sha1
from pathlib import Path

import pytest

from tests.unit.agent.conftest import BRANCH, FORGE_TOKEN, Run, git

NAMES_OF_HOOKS = (
    "pre-commit", "post-commit", "pre-push", "post-index-change", "reference-transaction", "post-checkout",
    "pre-receive", "update", "post-receive", "fsmonitor-watchman", "pre-auto-gc",
)  # fmt: skip


def trap(run: Run) -> Path:
    """A program that leaves a file."""
    program = run.root / "trap"
    program.write_text(f'#!/bin/sh\necho "$0 $@" >> {run.root}/ran\ncat\n')
    program.chmod(0o755)
    return program


def ran(run: Run) -> str:
    record = run.root / "ran"
    return record.read_text() if record.exists() else ""


def put_object(run: Run, kind: str, content: bytes, *, name: str = "") -> str:
    """Write a loose object into the agent's repository, under its own or another name."""
    data = b"%s %d\0%s" % (kind.encode(), len(content), content)
    name = name or sha1(data).hexdigest()  # noqa: S324 - git's name of it
    folder = run.workspace / ".git/objects" / name[:2]
    folder.mkdir(exist_ok=True)
    (folder / name[2:]).write_bytes(zlib.compress(data))
    return name


def put_commit(run: Run, tree: str, *, author: str = "x <x@example.invalid> 1700000000 +0000") -> str:
    parent = run.git("rev-parse", "HEAD")
    lines = [f"tree {tree}", f"parent {parent}", f"author {author}", f"committer {author}", "", "Bad", ""]
    sha = put_object(run, "commit", "\n".join(lines).encode())
    (run.workspace / ".git/refs/heads" / BRANCH).write_text(sha + "\n")
    return sha


def assert_refused(run: Run, *words: str) -> None:
    base = run.remote_head()
    error = run.publish()["error"]
    assert all(word in error for word in words), error
    assert FORGE_TOKEN not in error
    assert run.remote_head() == base


def test_hooks_and_configured_programs_of_the_tree_are_not_run(cloned: Run) -> None:
    cloned.commit(".gitattributes", "* filter=evil diff=evil merge=evil\n")
    head = cloned.commit("a.txt")
    program = trap(cloned)
    hooks = cloned.workspace / ".git/hooks"
    hooks.mkdir()
    for name in NAMES_OF_HOOKS:
        (hooks / name).symlink_to(program)
    configured = (
        "core.fsmonitor", "core.sshCommand", "core.pager", "core.editor", "core.askPass", "uploadpack.packObjectsHook",
        "credential.helper", "filter.evil.clean", "filter.evil.smudge", "filter.evil.process", "diff.evil.textconv",
        "diff.external", "gpg.program", "core.alternateRefsCommand",
    )  # fmt: skip
    for key in configured:
        cloned.git("config", key, str(program))
    cloned.git("config", "commit.gpgSign", "true")
    cloned.write("b.txt", "b\n")
    cloned.git("add", "b.txt")
    assert ran(cloned) != "", "the traps are not armed"
    (cloned.root / "ran").unlink()
    cloned.publish()
    assert cloned.remote_files()["b.txt"] == "b"
    assert git(cloned.origin, "rev-parse", f"{BRANCH}~1") == head
    assert ran(cloned) == ""


@pytest.mark.parametrize("deep", [1, 100])
def test_a_repository_inside_the_tree_is_not_asked(cloned: Run, deep: int) -> None:
    """Git runs `git status` in a submodule to learn whether it has changed, with that one's configuration."""
    folder = "/".join(["sub"] * deep)
    at = cloned.workspace / folder
    at.mkdir(parents=True)
    git(at, "init", "-q")
    git(at, "commit", "-q", "--allow-empty", "-m", "Inner")
    inner = git(at, "rev-parse", "HEAD")
    cloned.git("update-index", "--add", "--cacheinfo", f"160000,{inner},{folder}")
    cloned.git("commit", "-q", "-m", "Add a submodule")
    git(at, "config", "core.fsmonitor", str(trap(cloned)))
    (at / "file").write_text("x")
    cloned.publish()
    assert ran(cloned) == ""
    assert git(cloned.origin, "rev-parse", f"{BRANCH}:{folder}") == inner


def test_a_repository_cloned_into_the_tree_is_taken_as_plain_files(cloned: Run) -> None:
    (cloned.workspace / "vendor").mkdir()
    git(cloned.workspace / "vendor", "init", "-q")
    cloned.write("vendor/lib.py", "x = 1\n")
    cloned.publish()
    assert cloned.remote_files()["vendor/lib.py"] == "x = 1"


def test_a_git_file_that_points_elsewhere_is_not_followed(cloned: Run) -> None:
    cloned.write("sub/.git", f"gitdir: {cloned.root}/seed/.git\n")
    cloned.write("sub/file", "x\n")
    cloned.publish()
    assert cloned.remote_files()["sub/file"] == "x"


def test_links_to_our_secrets_stay_links(cloned: Run) -> None:
    (cloned.workspace / "token").symlink_to(cloned.root / "in/forge-token")
    (cloned.workspace / "secrets").symlink_to(cloned.root / "in")
    (cloned.workspace / ".gitignore").unlink()
    (cloned.workspace / ".gitignore").symlink_to(cloned.root / "in/forge-token")
    cloned.publish()
    pushed = cloned.remote_files()
    assert pushed["secrets"] == str(cloned.root / "in")
    assert FORGE_TOKEN not in "".join(pushed.values())


def test_a_workspace_that_became_a_link_is_refused(cloned: Run) -> None:
    cloned.workspace.rename(cloned.root / "moved")
    git(cloned.root / "in", "init", "-q")
    cloned.workspace.symlink_to(cloned.root / "in")
    assert_refused(cloned, "the workspace is not a directory")


@pytest.mark.parametrize("part", [".git", ".git/objects", ".git/objects/pack"])
def test_a_part_of_the_repository_that_became_a_link_is_refused(cloned: Run, part: str) -> None:
    cloned.commit()
    place = cloned.workspace / part
    place.rename(cloned.root / "moved")
    place.symlink_to(cloned.root / "moved")
    assert_refused(cloned, "is not a directory")


def test_a_git_file_in_place_of_the_repository_is_refused(cloned: Run) -> None:
    cloned.commit()
    (cloned.workspace / ".git").rename(cloned.root / "moved")
    cloned.write(".git", f"gitdir: {cloned.root}/moved\n")
    assert_refused(cloned, "is not a directory")


def test_objects_of_alternates_are_not_read(cloned: Run) -> None:
    elsewhere = cloned.root / "elsewhere"
    elsewhere.mkdir()
    git(elsewhere, "init", "-q")
    (elsewhere / "private.txt").write_text(FORGE_TOKEN)
    git(elsewhere, "add", "--all")
    tree = git(elsewhere, "write-tree")
    (cloned.workspace / ".git/objects/info").mkdir(exist_ok=True)
    (cloned.workspace / ".git/objects/info/alternates").write_text(f"{elsewhere}/.git/objects\n")
    put_commit(cloned, tree)
    assert_refused(cloned, "cannot be taken")


def test_an_object_that_is_a_link_is_refused(cloned: Run) -> None:
    head = cloned.commit()
    file = cloned.workspace / ".git/objects" / head[:2] / head[2:]
    file.rename(cloned.root / "moved")
    file.symlink_to(cloned.root / "moved")
    assert_refused(cloned, "cannot be read")


def test_an_object_that_is_a_pipe_is_refused_without_waiting(cloned: Run) -> None:
    os.mkfifo(cloned.workspace / ".git/objects/pack" / f"pack-{'a' * 40}.pack")
    assert_refused(cloned, "is not a regular file")


def test_an_object_under_a_false_name_is_refused(cloned: Run) -> None:
    blob = put_object(cloned, "blob", b"harmless\n", name="ab" * 20)
    tree = put_object(cloned, "tree", b"100644 a.txt\0" + bytes.fromhex(blob))
    put_commit(cloned, tree)
    assert_refused(cloned, "cannot be taken")


def test_an_object_of_ours_cannot_be_replaced(cloned: Run) -> None:
    """The agent writes another README under the name of the one that clone found."""
    known = cloned.git("rev-parse", "HEAD:README.md")
    data = b"blob 5\0evil\n"
    place = cloned.workspace / ".git/objects" / known[:2] / known[2:]
    place.parent.mkdir(exist_ok=True)
    place.unlink(missing_ok=True)
    place.write_bytes(zlib.compress(data))
    cloned.write("b.txt", "b\n")
    cloned.publish()
    assert cloned.remote_files()["README.md"] == "# Shop"


@pytest.mark.parametrize("entry", [b"..", b".git", b".GIT", b"a/b", b""])
def test_a_tree_with_an_impossible_name_is_refused(cloned: Run, entry: bytes) -> None:
    blob = put_object(cloned, "blob", b"x")
    tree = put_object(cloned, "tree", b"100644 " + entry + b"\0" + bytes.fromhex(blob))
    put_commit(cloned, tree)
    assert_refused(cloned)


def test_a_link_as_gitmodules_is_refused(cloned: Run) -> None:
    blob = put_object(cloned, "blob", b"/etc/passwd")
    tree = put_object(cloned, "tree", b"120000 .gitmodules\0" + bytes.fromhex(blob))
    put_commit(cloned, tree)
    cloned.answer(verdict="blocked")
    assert_refused(cloned, "gitmodules")


def test_a_commit_without_its_tree_is_refused(cloned: Run) -> None:
    put_commit(cloned, "cd" * 20)
    assert_refused(cloned)


def test_a_malformed_commit_is_refused(cloned: Run) -> None:
    tree = cloned.git("rev-parse", "HEAD^{tree}")
    put_commit(cloned, tree, author="nobody")
    assert_refused(cloned, "cannot be taken")


def test_a_damaged_pack_is_refused(cloned: Run) -> None:
    (cloned.workspace / ".git/objects/pack" / f"pack-{'a' * 40}.pack").write_bytes(b"PACK\0\0\0\2\0\0\0\1junk")
    assert_refused(cloned, "the agent's objects cannot be read")


def test_a_replaced_commit_is_taken_as_what_it_is(cloned: Run) -> None:
    base = cloned.git("rev-parse", "HEAD")
    other = cloned.git("commit-tree", "HEAD^{tree}", "-m", "Another beginning")
    cloned.git("replace", base, other)
    cloned.write("b.txt", "b\n")
    cloned.publish()
    assert git(cloned.origin, "rev-parse", f"{BRANCH}~1") == base


def test_a_history_cut_by_graft_or_shallow_does_not_pass_as_a_descendant(cloned: Run) -> None:
    base = cloned.remote_head()
    stranger = cloned.git("commit-tree", "HEAD^{tree}", "-m", "No parent")
    cloned.git("reset", "-q", "--hard", stranger)
    (cloned.workspace / ".git/info").mkdir(exist_ok=True)
    (cloned.workspace / ".git/info/grafts").write_text(f"{stranger} {base}\n")
    (cloned.workspace / ".git/shallow").write_text(f"{stranger}\n")
    assert_refused(cloned, "does not descend")


@pytest.mark.parametrize(
    "head",
    [
        "ref: refs/heads/../../../../in/forge-token",
        "ref: refs/heads/a//b",
        "ref: refs/heads/none",
        "ref: ../in/forge-token",
        "--upload-pack=x",
        "main",
        "",
        "\udcff\udcfe",
    ],
)
def test_a_head_that_names_no_commit_is_refused(cloned: Run, head: str) -> None:
    (cloned.workspace / ".git/HEAD").write_bytes(head.encode(errors="surrogateescape"))
    assert_refused(cloned)


def test_a_ref_that_is_a_link_to_our_token_shows_nothing_of_it(cloned: Run) -> None:
    ref = cloned.workspace / ".git/refs/heads" / BRANCH
    ref.unlink()
    ref.symlink_to(cloned.root / "in/forge-token")
    assert_refused(cloned)


def test_a_head_that_is_a_blob_is_refused(cloned: Run) -> None:
    blob = put_object(cloned, "blob", b"x")
    (cloned.workspace / ".git/HEAD").write_text(blob)
    assert_refused(cloned, "is no commit")


def test_a_tracked_file_that_became_a_pipe_is_refused_without_waiting(cloned: Run) -> None:
    (cloned.workspace / "README.md").unlink()
    os.mkfifo(cloned.workspace / "README.md")
    assert_refused(cloned, "cannot be taken")


def test_a_repository_of_too_many_objects_is_refused(cloned: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conveyor.agent.objects.MAX_FILES", 2)
    cloned.commit()
    assert_refused(cloned, "too many objects")
