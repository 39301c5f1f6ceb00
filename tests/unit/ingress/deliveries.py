"""The recorded and crafted deliveries, and how new ones are signed."""

import hashlib
import hmac
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

PAYLOADS = Path(__file__).parents[2] / "payloads"
SECRETS = {
    "gitea-1.26": "conveyor-test-secret",
    "gitea-crafted": "gitea-sample-secret",
    "plane": "plane_wh_0123456789abcdef0123456789abcdef",
}
NAMESPACE = "team-a"
PATHS = {
    "gitea-1.26": f"/webhooks/gitea/{NAMESPACE}/shop",
    "gitea-crafted": f"/webhooks/gitea/{NAMESPACE}/sample",
    "plane": f"/webhooks/plane/{NAMESPACE}",
}
PROJECT = "9399cedd-3a84-5f64-98d0-a63802806bc0"
ISSUE = "7e5d2936-3444-502b-a165-1f74ca47eda6"
WEBHOOK = "fcdc4fef-638d-56f2-9675-7646617eef9d"
WORKSPACE = "fda8fa63-cac9-5aa1-80f4-475c82876ab9"
TODO = "6c45de00-42fa-5ede-80f3-6dfeb033b805"
STARTING = "48691be8-e906-5b0b-beaa-6dd230e2683f"


@dataclass(frozen=True)
class Delivery:
    """One request to the ingress."""

    path: str
    headers: dict[str, str]
    body: bytes
    secret: str

    def changed(self, **headers: str) -> Self:
        """With other headers, named with underscores; the signature stays."""
        return replace(self, headers=self.headers | {name.replace("_", "-"): value for name, value in headers.items()})

    def with_body(self, body: bytes, *, secret: str | None = None) -> Self:
        """With another body, signed."""
        return replace(self, body=body, headers=self.headers | signature(self.path, body, secret or self.secret))

    def with_json(self, payload: Any) -> Self:
        return self.with_body(json.dumps(payload).encode())

    def edited(self, **fields: Any) -> Self:
        """With other values at the top of the payload, signed."""
        return self.with_json(self.payload | fields)

    @property
    def payload(self) -> Any:
        return json.loads(self.body)


def signature(path: str, body: bytes, secret: str) -> dict[str, str]:
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    if "/gitea/" in path:
        return {"X-Gitea-Signature": digest, "X-Hub-Signature-256": f"sha256={digest}"}
    return {"X-Plane-Signature": digest}


def load(folder: str, name: str) -> Delivery:
    lines = (PAYLOADS / folder / f"{name}.headers").read_text().splitlines()
    headers = dict(line.split(": ", 1) for line in lines if line)
    sent_by_client = {"Host", "Content-Length", "Connection", "Accept-Encoding"}
    return Delivery(
        path=PATHS[folder],
        headers={key: value for key, value in headers.items() if key not in sent_by_client},
        body=(PAYLOADS / folder / f"{name}.json").read_bytes(),
        secret=SECRETS[folder],
    )


def names() -> list[tuple[str, str]]:
    return [(path.parent.name, path.stem) for path in sorted(PAYLOADS.glob("*/*.json"))]


def push() -> Delivery:
    return load("gitea-1.26", "push-existing-branch")


def ticket() -> Delivery:
    """The ticket ET-42 moved to a starting state."""
    return load("plane", "plane-issue-state-changed")
