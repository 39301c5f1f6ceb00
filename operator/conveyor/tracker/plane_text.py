"""Plane's HTML and our plain text. What people and agents write is hostile: bounded, and escaped on the way out."""

from __future__ import annotations

import html
import re

MAX_MARKUP = 256 * 1024
MAX_TICKET_TEXT = 32 * 1024
MAX_COMMENT_TEXT = 8 * 1024

# Not html.parser: it takes time in the square of the length on unclosed tags (measured: 64 KiB of `<a ` for a minute).
# The name gives nothing back, or a tag without end would be tried with every length of it.
_TAG = re.compile(r"<(?P<close>/?)(?P<name>[a-zA-Z][a-zA-Z0-9-]*+)[^<>]*>|<![^<>]*>")
_BLOCKS = frozenset({"blockquote", "div", *(f"h{level}" for level in range(1, 7)), "hr", "ol", "p", "pre", "tr", "ul"})
_ITEM_PARAGRAPH = re.compile(r"(<li\b[^<>]*>)\s*<p\b[^<>]*>")
"""Plane's editor puts a paragraph into every item of a list."""
_LONG_REFERENCE = re.compile(r"&#[xX]?[0-9a-fA-F]{9,};?")
"""No character has so many digits, and Python refuses to read a number of thousands of them."""
_CONTROL = {code: None for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}


def text_of(markup: str, *, limit: int) -> str:
    """The readable text of a piece of HTML, cut to `limit` characters. Its result is plain: escape it where shown."""
    spaced = _TAG.sub(_space, _ITEM_PARAGRAPH.sub(r"\1", markup[:MAX_MARKUP]))
    text = html.unescape(_LONG_REFERENCE.sub("\N{REPLACEMENT CHARACTER}", spaced)).translate(_CONTROL)
    lines = "\n".join(line.rstrip() for line in text.split("\n"))
    return shortened(re.sub(r"\n{3,}", "\n\n", lines).strip(), limit)


def line_of(text: str, *, limit: int) -> str:
    """Plain text on one line, without control characters, cut to `limit` characters."""
    return shortened(" ".join(text.translate(_CONTROL).split()), limit)


def markup_of(text: str) -> str:
    """Plain text as HTML: everything escaped, a paragraph for each block, a break for each line."""
    plain = shortened(text.replace("\r\n", "\n").translate(_CONTROL).strip(), MAX_COMMENT_TEXT)
    blocks = re.split(r"\n{2,}", plain)
    return "".join(f"<p>{html.escape(block).replace(chr(10), '<br>')}</p>" for block in blocks)


def shortened(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _space(tag: re.Match[str]) -> str:
    """What stands where a tag was."""
    name = (tag["name"] or "").lower()
    if name == "br":
        return "\n"
    if name == "li":
        return "" if tag["close"] else "\n- "
    if name in ("td", "th"):
        return " "
    return "\n" if name in _BLOCKS else ""
