"""Seed each bug into a copy of the tree and see that the tests turn red: scripts/mutate [words of a bug's name].

First the subset runs as it is, and must be green. Then it runs against each bug, its likeliest file first, until a test
fails: an assertion must say no, for a module that cannot be imported or a run that has no end proves nothing.
With all bugs tried the table goes to docs/mutations.md. Exit status 1 if a patch finds no place, the subset is red,
or a bug is not caught.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

from tests.mutations.bugs import BUGS, SUBSET
from tests.mutations.seed import Bug

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "docs" / "mutations.md"
SECONDS = 600
"""For one run."""
DECIDE = "operator/conveyor/pipeline/decide.py"
OPTIONS = ("-x", "-q", "-m", "not slow", "-p", "no:cacheprovider", "-W", "error")
AT_ONCE = 2
PYTHONPATH = os.pathsep.join(("operator", "webhooks", "."))
_FAILED = re.compile(r"^(FAILED|ERROR) (\S+\.py(?:::.+?)?)(?: - (.*))?$", re.MULTILINE)
_PASSED = re.compile(r"(\d+) passed")
_ASSERTED = ("assert ", "AssertionError", "Failed: ")
"""How pytest begins the line of a test that said no, where others name an error that nobody expected."""
HEAD = """# Which test catches which bug

`scripts/mutate` seeds each of these {bugs} bugs into a copy of the tree and runs the same few tests against it, until
the first of them fails by an assertion. Without a bug all of them pass: {tests} tests in {seconds:.0f} s, {cpu:.0f} s
of them on a processor. Two bugs are tried side by side, and the likeliest file is asked first.

This table is of the run of {day} on {machine}.
The load average was {load:.0f} when it began; seconds are by the wall clock.

| bug | breaks | caught by | seconds |
|---|---|---|---|
"""
FOOT = """
{caught} of {bugs} bugs are caught.
"""


@dataclass(frozen=True)
class Ran:
    """How one run of the subset ended."""

    failed: str
    """The first test that did not pass; empty: none."""
    why: str
    """What pytest says of it, or what is wrong with the run itself; empty: nothing."""
    tests: int
    seconds: float
    cpu: float = 0.0
    """Of which on a processor, where nothing else ran beside."""

    @property
    def said_no(self) -> bool:
        return bool(self.failed) and self.why.startswith(_ASSERTED)


def main(words: list[str]) -> int:
    chosen = [bug for bug in BUGS if all(word in bug.name for word in words)]
    misplaced = [bug.name for bug in chosen if (ROOT / bug.file).read_text().count(bug.old) != 1]
    if misplaced:
        sys.stderr.write(f"these patches do not find exactly one place: {misplaced}\n")
        return 1
    try:
        return asyncio.run(_main(chosen, whole=not words))
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.stderr.write("stopped; nothing was written\n")
        return 130


async def _main(chosen: list[Bug], *, whole: bool) -> int:
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    with contextlib.ExitStack() as stack:
        copies = [
            Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="conveyor-mutate-"))) for _ in range(AT_ONCE)
        ]
        for copy in copies:
            _copy_tree(copy)
        return await _try_all(chosen, copies, whole=whole)


async def _try_all(chosen: list[Bug], copies: list[Path], *, whole: bool) -> int:
    _say(f"without a bug: {len(SUBSET)} files ...")
    load, before = os.getloadavg()[0], _cpu()
    green = await _run(copies[0], None)
    green = replace(green, cpu=_cpu() - before)
    _say(f"without a bug: {green.failed or green.why or 'green'}, {green.tests} tests in {green.seconds:.0f} s")
    if green.failed or green.why:
        return 1
    tried: dict[str, Ran] = {}
    left = iter(chosen)
    async with asyncio.TaskGroup() as group:
        for copy in copies:
            group.create_task(_lane(copy, left, tried))
    caught = sum(ran.said_no for ran in tried.values())
    _say(f"caught: {caught} of {len(chosen)}")
    if whole:
        TABLE.write_text(_page(green, [(bug, tried[bug.name]) for bug in chosen], load=load))
    return 0 if caught == len(chosen) else 1


async def _lane(copy: Path, left: Iterator[Bug], tried: dict[str, Ran]) -> None:
    """One bug after another in the same copy: it is put back before the next."""
    for bug in left:
        file = copy / bug.file
        untouched = file.read_text()
        _write(file, untouched.replace(bug.old, bug.new))
        ran = tried[bug.name] = await _run(copy, bug)
        _write(file, untouched)
        verdict = "caught" if ran.said_no else "NOT CAUGHT"
        _say(f"{len(tried)}. {verdict}: {bug.name}: {ran.failed} {ran.why[:300]} ({ran.seconds:.1f} s)")


def _write(file: Path, text: str) -> None:
    """Python tells a changed file by its second and its size, which two versions may share."""
    file.write_text(text)
    for compiled in (file.parent / "__pycache__").glob(f"{file.stem}.*"):
        compiled.unlink()


async def _run(copy: Path, bug: Bug | None) -> Ran:
    """The subset as it stands there, up to the first test that fails; the bug's likeliest file by itself before."""
    began = time.monotonic()
    if bug is not None:
        ran = _read(*await _python(copy, bug.file, bug.first), time.monotonic() - began)
        if ran.failed or ran.why:
            return ran
    rest = [test for test in SUBSET if bug is None or test != bug.first]
    return _read(*await _python(copy, bug.file if bug is not None else DECIDE, *rest), time.monotonic() - began)


