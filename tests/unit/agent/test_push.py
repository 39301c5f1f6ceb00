"""What of a writer's work arrives at the forge."""

import json

import pytest

from conveyor.agent.publish import publish
from conveyor.agent.settings import publish_settings
from tests.unit.agent.conftest import BRANCH, FORGE_TOKEN, RUN, RUN_TOKEN, Run, git


def forge_hook(run: Run, script: str) -> None:
    """The forge runs this before it accepts a push."""
    hook = run.origin / "hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\n{script}\n")
    hook.chmod(0o755)
    git(run.origin, "config", "core.hooksPath", str(hook.parent))  # ours says there are none, and reaches it here


def test_commits_are_pushed_and_the_message_names_the_new_head(cloned: Run) -> None:
    head = cloned.commit()
    message = cloned.publish()
    assert cloned.remote_head() == head
    assert message == {
        "conveyor": 1,
        "uid": "uid-1",
        "run": RUN,
        "token": RUN_TOKEN,
        "verdict": "pass",
        "summary": "Greet people",
        "question": "",
        "retryAfterSeconds": 0,
        "sha": head,
        "image": "",
        "revision": "",
    }


def test_files_left_uncommitted_become_a_commit_of_the_role(cloned: Run) -> None:
    base = cloned.remote_head()
    cloned.write("docs/привет мир.md", "hello\n")
    (cloned.workspace / "README.md").unlink()
    message = cloned.publish()
    assert cloned.remote_files() == {".gitignore": "build/", "docs/привет мир.md": "hello"}
    shown = git(cloned.origin, "log", "-1", "--format=%H|%P|%an <%ae>|%cn|%B", BRANCH)
    assert shown == f"{message['sha']}|{base}|developer <developer@conveyor.invalid>|developer|Greet people"


def test_what_is_left_uncommitted_comes_on_top_of_the_agent_s_commits(cloned: Run) -> None:
    cloned.commit(message="First")
    cloned.write("second.txt", "2\n")
    cloned.publish()
    assert git(cloned.origin, "log", "--format=%s", BRANCH).splitlines() == ["Greet people", "First", "Begin"]


def test_ignored_files_are_not_committed(cloned: Run) -> None:
    cloned.write("build/out.bin", "x")
    base = cloned.remote_head()
    assert cloned.publish()["sha"] == base
    assert cloned.remote_head() == base


@pytest.mark.parametrize("verdict", ["fail", "blocked", "retry"])
def test_without_a_pass_commits_are_kept_and_loose_changes_are_not(cloned: Run, verdict: str) -> None:
    head = cloned.commit()
    cloned.write("half-done.txt", "...")
    cloned.answer(verdict=verdict)
    message = cloned.publish()
    assert (message["verdict"], message["sha"], cloned.remote_head()) == (verdict, head, head)


def test_nothing_done_pushes_nothing_and_names_the_head_found(cloned: Run) -> None:
    base = cloned.remote_head()
    assert cloned.publish()["sha"] == base


def test_commits_that_git_has_packed_are_taken(cloned: Run) -> None:
    head = cloned.commit()
    cloned.git("gc", "-q")
    cloned.git("pack-refs", "--all")
    cloned.publish()
    assert cloned.remote_head() == head


def test_commits_on_another_branch_or_on_none_are_taken_from_head(cloned: Run) -> None:
    cloned.git("checkout", "-q", "-b", "mine/first")
    cloned.commit("a.txt")
    cloned.git("checkout", "-q", "--detach")
    head = cloned.commit("b.txt")
    cloned.publish()
    assert cloned.remote_head() == head


def test_links_and_executable_files_are_kept_as_such(cloned: Run) -> None:
    (cloned.workspace / "link").symlink_to("/etc/hostname")
    cloned.write("tool", "#!/bin/sh\n")
    (cloned.workspace / "tool").chmod(0o755)
    cloned.publish()
    listed = git(cloned.origin, "ls-tree", BRANCH, "link", "tool").splitlines()
    assert [line.split()[0] for line in listed] == ["120000", "100755"]
    assert cloned.remote_files()["link"] == "/etc/hostname"


def test_line_ends_follow_the_tree_s_attributes(cloned: Run) -> None:
    cloned.commit(".gitattributes", "*.txt text eol=crlf\n")
    cloned.write("dos.txt", "a\r\n")
    cloned.publish()
    assert git(cloned.origin, "cat-file", "-s", f"{BRANCH}:dos.txt") == "2"


