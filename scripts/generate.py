"""Which files are made from the code, and what is in them."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from conveyor.api import crd
from conveyor.api.stages import EDGES, FIRST, TERMINAL
from conveyor.app.settings import Settings
from conveyor.app.settings_page import settings_page
from conveyor_ingress.settings import Settings as IngressSettings

ROOT = Path(__file__).resolve().parent.parent
NOTICE = "Made by scripts/generate from operator/conveyor/api; a change here is lost."


class _PlainDumper(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        """Spell everything out: an anchor in a manifest is legal and read by nobody."""
        return True


def manifest(document: Mapping[str, Any]) -> str:
    text: str = yaml.dump(dict(document), Dumper=_PlainDumper, sort_keys=False, width=120, allow_unicode=True)
    return f"# {NOTICE}\n{text}"


def stages_page() -> str:
    edges = [(start, end) for start, ends in EDGES.items() for end in EDGES if end in ends]
    lines = [
        *(f'    state "{stage}" as {_node(stage)}' for stage in EDGES),
        f"    [*] --> {_node(FIRST)}",
        *(f"    {_node(start)} --> {_node(end)}" for start, end in edges),
        *(f"    {_node(stage)} --> [*]" for stage in EDGES if stage in TERMINAL),
    ]
    diagram = "\n".join(["```mermaid", "stateDiagram-v2", *lines, "```"])
    return f"""<!-- {NOTICE} -->
# Stages

`status.stage` of a WorkItem takes these {len(edges)} edges and no other. The API server refuses the rest, but for an
`override` with a new id that names the very move. `done` and `cancelled` are never left.

{diagram}
"""


def _node(stage: str) -> str:
    return stage.replace("-", "_")


FILES: Mapping[str, Callable[[], str]] = {
    "crds/conveyor.dev_workitems.yaml": lambda: manifest(crd.workitems()),
    "crds/conveyor.dev_repositories.yaml": lambda: manifest(crd.repositories()),
    "docs/stages.md": stages_page,
    "docs/settings.md": lambda: settings_page(("Operator", Settings), ("Ingress", IngressSettings)),
}


def differing() -> list[str]:
    """The paths of generated files that are missing or not what they should be."""
    return [path for path, make in FILES.items() if not (ROOT / path).exists() or (ROOT / path).read_text() != make()]


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["--check"]):
        sys.stderr.write("usage: scripts/generate [--check]\n")
        return 2
    stale = differing()
    for path in stale:
        if arguments:
            sys.stderr.write(f"{path} is not what the code makes of it: run scripts/generate\n")
        else:
            (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
            (ROOT / path).write_text(FILES[path]())
            sys.stdout.write(f"wrote {path}\n")
    return 1 if arguments and stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
