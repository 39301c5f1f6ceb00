"""What a change is, apart from where it stands: the same before and after a rebase that met nothing."""

from __future__ import annotations

import hashlib
import re

# A line of content begins with a blank, + or -, one of a binary patch holds no blank: these can only be headers.
_INDEX = re.compile(rb"^index [0-9a-f]+\.\.[0-9a-f]+(?: [0-7]+)?\n", re.MULTILINE)
_HUNK = re.compile(rb"^@@ -[0-9]+(?:,[0-9]+)? \+[0-9]+(?:,[0-9]+)? @@.*$", re.MULTILINE)


def change_id(diff: bytes) -> str:
    """SHA-256 of a git diff (made with --binary) without `index` lines, and with hunk headers cut to `@@`.

    The text behind a hunk's positions goes as well: git takes it from lines that need not belong to the change.
    """
    return hashlib.sha256(_HUNK.sub(b"@@", _INDEX.sub(b"", diff))).hexdigest()
