"""The task, which is the operator's word, and the answer, which is the agent's."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from conveyor.agent.errors import StepFailed
from conveyor.agent.untrusted import read_file
from conveyor.api.answers import MAX_ANSWER_BYTES, MAX_TASK_BYTES, Answer, Task


def read_task(path: Path) -> tuple[Task, bytes]:
    """The task and its text. Kubernetes mounts the file as a link, so it is followed."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_TASK_BYTES + 1)
    except OSError as error:
        raise StepFailed(f"the task cannot be read: {error.strerror}") from None
    if len(content) > MAX_TASK_BYTES:
        raise StepFailed(f"the task is larger than {MAX_TASK_BYTES} bytes")
    try:
        return Task.model_validate_json(content), content
    except ValidationError as error:
        raise StepFailed(f"the task is malformed: {_first(error)}") from None


def read_answer(path: Path) -> Answer:
    content = read_file(path, "the agent's answer", limit=MAX_ANSWER_BYTES)
    try:
        return Answer.model_validate_json(content)
    except ValidationError as error:
        raise StepFailed(f"the agent's answer is malformed: {_first(error)}") from None


def _first(error: ValidationError) -> str:
    """Where and what, without the input."""
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    place = ".".join(map(str, first["loc"]))
    return f"{place}: {first['msg']}" if place else first["msg"]
