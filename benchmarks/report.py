"""Figures: taken several times, shown by their median and spread, and compared with `bounds.yaml`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Literal, Self

import yaml

BOUNDS = Path(__file__).with_name("bounds.yaml")


@dataclass(frozen=True)
class Bound:
    """What was found before, as `mean`, and by how much a median may differ from it."""

    mean: float
    margin: float
    better: Literal["higher", "lower"]
    why: str

    @classmethod
    def read(cls, entry: Mapping[str, Any]) -> Self:
        """ValueError where a field is missing, unknown or of the wrong kind."""
        if set(entry) != {"mean", "margin", "better", "why"} or entry["better"] not in ("higher", "lower"):
            raise ValueError(f"wanted mean, margin, better (higher or lower) and why, found {dict(entry)}")
        return cls(float(entry["mean"]), float(entry["margin"]), entry["better"], str(entry["why"]))

    def verdict(self, value: float) -> str:
        """`within`, `worse`, or `better`: then the bound wants to be tightened."""
        off = value - self.mean if self.better == "higher" else self.mean - value
        if abs(off) <= self.margin:
            return "within"
        return "better" if off > 0 else "worse"


def read_bounds(benchmark: str, path: Path = BOUNDS) -> dict[str, Bound]:
    """By the figure's name. ValueError, naming the entry, where one cannot be read."""
    entries = (yaml.safe_load(path.read_text()) or {}).get(benchmark) or {}
    bounds = {}
    for name, entry in entries.items():
        try:
            bounds[name] = Bound.read(entry)
        except ValueError as error:
            raise ValueError(f"{path.name}: {benchmark}.{name}: {error}") from None
    return bounds


@dataclass
class Report:
    """Values by figure, in the order in which they were first added."""

    benchmark: str
    facts: dict[str, str] = field(default_factory=dict)
    """What is to be known beside the figures: the machine, the load, what was measured on."""
    units: dict[str, str] = field(default_factory=dict)
    values: dict[str, list[float]] = field(default_factory=dict)

    def add(self, name: str, value: float, unit: str) -> None:
        if self.units.setdefault(name, unit) != unit:
            raise ValueError(f"{name} is in {self.units[name]}, not in {unit}")
        self.values.setdefault(name, []).append(value)

    def as_json(self, bounds: Mapping[str, Bound]) -> dict[str, Any]:
        figures = {
            name: {"unit": self.units[name], "median": median(values), "min": min(values), "max": max(values)}
            | {"values": values}
            | ({"bound": bounds[name].verdict(median(values))} if name in bounds else {})
            for name, values in self.values.items()
        }
        return {"benchmark": self.benchmark, "facts": self.facts, "figures": figures}

    def as_text(self, bounds: Mapping[str, Bound]) -> str:
        width = max((len(name) for name in self.values), default=0)
        lines = [f"{name:<10} {text}" for name, text in self.facts.items()]
        lines += ["", f"{'figure':<{width}}  {'median':>9}  {'lowest':>9}  {'highest':>9}  unit"]
        for name, values in self.values.items():
            shown = "  ".join(f"{number(value):>9}" for value in (median(values), min(values), max(values)))
            lines.append(f"{name:<{width}}  {shown}  {self.units[name]}{_compared(bounds.get(name), values)}")
        return "\n".join(lines)


def percentile(values: Sequence[float], share: int) -> float:
    """The value that so many of a hundred do not exceed; 100: the highest."""
    return sorted(values)[min(len(values) - 1, len(values) * share // 100)]


def number(value: float) -> str:
    """Three or four digits that count."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _compared(bound: Bound | None, values: Sequence[float]) -> str:
    if bound is None:
        return ""
    said = bound.verdict(median(values))
    return f"  [{said}: {number(bound.mean)} ± {number(bound.margin)}{'' if said == 'within' else '; ' + bound.why}]"
