"""The results as Markdown, for `docs/`."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tests.faults.cases import Result
from tests.faults.faults import Fault, Stale
from tests.faults.limits import LIMITS

OUTCOMES = ("ok", "not reached", "known limit", "failed", "broken")


@dataclass(frozen=True)
class Measured:
    """What is said about the run itself."""

    machine: str
    revision: str
    reference: Mapping[str, float]
    """Seconds of the undisturbed way, by scenario."""


def page(results: Sequence[Result], measured: Measured) -> str:
    parts = [_summary(results, measured), _failures(results), _limits()]
    for scenario in measured.reference:
        parts += [_writes(scenario, _of(results, scenario)), _watches(scenario, _of(results, scenario))]
    return "\n\n".join(part for part in parts if part) + "\n"


def summary(results: Sequence[Result]) -> str:
    """One line for a terminal."""
    counts = ", ".join(f"{_count(results, outcome)} {outcome}" for outcome in OUTCOMES if _count(results, outcome))
    return f"{len(results)} cases: {counts or 'none'}; {_kinds(results)}"


def _kinds(results: Iterable[Result]) -> str:
    found = [finding for result in results if result.outcome != "known limit" for finding in result.findings]
    kinds = {"double": "double effects", "half": "half states"}
    return ", ".join(f"{sum(1 for line in found if line.startswith(kind))} {name}" for kind, name in kinds.items())


def _summary(results: Sequence[Result], measured: Measured) -> str:
    taken = sorted(result.seconds for result in results if result.outcome == "ok")
    rows = [
        ("cases", str(len(results))),
        *((outcome, str(_count(results, outcome))) for outcome in OUTCOMES),
        ("double effects", _kinds(results).split()[0]),
        ("half states left", _kinds(results).split(", ")[1].split()[0]),
        ("times the operator was killed", str(sum(result.crashes for result in results))),
        *((f"undisturbed way, {name}", f"{seconds:.1f} s") for name, seconds in measured.reference.items()),
    ]
    if taken:
        middle, high = taken[len(taken) // 2], taken[int(len(taken) * 0.99)]
        rows.append(("admission to done, median · p99 · longest", f"{middle:.1f} · {high:.1f} · {taken[-1]:.1f} s"))
    rows += [("measured on", measured.machine), ("at", measured.revision)]
    return "| what | figure |\n|---|---|\n" + "\n".join(f"| {name} | {value} |" for name, value in rows)


def _failures(results: Sequence[Result]) -> str:
    wrong = [result for result in results if result.outcome in ("failed", "broken")]
    lines = [f"- `{result.case}`: {_escaped('; '.join(result.findings))[:600]}" for result in wrong]
    return "## What went wrong\n\n" + "\n".join(lines) if lines else ""


def _limits() -> str:
    lines = [f"- {write}, {fault.value}: {limit.why}" for (write, fault), limit in LIMITS.items()]
    return "## Known limits\n\n" + "\n".join(lines) if lines else ""


def _writes(scenario: str, results: Sequence[Result]) -> str:
    cells = {tuple(result.case.split(" | ")[1:]): result for result in results}
    rows = list(dict.fromkeys(what for what, fault in cells if fault in set(Fault)))
    if not rows:
        return ""
    heads = [fault.value for fault in Fault]
    lines = [_row(["write", *heads]), "|---|" + "---|" * len(heads)]
    for number, row in enumerate(rows, 1):
        name = row if row == "every write" else f"{number}. {row}"
        lines.append(_row([_escaped(name), *(_cell(cells.get((row, fault))) for fault in heads)]))
    text = "Seconds from admission to done; – means that the write did not come up again in that run."
    return f"## Writes of the way `{scenario}`\n\n{text}\n\n" + "\n".join(lines)


def _watches(scenario: str, results: Sequence[Result]) -> str:
    lines: list[str] = []
    for kind in Stale:
        mine = [result for result in results if result.case.endswith(f"| {kind.value}")]
        for resource in sorted({result.case.split(" | ")[1].split(",")[0] for result in mine}):
            those = [result for result in mine if result.case.split(" | ")[1].startswith(f"{resource},")]
            good = [result.seconds for result in those if result.outcome == "ok"]
            longest = f"{max(good):.1f}" if good else ""
            lines.append(_row([kind.value, resource, str(len(those)), str(len(good)), longest]))
    if not lines:
        return ""
    head = _row(["what happens", "to", "cases", "ok", "longest, s"]) + "\n|---|---|---|---|---|"
    return f"## Watches and lists of the way `{scenario}`\n\n{head}\n" + "\n".join(lines)


def _cell(result: Result | None) -> str:
    if result is None:
        return ""
    return {"ok": f"{result.seconds:.0f}", "not reached": "–", "known limit": "limit"}.get(
        result.outcome, f"**{result.outcome}**"
    )


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _count(results: Sequence[Result], outcome: str) -> int:
    return sum(1 for result in results if result.outcome == outcome)


def _of(results: Sequence[Result], scenario: str) -> list[Result]:
    return [result for result in results if result.case.startswith(f"{scenario} | ")]