def test_a_branch_moved_meanwhile_is_left_alone(cloned: Run) -> None:
    cloned.commit()
    theirs = cloned.somebody_pushes()
    error = cloned.publish()["error"]
    assert cloned.remote_head() == theirs
    assert "moved meanwhile" in error
    assert theirs in error


def test_a_branch_deleted_meanwhile_is_not_made_again(cloned: Run) -> None:
    cloned.commit()
    git(cloned.origin, "update-ref", "-d", f"refs/heads/{BRANCH}")
    assert "now it is gone" in cloned.publish()["error"]
    assert git(cloned.origin, "for-each-ref", "--format=%(refname)") == "refs/heads/main"


def test_a_rewritten_history_is_refused(cloned: Run) -> None:
    base = cloned.remote_head()
    cloned.git("commit", "-q", "--amend", "-m", "Rewritten")
    assert "does not descend" in cloned.publish()["error"]
    assert cloned.remote_head() == base


def test_a_push_that_the_forge_s_hook_refuses_shows_why(cloned: Run) -> None:
    base = cloned.remote_head()
    forge_hook(cloned, f"echo 'no, and your token is {FORGE_TOKEN}' >&2; exit 1")
    cloned.commit()
    error = cloned.publish()["error"]
    assert "no, and your token is ..." in error
    assert cloned.remote_head() == base


def test_git_gets_nothing_of_our_environment(cloned: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODEL_KEY", "m0del-key")
    forge_hook(cloned, f"env > {cloned.root}/seen")
    cloned.commit()
    cloned.publish()
    seen = (cloned.root / "seen").read_text()
    assert "PATH=" in seen
    assert "m0del-key" not in seen


def test_a_push_whose_answer_was_lost_counts_when_the_branch_is_there(cloned: Run) -> None:
    head = cloned.commit()
    git(cloned.seed, "fetch", "-q", str(cloned.workspace), head)
    git(cloned.seed, "push", "-q", str(cloned.origin), f"{head}:refs/heads/{BRANCH}")
    assert cloned.publish()["sha"] == head


def test_commits_larger_than_allowed_are_refused(cloned: Run) -> None:
    base = cloned.remote_head()
    cloned.commit("noise.txt", "".join(f"{number * 7919 % 104729:x}" for number in range(20_000)))
    with pytest.raises(Exception, match="are too large"):
        publish(publish_settings(cloned.environment()), max_new_bytes=5_000)
    assert cloned.remote_head() == base


def test_files_left_that_are_larger_than_allowed_are_refused(cloned: Run) -> None:
    base = cloned.remote_head()
    cloned.write("noise.txt", "".join(f"{number * 7919 % 104729:x}" for number in range(20_000)))
    with pytest.raises(Exception, match="maximum allowed size"):
        publish(publish_settings(cloned.environment()), max_new_bytes=5_000)
    assert cloned.remote_head() == base


def test_a_title_of_many_lines_and_controls_becomes_one_plain_subject(cloned: Run) -> None:
    cloned.write("a.txt", "a")
    cloned.answer(summary="\n\x1b[31m" + "word " * 40 + "\n-F /etc/passwd")
    cloned.publish()
    subject = git(cloned.origin, "log", "-1", "--format=%B", BRANCH)
    assert subject.startswith("[31mword word")
    assert len(subject) <= 72


def test_an_empty_summary_still_gives_a_subject(cloned: Run) -> None:
    cloned.write("a.txt", "a")
    cloned.answer(summary=" \n")
    cloned.publish()
    assert git(cloned.origin, "log", "-1", "--format=%s", BRANCH) == "ET-17: work of the developer"


@pytest.mark.parametrize("role", ["reviewer", "tester"])
def test_what_a_reviewer_or_tester_commits_is_dropped(run: Run, role: str) -> None:
    run.role = role
    run.clone()
    base = run.remote_head()
    run.commit()
    run.answer(verdict="blocked", question="Which one?")
    message = run.publish()
    assert (message["sha"], message["question"]) == (base, "Which one?")
    assert run.remote_head() == base


def test_no_token_stays_in_the_state_directory(cloned: Run) -> None:
    cloned.commit()
    cloned.publish()
    files = [path for path in (cloned.root / "state").rglob("*") if path.is_file()]
    assert not [path for path in files if FORGE_TOKEN.encode() in path.read_bytes()]
    assert json.loads(cloned.termination_file.read_text())["verdict"] == "pass"
