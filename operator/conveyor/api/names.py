"""How things are named: items of tickets, branches, Jobs, documents. The only builder of each name."""

from __future__ import annotations

import hashlib
import re
import unicodedata

from conveyor.api.stages import Role

MAX_ITEM_NAME = 50
MAX_JOB_NAME = 57
"""A pod's name is the Job's cut to 58 characters plus a suffix (measured): beyond 57 a part of the name is lost."""
MAX_SLUG = 40

_ITEM_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_TICKET_KEY = re.compile(r"[A-Z][A-Z0-9]{0,11}-[1-9][0-9]{0,8}")
_BRANCH = re.compile(r"feature/(?P<key>[A-Z][A-Z0-9]{0,11}-[1-9][0-9]{0,8})(?:-.*)?")

# GOST 7.79 system B without diacritics, as most readers of Cyrillic titles write them in Latin letters.
_CYRILLIC = dict(
    zip(
        "абвгдеёжзийклмнопрстуфхцчшщъыьэюяіїєґў",
        "a b v g d e e zh z i j k l m n o p r s t u f h c ch sh shh _ y _ e yu ya i yi ye g u".replace(
            "_", "\0"
        ).split(),
        strict=True,
    )
)


def item_name(repository: str, key: str) -> str | None:
    """The name of a ticket's item, or None where repository and key give none of at most 50 characters."""
    name = f"{repository}-{key.lower()}"
    return name if len(name) <= MAX_ITEM_NAME and _ITEM_NAME.fullmatch(name) else None


def is_ticket_key(key: str) -> bool:
    return _TICKET_KEY.fullmatch(key) is not None


def ticket_key_of_branch(branch: str) -> str | None:
    """The ticket's key in a branch name `feature/<KEY>-<slug>`."""
    match = _BRANCH.fullmatch(branch)
    return match["key"] if match else None


def slug(title: str) -> str:
    """A title in ASCII letters, digits and single dashes, at most 40 characters; empty where nothing is left."""
    latin = "".join(_CYRILLIC.get(letter, letter).replace("\0", "") for letter in title.lower())
    ascii_only = unicodedata.normalize("NFKD", latin).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", ascii_only)[: MAX_SLUG + 1].strip("-")[:MAX_SLUG].strip("-")


def branch_name(key: str, title: str, *, again: int = 1, rework: int = 0) -> str:
    """`feature/<KEY>[-<again>][-<slug>][-r<rework>]`; `again` counts the items of one ticket from 1."""
    parts = [key, *([str(again)] if again > 1 else []), *([slug(title)] if slug(title) else [])]
    if rework:
        parts.append(f"r{rework}")
    return "feature/" + "-".join(parts)


def key_of_item(name: str, source_key: str | None) -> str:
    """KEY: the ticket's key, for items made by hand the name in upper case."""
    return source_key or name.upper()


def document_folder(key: str) -> str:
    """Where an item's documents live in its repository, with a closing slash."""
    return f"docs/work-items/{key}/"


def run_name(item: str, role: Role, *, uid: str, runs: int) -> str:
    """The name of the run number `runs` (from 1) of an item: `<item, cut>-<role>-<runs>-<hash of uid and runs>`."""
    digest = hashlib.sha256(f"{uid}/{runs}".encode()).hexdigest()[:8]
    return _cut(item, f"-{role.value}-{runs}-{digest}")


def effect_job_name(item: str, effect: str, *, transition_id: str) -> str:
    """The name of the Job of one intent: a second intent has another id and so another name."""
    return _cut(item, f"-{effect.lower()}-{transition_id[:10]}")


def _cut(item: str, rest: str) -> str:
    return item[: MAX_JOB_NAME - len(rest)].rstrip("-") + rest
