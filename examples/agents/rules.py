"""The reviewer's one rule: a public function says what it does."""

import ast
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Place:
    path: str
    line: int
    name: str


def undocumented(tree: Path, path: str) -> list[Place]:
    """Public functions and methods of one file that have no docstring, from top to bottom."""
    found = ast.walk(ast.parse((tree / path).read_text()))
    functions = [node for node in found if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    silent = [node for node in functions if not node.name.startswith("_") and ast.get_docstring(node) is None]
    return sorted((Place(path, node.lineno, node.name) for node in silent), key=lambda place: place.line)
