"""The termination message: at most 4,096 bytes, because a kubelet cuts there and a cut message says nothing."""

from __future__ import annotations

from pathlib import Path

from conveyor.agent.settings import Secret
from conveyor.api.answers import MAX_TERMINATION_BYTES, Answer, RunError, Task, TerminationMessage
from conveyor.api.text import cut, one_line, printable

MAX_SUMMARY, MAX_QUESTION, MAX_ERROR = 2048, 1024, 2048


def passed_on(answer: Answer, task: Task, *, token: Secret, sha: str) -> bytes:
    """The agent's answer as the run's; the longer of summary and question is cut until all of it fits."""
    summary, question = cut(printable(answer.summary), MAX_SUMMARY), cut(printable(answer.question), MAX_QUESTION)
    while True:
        message = TerminationMessage(
            conveyor=1,
            uid=task.uid,
            run=task.run,
            token=token.reveal(),
            verdict=answer.verdict,
            summary=summary,
            question=question,
            retry_after_seconds=answer.retry_after_seconds,
            coverage=answer.coverage,
            sha=sha,
        )
        content = message.model_dump_json(by_alias=True, exclude_none=True).encode()
        if len(content) <= MAX_TERMINATION_BYTES:
            return content
        if len(summary) >= len(question):
            summary = cut(summary, len(summary) * 9 // 10)
        else:
            question = cut(question, len(question) * 9 // 10)


def failed(reason: str) -> bytes:
    """Why there is no answer. It has no verdict, so nobody can take it for one."""
    text = one_line(reason, MAX_ERROR)
    while len(content := RunError(error=text).model_dump_json(by_alias=True).encode()) > MAX_TERMINATION_BYTES:
        text = cut(text, len(text) * 9 // 10)
    return content


def write(path: Path, content: bytes) -> None:
    """In place: the file is a mount, which cannot be replaced."""
    path.write_bytes(content)