def _read(status: int | None, output: str, seconds: float) -> Ran:
    passed, found = _PASSED.search(output), _FAILED.search(output)
    tests = int(passed[1]) if passed else 0
    if status == 0:
        return Ran("", "", tests, seconds)
    if status != 1 or found is None or found[1] != "FAILED":
        why = f"no end within {SECONDS} s" if status is None else f"exit status {status}: {output[-600:]}"
        return Ran("", why, tests, seconds)
    return Ran(found[2], found[3] or "", tests, seconds)


async def _python(copy: Path, file: str, *tests: str) -> tuple[int | None, str]:
    """Exit status and output of these tests there; None: they took too long.

    The file's module must be found in the copy. The process has a group of its own, which ends with us.
    """
    module = file.removeprefix("operator/").removesuffix(".py").replace("/", ".")
    found = f"importlib.util.find_spec({module!r}).origin == {str(copy / file)!r}"
    code = f"import importlib.util, sys, pytest; assert {found}; sys.exit(pytest.main())"
    environment = {**os.environ, "PYTHONPATH": PYTHONPATH, "COLUMNS": "400"}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        code,
        *OPTIONS,
        *tests,
        cwd=copy,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(SECONDS):
            output, _ = await process.communicate()
        return process.returncode, output.decode(errors="replace")
    except TimeoutError:
        return None, ""
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _copy_tree(to: Path) -> None:
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    for path in filter(None, listed.split("\0")):
        if (ROOT / path).is_file():
            (to / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / path, to / path)


def _page(green: Ran, tried: list[tuple[Bug, Ran]], *, load: float) -> str:
    head = HEAD.format(
        bugs=len(tried),
        tests=green.tests,
        seconds=green.seconds,
        cpu=green.cpu,
        load=load,
        day=time.strftime("%d %B %Y").lstrip("0"),
        machine=f"{os.cpu_count()} processors ({platform.system()} {platform.machine()}), "
        f"Python {platform.python_version()}, pytest {version('pytest')}",
    )
    return (
        head
        + "".join(f"{row}\n" for row in _rows(tried))
        + FOOT.format(caught=sum(ran.said_no for _, ran in tried), bugs=len(tried))
    )


def _rows(tried: list[tuple[Bug, Ran]]) -> Iterator[str]:
    for bug, ran in tried:
        file, _, test = ran.failed.removeprefix("tests/").partition("::")
        by = f"`{file}` {test}".replace("|", "\\|") if ran.said_no else "**nothing**"
        yield f"| {bug.name} | {bug.law} | {by} | {ran.seconds:.1f} |"


def _cpu() -> float:
    """Seconds on a processor of all processes that we started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
