"""What came of a soak, as rows: for the terminal and for `docs/`."""

from collections import Counter
from collections.abc import Iterable, Sequence

from tests.soak.soak import Outcome
from tests.soak.verdict import effects

Row = tuple[str, str]
KINDS = {"double": "double effects", "half": "half states left", "rule": "writes against the rules"}


def rows(outcome: Outcome) -> list[Row]:
    whole = outcome.whole
    ends = Counter((str(job.way), whole.audit.status(job.name).get("stage", "nowhere")) for job in whole.jobs)
    kinds = Counter(line.split(":", 1)[0] for line in outcome.findings)
    return [
        ("items", str(len(whole.jobs))),
        *((f"… {way}", f"{count} {end}") for (way, end), count in sorted(ends.items())),
        *_done_to(outcome),
        *_effects(outcome),
        *((name, str(kinds.pop(kind, 0))) for kind, name in KINDS.items()),
        ("other findings", str(sum(kinds.values()))),
        ("needed a person beyond that", _counts(outcome.called)),
        ("all at its end after the last fault", f"{outcome.seconds_to_converge:.0f} s"),
    ]


def _done_to(outcome: Outcome) -> list[Row]:
    took = sorted(outcome.seconds_to_end)
    end = f"{took[len(took) // 2]:.1f} · {took[-1]:.1f} s" if took else "none"
    return [
        *((kind, str(count)) for kind, count in sorted(outcome.happened.items())),
        ("single writes disturbed, of", f"{outcome.faults.total()} of {outcome.writes}"),
        *((f"… {kind}", str(count)) for kind, count in sorted(outcome.faults.items())),
        ("operators that ended by themselves", _counts(outcome.ended_by_themselves)),
        ("SIGTERM to the end, median · longest", end),
        ("locks of killed Gits removed", str(outcome.locks)),
    ]


def _effects(outcome: Outcome) -> Iterable[Row]:
    for effect, count in effects(outcome.whole).items():
        once, never = count.times[1], count.times[0]
        text = f"{count.intents} intents: {once} happened once, {never} not at all, {count.more_than_once} more often"
        yield effect, text


def _counts(found: Counter[str]) -> str:
    return ", ".join(f"{count} {what}" for what, count in sorted(found.items())) or "none"


def text(found: Sequence[Row]) -> str:
    width = max(len(name) for name, _ in found)
    return "\n".join(f"{name:{width}}  {value}" for name, value in found)


def page(found: Sequence[Row]) -> str:
    return "| what | figure |\n|---|---|\n" + "\n".join(f"| {name} | {value} |" for name, value in found)
