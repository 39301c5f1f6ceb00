"""The rules of the house that no linter knows, over every file that is or could be committed."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MAX_LINES = 400
MAX_FUNCTION_LINES = 60
PACKAGES = ("operator/conveyor", "webhooks/conveyor_ingress")
LOCK = "requirements.lock"

_REGISTRIES = {
    "org": ("pypi", "pythonhosted", "npmjs", "proxy.golang", "sum.golang"),
    "io": ("docker", "ghcr", "quay", "gcr", "k8s.gcr", "registry.k8s"),
}
_REGISTRY = re.compile(
    "|".join(rf"(?<![\w-]){re.escape(name)}[.]{end}\b" for end, names in _REGISTRIES.items() for name in names)
)
_HOME = re.compile(r"(?<![\w.:/*-])/(?:root|home/[a-z][\w.-]*|Users/\w[\w.-]*)/[\w.]")
_INDEX = re.compile(r"^\s*(?:-i\b|--(?:extra-)?index-url|--find-links|--trusted-host)|://", re.MULTILINE)
_PINNED = re.compile(r"[\w.\[\]-]+==\S.*\n    --hash=sha256:[0-9a-f]{64}\b")

Files = Mapping[str, str]


def problems(files: Files, *, here: Iterable[Path] = ()) -> Iterator[str]:
    """What is wrong, one line each. `files` are texts by path; `here` are paths of this machine that none may name.

    Raises SyntaxError, naming the file, for a Python file that is none.
    """
    yield from _machine_paths(files, [str(path) for path in here])
    for path, text in files.items():
        if host := _REGISTRY.search(text):
            yield f"{path}: names the package registry {host[0]}; registries are the machine's own setting"
        if path.endswith(".py"):
            yield from _python(path, text)
    yield from _packages(files)
    if LOCK in files:
        yield from _lock(files[LOCK])


def _python(path: str, text: str) -> Iterator[str]:
    if re.fullmatch(r"operator/[^/]+[.]py", path):
        yield f"{path}: a Python file directly in operator/ shadows the standard library; put it into a package"
    lines = text.count("\n")
    if lines > MAX_LINES:
        yield f"{path}: {lines} lines, wanted at most {MAX_LINES}; divide it by what it is about"
    for node in ast.walk(ast.parse(text, filename=path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > MAX_FUNCTION_LINES:
                yield f"{path}:{node.lineno}: {node.name} has {length} lines, wanted at most {MAX_FUNCTION_LINES}"


def _packages(files: Files) -> Iterator[str]:
    """Every room says in its `__init__` what lives there."""
    ours = [Path(path) for path in files if path.endswith(".py") and path.startswith(tuple(f"{p}/" for p in PACKAGES))]
    for folder in sorted({path.parent for path in ours}):
        init = f"{folder.as_posix()}/__init__.py"
        if init not in files:
            yield f"{init}: missing; it says in two sentences what lives in the folder and what may not"
        elif not ast.get_docstring(ast.parse(files[init])):
            yield f"{init}: has no docstring; it says in two sentences what lives in the folder and what may not"


def _lock(text: str) -> Iterator[str]:
    if found := _INDEX.search(text):
        yield f"{LOCK}: names an index or an address ({found[0].strip()}); write it with scripts/lock"
    for requirement in re.split(r"\n(?=[^\s#])", text):
        if not _PINNED.match(requirement):
            yield f"{LOCK}: {requirement.split()[0]} has no exact version or no hash; write it with scripts/lock"


def _machine_paths(files: Files, here: list[str]) -> Iterator[str]:
    # A short path, such as /app, is also an ordinary word of a manifest.
    telling = [re.escape(path) for path in here if len(Path(path).parts) > 2]
    patterns = [_HOME, *([re.compile(rf"(?<![\w.])(?:{'|'.join(telling)})(?![\w-])")] if telling else [])]
    for path, text in files.items():
        for number, line in enumerate(text.splitlines(), 1):
            if any(pattern.search(line) for pattern in patterns):
                yield f"{path}:{number}: names a path of one machine"


def tree() -> dict[str, str]:
    """The texts of all files that git has or would take; what is not text is left out."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    texts: dict[str, str] = {}
    for path in sorted(set(listed.split("\0")) - {""}):
        try:
            texts[path] = (ROOT / path).read_text(encoding="utf-8")
        except (FileNotFoundError, UnicodeDecodeError):  # deleted but not yet committed; not text
            continue
    return texts


def main() -> int:
    found = list(problems(tree(), here=(ROOT, Path.home())))
    for line in found:
        sys.stderr.write(f"{line}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
