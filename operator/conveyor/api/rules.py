"""What the API server itself refuses: the kinds' CEL rules, made from the same table as the code.

A rule about a field that may appear or vanish stands on its parent, and one about `status` on the root: the API server
skips a transition rule (one with `oldSelf`) where its field is new or gone, and runs none when an object is created.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from conveyor.api.stages import EDGES, FIRST, TERMINAL

Rule = dict[str, Any]


def rule(text: str, message: str, *, path: str = "", computed: str = "", forbidden: bool = False) -> Rule:
    """One entry of `x-kubernetes-validations`.

    `path` is the field the refusal names, `computed` a CEL expression for its text, `message` what is said without it.
    """
    optional = {"messageExpression": computed, "fieldPath": path, "reason": "FieldValueForbidden" if forbidden else ""}
    return {"rule": text, "message": message} | {key: value for key, value in optional.items() if value}


def rules(*entries: Rule) -> dict[str, Any]:
    """JSON schema of a type or field with these rules."""
    return {"x-kubernetes-validations": list(entries)}


def known_keys(keys: Iterable[str]) -> Rule:
    """A map that has these keys only: a mistyped one would be a wish that nobody fulfils."""
    names = list(keys)
    return rule(f"self.all(key, key in {_list(names)})", f"known keys are {', '.join(names)}")


def _list(words: Iterable[str]) -> str:
    return "[" + ", ".join(f"'{word}'" for word in words) + "]"


def _fixed(field: str) -> Rule:
    """For a field that is required in its parent."""
    return rule(f"self.{field} == oldSelf.{field}", f"{field} is immutable", path=f".{field}")


def _never_down(field: str) -> Rule:
    text = f"!has(oldSelf.{field}) || (has(self.{field}) && self.{field} >= oldSelf.{field})"
    return rule(text, f"{field} never goes down or away", path=f".{field}")


_EDGES = _list(f"{start}>{end}" for start, ends in EDGES.items() for end in EDGES if end in ends)
_TERMINAL = _list(stage for stage in EDGES if stage in TERMINAL)

WORKITEM = rules(
    rule(
        "has(oldSelf.status) ? has(self.status) :"
        f" (!has(self.status) || !has(self.status.stage) || self.status.stage == '{FIRST}')",
        f"the first stage is {FIRST}, and a status never disappears",
    )
)

WORKITEM_SPEC = rules(
    _fixed("repositoryRef"),
    rule(
        "has(self.source) == has(oldSelf.source) && (!has(self.source) || self.source == oldSelf.source)",
        "source is immutable: it is neither changed nor added nor removed",
        path=".source",
    ),
    rule("has(self.source) || (has(self.title) && self.title != '')", "title is required without source"),
)

WORKITEM_STATUS = rules(
    rule(
        f"has(oldSelf.stage) ? has(self.stage) : (!has(self.stage) || self.stage == '{FIRST}')",
        f"the first stage is {FIRST}, and a stage never disappears",
        forbidden=True,
    ),
    rule(
        "!has(oldSelf.stage) || !has(self.stage) || self.stage == oldSelf.stage"
        f" || (oldSelf.stage + '>' + self.stage) in {_EDGES}"
        " || (has(self.override) && self.override.from == oldSelf.stage && self.override.to == self.stage"
        " && (!has(oldSelf.override) || self.override.id != oldSelf.override.id))",
        "illegal stage transition",
        computed="'illegal stage transition ' + oldSelf.stage + ' -> ' + self.stage",
        path=".stage",
        forbidden=True,
    ),
    rule(
        f"!has(oldSelf.stage) || !(oldSelf.stage in {_TERMINAL}) || !has(self.stage) || self.stage == oldSelf.stage",
        "a terminal stage is never left",
        path=".stage",
        forbidden=True,
    ),
    _never_down("fencingToken"),
    _never_down("runs"),
    rule(
        "!has(oldSelf.attempts) || (has(self.attempts) && oldSelf.attempts.all(old, self.attempts.exists(new,"
        " new.cause == old.cause && (new.count >= old.count || new.count == 0))))",
        "a count of attempts is never lowered but to 0, and no cause is removed",
        path=".attempts",
    ),
    rule("!has(oldSelf.override) || has(self.override)", "override is replaced, never removed", path=".override"),
)

FORGE = rules(_fixed("url"), _fixed("owner"), _fixed("name"))

REPOSITORY_SPEC = rules(
    rule(
        "!has(oldSelf.tracker) || (has(self.tracker) && self.tracker.projectID == oldSelf.tracker.projectID)",
        "tracker.projectID is immutable, and a tracker once set is not removed",
        path=".tracker",
    )
)

PROBE = rules(
    rule(
        "has(self.url) != has(self.prometheus) && has(self.prometheus) == has(self.query)",
        "a probe is either url, or prometheus with query",
    )
)
