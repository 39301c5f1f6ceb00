"""The recorded and crafted deliveries are byte for byte what was signed."""

import hashlib
import hmac
from pathlib import Path

import pytest

PAYLOADS = Path(__file__).parents[2] / "payloads"
SECRETS = {"plane": b"plane_wh_0123456789abcdef0123456789abcdef", "gitea-crafted": b"gitea-sample-secret"}
SIGNED = sorted(path for folder in SECRETS for path in (PAYLOADS / folder).glob("*.headers"))


def test_signed_payloads_are_all_there() -> None:
    assert len(SIGNED) == 10


@pytest.mark.parametrize("path", SIGNED, ids=lambda path: path.stem)
def test_signature_matches_the_stored_bytes(path: Path) -> None:
    headers = dict(line.lower().split(": ", 1) for line in path.read_text().splitlines() if line)
    digest = hmac.new(SECRETS[path.parent.name], path.with_suffix(".json").read_bytes(), hashlib.sha256).hexdigest()
    assert digest == (headers.get("x-gitea-signature") or headers["x-plane-signature"])
