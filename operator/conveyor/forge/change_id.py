"""What a change is, apart from where it stands: the same before and after a rebase that met nothing."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

# A line of content begins with a blank, + or -, one of a binary patch holds no blank: these can only be headers.
_INDEX = re.compile(rb"^index [0-9a-f]+\.\.[0-9a-f]+(?: [0-7]+)?\n", re.MULTILINE)
_HUNK = re.compile(rb"^@@ -[0-9]+(?:,[0-9]+)? \+[0-9]+(?:,[0-9]+)? @@.*$", re.MULTILINE)
_LEFT_OUT = re.compile(rb"^Binary files ", re.MULTILINE)


def change_id(diff: bytes) -> str:
    """SHA-256 of a git diff (made with --binary) without `index` lines, and with hunk headers cut to `@@`.

    The text behind a hunk's positions goes as well: git takes it from lines that need not belong to the change.
    """
    return hashlib.sha256(_HUNK.sub(b"@@", _INDEX.sub(b"", diff))).hexdigest()


def patch_id(patch: bytes, *, commit: str) -> str:
    """The same of one commit's patch, made without --binary; the commit's own name where a file's content is left out.

    The blobs that are named instead are cut short, and two of the same name can be made.
    """
    return commit if _LEFT_OUT.search(patch) else change_id(patch)


def series_id(series: Iterable[str]) -> str:
    """Of a change read commit by commit: never the id of a diff, for no diff begins like this."""
    return hashlib.sha256(b"commits\0" + "\n".join(series).encode()).hexdigest()
