"""The command line: `kubectl workitem [options] <command> …`; options may stand before and after the command."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from conveyor.api.stages import Stage

PROGRAM = "kubectl workitem"
FORMATS = ("table", "wide", "json", "name")
VERBS = {
    "approve": "say yes at the open gate",
    "reject": "say no at the open gate, and why",
    "resume": "go on: no longer held or Stalled, the question answered; counts stay",
    "retry": "as resume, with all counts at 0, and a new run or a new side effect",
    "rework": "send back to development, and why",
    "refresh": "read forge and tracker now",
    "hold": "begin no new step; what runs may finish (spec.suspend)",
    "cancel": "end it: the run is stopped, branch and pull request stay (spec.cancel)",
    "release-lease": "take its Leases away from a process that hangs: somebody else goes on with its side effect",
    "override": "break-glass: move it to any stage, past its gates; takes the right to override",
}
WITH_REASON = ("reject", "rework", "override")
EPILOG = """exit codes:
  0   done
  1   not there, or refused
  2   wrong usage
  3   the API server cannot be used
  4   asked for, but not answered in time
  10  from `why --exit-code`: it waits for a person"""


@dataclass(frozen=True, slots=True)
class Options:
    """`namespace` is None where none was named."""

    command: str
    name: str = ""
    """Of the WorkItem, or of the Repository for `freeze` and `unfreeze`."""
    move: str = ""
    """Of `override`: the stage it is to be in, or both with a > between."""
    which: str = ""
    """Of `unfreeze`: a freeze's id, all, or annotation."""
    until: str = ""
    freeze_scope: str = "admission"
    reason: str = ""
    namespace: str | None = None
    all_namespaces: bool = False
    selector: str = ""
    context: str | None = None
    kubeconfig: str | None = None
    output: str = "table"
    repository: str = ""
    exit_code: bool = False
    wait: float = 10.0


def parse(arguments: Sequence[str]) -> Options:
    """Ends the process with 2 and a message where they make no sense, with 0 after --help."""
    parser = _parser()
    found = vars(parser.parse_args(arguments))
    if isinstance(found.get("reason"), list):
        found["reason"] = " ".join(found["reason"])
    options = Options(**found)
    if options.all_namespaces and options.namespace is not None:
        parser.error("-A and -n exclude each other")
    if options.all_namespaces and options.name:
        parser.error(f"{options.command} is about one object: name its namespace with -n")
    return options


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="See where work items are and why they wait, and move them on.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        parents=[_common()],
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    for name, text in (("list", "a row per work item"), ("queue", "who is next in each repository, and why")):
        many = _command(commands, name, text)
        many.add_argument("-A", "--all-namespaces", action="store_true", default=argparse.SUPPRESS)
        many.add_argument("--repository", metavar="NAME", default=argparse.SUPPRESS, help="of this repository only")
        if name == "list":
            many.add_argument("-l", "--selector", metavar="LABELS", default=argparse.SUPPRESS)
    _item(_command(commands, "show", "everything of one work item"))
    _item(_command(commands, "tree", "a work item with all that hangs on it: items, Jobs, Leases"))
    why = _item(_command(commands, "why", "why a work item waits, on whom, and what to run"))
    why.add_argument(
        "--exit-code", action="store_true", default=argparse.SUPPRESS, help="end with 10 if it waits for a person"
    )
    for name, text in VERBS.items():
        verb = _item(_command(commands, name, text))
        if name == "override":
            verb.add_argument("move", metavar="STAGE", type=_move, help="where to, or 'from>to' (in quotes)")
        _reason(verb, needed=name in WITH_REASON, possible=name == "release-lease")
        _waiting(verb)
    _freezing(commands)
    return parser


def _freezing(commands: _Commands[argparse.ArgumentParser]) -> None:
    freeze = _command(commands, "freeze", "start nothing new in a repository (annotation conveyor.dev/freeze)")
    freeze.add_argument("name", metavar="REPOSITORY", help="name of the Repository")
    freeze.add_argument("--until", metavar="TIME", default=argparse.SUPPRESS, help="its end: 90m, 4h, 2d or RFC 3339")
    scope = freeze.add_argument("--scope", dest="freeze_scope", choices=("admission", "merge"))
    scope.default, scope.help = argparse.SUPPRESS, "merge: nothing is merged either"
    _reason(freeze, needed=True)
    unfreeze = _command(commands, "unfreeze", "end a freeze: one that a deploy caused, or the annotation")
    unfreeze.add_argument("name", metavar="REPOSITORY", help="name of the Repository")
    which = "its id, all (that deploys caused) or annotation; not needed where one stands"
    unfreeze.add_argument("which", metavar="WHICH", nargs="?", default="", help=which)
    _reason(unfreeze, possible=True)
    for parser in (freeze, unfreeze):
        _waiting(parser)


def _common() -> argparse.ArgumentParser:
    """Nothing is set by default, so that what stands before the command is not undone by the command's own parser."""
    common = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    common.add_argument("-n", "--namespace", metavar="NAMESPACE")
    common.add_argument("--context", metavar="NAME", help="of the kubeconfig")
    common.add_argument("--kubeconfig", metavar="FILE")
    common.add_argument("-o", "--output", choices=FORMATS)
    return common


_Commands = argparse._SubParsersAction  # noqa: SLF001 argparse names the type of add_subparsers only so


def _command(commands: _Commands[argparse.ArgumentParser], name: str, text: str) -> argparse.ArgumentParser:
    return commands.add_parser(name, help=text, description=text, parents=[_common()], allow_abbrev=False)


def _item(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("name", metavar="NAME", help="name of the WorkItem")
    return parser


def _reason(parser: argparse.ArgumentParser, *, needed: bool = False, possible: bool = False) -> None:
    if needed or possible:
        text = "for those who work on it and for the record"
        parser.add_argument("reason", metavar="REASON", nargs="+" if needed else "*", help=text)


def _move(text: str) -> str:
    stages = [stage.value for stage in Stage]
    unknown = [name for name in text.split(">", 1) if name.strip() not in stages]
    if unknown:
        raise argparse.ArgumentTypeError(f"there is no stage {unknown[0]!r}: {', '.join(stages)}")
    return text.replace(" ", "")


def _waiting(parser: argparse.ArgumentParser) -> None:
    waiting = parser.add_mutually_exclusive_group()
    waiting.add_argument(
        "--wait",
        type=_seconds,
        metavar="SECONDS",
        default=argparse.SUPPRESS,
        help="how long to wait for the operator's answer (10)",
    )
    waiting.add_argument("--no-wait", dest="wait", action="store_const", const=0.0, default=argparse.SUPPRESS)


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds <= 3600:
        raise argparse.ArgumentTypeError("between 0 and 3600 seconds")
    return seconds
