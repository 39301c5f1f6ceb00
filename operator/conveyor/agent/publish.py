"""After the agent: check what it left, pass on what its role may give, and say how the run ended."""

from __future__ import annotations

from contextlib import closing

from conveyor.agent import message
from conveyor.agent.clone import Found, repository_directory
from conveyor.agent.errors import StepFailed
from conveyor.agent.forge_api import ForgeApi
from conveyor.agent.git import MAX_NEW_BYTES, Git
from conveyor.agent.inputs import read_answer, read_task
from conveyor.agent.posts import post_report, post_review
from conveyor.agent.remote import Remote
from conveyor.agent.settings import PublishSettings
from conveyor.agent.take import take
from conveyor.api.answers import Answer, Task
from conveyor.api.stages import WRITERS, Role
from conveyor.api.text import one_line

MAX_SUBJECT = 72


def publish(settings: PublishSettings, *, max_new_bytes: int = MAX_NEW_BYTES) -> bytes:
    """The run's termination message. Raises StepFailed where the run has no usable answer or its work was refused."""
    task, _ = read_task(settings.task_source)
    answer = read_answer(settings.answer)
    home = settings.state / "publish"
    home.mkdir(mode=0o700)
    found = Found(Git(home, max_new_bytes=max_new_bytes), repository_directory(settings.state), task.branch)
    if task.role in WRITERS:
        sha = _push(settings, task, answer, found=found)
    else:
        sha = found.head()
        _post(settings, task, answer, found=found)
    return message.passed_on(answer, task, token=settings.run_token, sha=sha)


def _push(settings: PublishSettings, task: Task, answer: Answer, *, found: Found) -> str:
    """The branch's commit afterwards. What is left uncommitted counts only when the agent says that it is done."""
    head = found.head()
    title = (subject(task, answer) + "\n") if answer.verdict == "pass" else None
    sha = take(found, settings.workspace, scratch=settings.state / "publish", role=task.role, message=title)
    if sha != head:
        Remote(found.git, settings.forge).push(found.directory, task.branch, sha=sha, found=head)
    return sha


def subject(task: Task, answer: Answer) -> str:
    """The subject of a commit made for the agent: the first line of its summary."""
    first = next((line for line in answer.summary.splitlines() if line.strip()), "")
    return one_line(first, MAX_SUBJECT) or f"{task.key}: work of the {task.role}"


def _post(settings: PublishSettings, task: Task, answer: Answer, *, found: Found) -> None:
    with closing(ForgeApi(settings.forge)) as api:
        if task.role == Role.REVIEWER and answer.verdict == "pass":
            if answer.review is None:
                raise StepFailed("the agent's answer is malformed: a reviewer's pass needs a review")
            post_review(api, task, answer.review, found=found)
        elif task.role == Role.TESTER and answer.verdict in ("pass", "fail"):
            post_report(api, task, answer)
