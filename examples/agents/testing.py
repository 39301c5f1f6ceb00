"""A project's tests, run in a process of their own, with the share of its lines that they reached."""

import json
import os
import subprocess
import sys
import threading
import unittest
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import CodeType, FrameType
from typing import Any

SECONDS = 120


@dataclass(frozen=True)
class Report:
    tests: int
    failures: int
    coverage: float
    """In percent, one digit after the point."""

    @property
    def passed(self) -> bool:
        return self.tests > 0 and self.failures == 0


def run_tests(tree: Path) -> Report:
    """Raises subprocess.TimeoutExpired, or CalledProcessError where the tests end the process."""
    with TemporaryDirectory() as directory:
        answer = Path(directory) / "report.json"
        root = str(Path(__file__).parents[2])
        command = [sys.executable, "-P", "-B", "-m", "examples.agents.testing", str(tree), str(answer)]
        subprocess.run(command, cwd=tree, env={**os.environ, "PYTHONPATH": root}, timeout=SECONDS, check=True)
        return Report(**json.loads(answer.read_text()))


def measure(tree: Path) -> Report:
    """In this process: what it imports stays imported."""
    reached: set[tuple[str, int]] = set()
    trace = _tracer(f"{tree}{os.sep}", reached)
    threading.settrace(trace)
    sys.settrace(trace)
    try:
        suite = unittest.defaultTestLoader.discover(str(tree), top_level_dir=str(tree))
        result = unittest.TextTestRunner(stream=sys.stderr).run(suite)
    finally:
        sys.settrace(None)
        threading.settrace(None)
    lines = {line for path in tree.rglob("*.py") if not path.name.startswith("test_") for line in _lines(path)}
    share = 100 * len(lines & reached) / len(lines) if lines else 100.0
    return Report(result.testsRun, len(result.failures) + len(result.errors), round(share, 1))


def _tracer(prefix: str, reached: set[tuple[str, int]]) -> Callable[[FrameType, str, Any], Any]:
    def trace(frame: FrameType, event: str, argument: object) -> Any:  # noqa: ANN401  # what sys.settrace wants
        if not frame.f_code.co_filename.startswith(prefix):
            return None
        if event == "line":
            reached.add((frame.f_code.co_filename, frame.f_lineno))
        return trace

    return trace


def _lines(path: Path) -> Iterator[tuple[str, int]]:
    """Where there is something to run. A module's docstring and a function's head run when the file is imported."""
    todo: list[CodeType] = [compile(path.read_text(), str(path), "exec")]
    while todo:
        code = todo.pop()
        yield from ((str(path), line) for _, _, line in code.co_lines() if line and line > code.co_firstlineno)
        todo += [constant for constant in code.co_consts if isinstance(constant, CodeType)]


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(json.dumps(asdict(measure(Path(sys.argv[1]).resolve()))))
