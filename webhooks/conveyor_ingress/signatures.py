"""HMAC-SHA256 over the raw bytes of a body, compared in constant time."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable


def is_signed_with(secret: bytes, body: bytes, signature: str) -> bool:
    """Whether `signature` (hex) is this secret's over the body. A blank secret signs nothing.

    The header is compared as bytes: `compare_digest` raises on text outside ASCII.
    """
    expected = hmac.new(secret, body, hashlib.sha256).hexdigest().encode()
    given = signature.encode("utf-8", "surrogateescape")
    return hmac.compare_digest(expected, given) and bool(secret.strip())


def matching(secrets: Iterable[bytes], body: bytes, signature: str | None) -> frozenset[bytes]:
    """Those secrets that the body is signed with; none without a signature."""
    if not signature:
        return frozenset()
    return frozenset(secret for secret in set(secrets) if is_signed_with(secret, body, signature))
