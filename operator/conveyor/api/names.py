"""How things are named: items of tickets, branches, Jobs, documents. The only builder of each name."""

from __future__ import annotations

import hashlib
import re
import unicodedata

from conveyor.api.stages import Role

MAX_ITEM_NAME = 50
MAX_REPOSITORY_NAME = 63
"""It becomes a label's value."""
MAX_JOB_NAME = 57
"""A pod's name is the Job's cut to 58 characters plus a suffix (measured): beyond 57 a part of the name is lost."""
MAX_SLUG = 40

TICKET_KEY = "[A-Z][A-Z0-9]{0,11}-[1-9][0-9]{0,8}"
"""Regular expression of a ticket's key: the project's identifier and the ticket's number."""
MAX_TICKET_KEY = 22

_ITEM_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_TICKET_KEY = re.compile(TICKET_KEY)
_BRANCH = re.compile(f"feature/(?P<key>{TICKET_KEY})(?:-.*)?")

# As most readers of Cyrillic write it in Latin letters; the two signs have no sound of their own.
_LATIN = """а=a б=b в=v г=g д=d е=e ё=e ж=zh з=z и=i й=j к=k л=l м=m н=n о=o п=p р=r с=s т=t у=u ф=f х=h ц=c ч=ch ш=sh
щ=shh ъ= ы=y ь= э=e ю=yu я=ya і=i ї=yi є=ye ґ=g ў=u"""
_CYRILLIC = str.maketrans(dict(pair.split("=") for pair in _LATIN.split()))


def item_name(repository: str, key: str, *, again: int = 1) -> str | None:
    """The name of a ticket's item, or None where repository and key give none of at most 50 characters.

    `again` counts the items of one ticket from 1.
    """
    name = f"{repository}-{key.lower()}" + (f"-{again}" if again > 1 else "")
    return name if len(name) <= MAX_ITEM_NAME and _ITEM_NAME.fullmatch(name) else None


def is_ticket_key(key: str) -> bool:
    return _TICKET_KEY.fullmatch(key) is not None


def ticket_key_of_branch(branch: str) -> str | None:
    """The ticket's key in a branch name `feature/<KEY>-<slug>`."""
    match = _BRANCH.fullmatch(branch)
    return match["key"] if match else None


def slug(title: str) -> str:
    """A title in ASCII letters, digits and single dashes, at most 40 characters; empty where nothing is left.

    It ends with a whole word, unless the first one alone is longer.
    """
    latin = unicodedata.normalize("NFC", title).casefold().translate(_CYRILLIC)
    ascii_only = unicodedata.normalize("NFKD", latin).encode("ascii", "ignore").decode()
    words = re.sub(r"[^a-z0-9]+", "-", ascii_only.lower()).strip("-")
    if len(words) <= MAX_SLUG:
        return words
    whole, _, _ = words[: MAX_SLUG + 1].rpartition("-")
    return whole or words[:MAX_SLUG]


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
    return item[: MAX_JOB_NAME - len(rest)].rstrip("-.") + rest
