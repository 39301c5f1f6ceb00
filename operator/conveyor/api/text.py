"""Text that others wrote, made fit for the places it goes to."""

from __future__ import annotations

import re
import unicodedata

ELLIPSIS = "…"
_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")
_INDENT = re.compile(r"^[ \t]+", re.MULTILINE)
_KEPT = "\n\t\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"  # some scripts are not written right without the joiners
_DANGEROUS = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})  # controls, invisible ones, direction marks


def printable(text: str) -> str:
    """Without control, invisible and direction-changing characters; line breaks and tabs stay."""
    if text.isprintable():  # none of the dangerous ones is
        return text
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(each for each in text if each in _KEPT or unicodedata.category(each) not in _DANGEROUS)


def one_line(text: str, limit: int) -> str:
    """All of it on one line of at most `limit` characters."""
    return cut(" ".join(printable(text).split()), limit)


def cut(text: str, limit: int) -> str:
    """At most `limit` characters, with an ellipsis where something is missing."""
    if len(text) <= limit:
        return text
    return text[: limit - 1].rstrip() + ELLIPSIS if limit > 0 else ""


def as_markdown(text: str) -> str:
    """Markdown that shows exactly this text: no mention, link, image, reference, HTML or comment comes of it.

    CommonMark takes a backslash before any ASCII punctuation as that character. An indent would be a code block.
    """
    escaped = _PUNCTUATION.sub(r"\\\1", printable(text))
    return _INDENT.sub(lambda found: "\N{NO-BREAK SPACE}" * len(found[0].expandtabs(4)), escaped)
