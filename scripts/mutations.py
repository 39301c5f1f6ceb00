"""Seed each bug into a copy of the tree and see that the tests turn red: scripts/mutate [words of a bug's name].

The subset must be green as it is. Prints which test caught which bug, and writes the table to docs/mutations.md when
all bugs were tried. Exit status 1 if the subset is red, a patch finds no place, or a bug is not caught.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.mutations.bugs import BUGS, SUBSET, Bug

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "docs" / "mutations.md"
SECONDS = 600
AT_ONCE = 2
_FAILED = re.compile(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", re.MULTILINE)
HEAD = """# Which test catches which bug

Written by `scripts/mutate`, which seeds each bug into a copy of the tree and runs the same few tests against it, until
the first of them fails. Without a bug they pass.

| bug | law | caught by | seconds |
|---|---|---|---|
"""


@dataclass(frozen=True)
class Tried:
    bug: Bug
    caught_by: str
    """The first test that failed; empty: none did."""
    seconds: float

    def row(self) -> str:
        test = self.caught_by.partition("::")
        caught = f"`{test[0].removeprefix('tests/')}` {test[2]}" if self.caught_by else "**nothing**"
        return f"| {self.bug.name} | {self.bug.law} | {caught} | {self.seconds:.0f} |"


def main(words: list[str]) -> int:
    chosen = [bug for bug in BUGS if all(word in bug.name for word in words)]
    missing = [bug.name for bug in chosen if (ROOT / bug.file).read_text().count(bug.old) != 1]
    if missing:
        sys.stderr.write(f"these patches do not find exactly one place: {missing}\n")
        return 1
    with ThreadPoolExecutor(AT_ONCE) as pool:
        untouched = pool.submit(_run, None)
        tried = list(pool.map(_try, chosen))
    failed, seconds = untouched.result()
    rows = [it.row() for it in tried]
    sys.stdout.write("\n".join([f"without a bug: {failed or 'green'} in {seconds:.0f} s", *rows, ""]))
    if not words and not failed:
        TABLE.write_text(HEAD + "\n".join(rows) + "\n")
    return 1 if failed or not all(it.caught_by for it in tried) else 0


def _try(bug: Bug) -> Tried:
    caught_by, seconds = _run(bug)
    return Tried(bug, caught_by, seconds)


def _run(bug: Bug | None) -> tuple[str, float]:
    """The first test that fails in a copy of the tree with this bug, and how long it took."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        _copy_tree(copy)
        tests = list(SUBSET)
        if bug is not None:
            file = copy / bug.file
            file.write_text(file.read_text().replace(bug.old, bug.new))
            tests = [bug.first, *(test for test in SUBSET if test != bug.first)]
        began = time.monotonic()
        options = ["-x", "-q", "-p", "no:cacheprovider", "-W", "error"]
        command = [sys.executable, "-m", "pytest", *options, *tests]
        done = subprocess.run(command, cwd=copy, capture_output=True, text=True, timeout=SECONDS, check=False)
        found = _FAILED.search(done.stdout)
        failed = found[1] if found else (f"exit status {done.returncode}" if done.returncode else "")
        return failed, time.monotonic() - began


def _copy_tree(to: Path) -> None:
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    for path in filter(None, listed.split("\0")):
        if (ROOT / path).is_file():
            (to / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / path, to / path)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
