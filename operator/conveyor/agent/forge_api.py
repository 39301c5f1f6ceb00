"""The few calls to Gitea's API that publish makes."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx

from conveyor.agent.errors import StepFailed
from conveyor.agent.settings import ForgeSettings
from conveyor.api.text import one_line

PAGE = 50  # Gitea's cap
MAX_PAGES = 40
MAX_BODY_BYTES = 16 * 2**20
_SECONDS = httpx.Timeout(30.0, connect=5.0)


class ForgeFailed(StepFailed):
    """The forge refused, or was not reached."""


class ForgeApi:
    """Bound to one repository. Raises ForgeFailed, which holds nothing of httpx: its errors carry the headers."""

    def __init__(self, forge: ForgeSettings, *, transport: httpx.BaseTransport | None = None) -> None:
        owner, name = forge.repository.split("/")
        self._secret = forge.token.reveal()
        self._http = httpx.Client(
            base_url=f"{forge.url}/api/v1/repos/{quote(owner, safe='')}/{quote(name, safe='')}",
            headers={"Authorization": f"token {self._secret}", "Accept-Encoding": "identity", "User-Agent": "conveyor"},
            timeout=_SECONDS,
            transport=transport or httpx.HTTPTransport(verify=ssl.create_default_context(), trust_env=False),
            follow_redirects=False,
            trust_env=False,
        )

    def close(self) -> None:
        self._http.close()

    def pages(self, path: str) -> Iterator[dict[str, Any]]:
        """The entries of a list, to its end: where nothing new comes, because some lists ignore the page number."""
        seen: set[int] = set()
        for page in range(1, MAX_PAGES + 1):
            try:
                entries = {int(entry["id"]): entry for entry in self._call("GET", f"{path}?limit={PAGE}&page={page}")}
            except (TypeError, KeyError, ValueError):
                raise ForgeFailed(f"GET {path}: wanted a list of entries with ids, found something else") from None
            yield from (entry for number, entry in entries.items() if number not in seen)
            if entries.keys() <= seen:
                return
            seen |= entries.keys()
        raise ForgeFailed(f"GET {path}: more than {MAX_PAGES} pages")

    def post(self, path: str, body: object) -> None:
        """Sent once. After a ForgeFailed only reading tells whether it was done."""
        self._call("POST", path, body)

    def _call(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
        subject = f"{method} {path.partition('?')[0]}"
        try:
            with self._http.stream(method, path, json=body) as answer:
                content = _read(answer, subject)
                status = answer.status_code
        except (httpx.HTTPError, httpx.StreamError, OSError) as error:
            failure = ForgeFailed(f"{subject}: no answer from the forge: {type(error).__name__}")
        else:
            if status in (200, 201):
                return _parse(content, subject)
            failure = ForgeFailed(f"{subject}: {self._refusal(status, content)}")
        raise failure  # out here, or the library's error would be its context

    def _refusal(self, status: int, content: bytes) -> str:
        if status == 401:
            return "the forge does not accept our token"
        try:
            said = str(json.loads(content).get("message", ""))
        except (ValueError, AttributeError, RecursionError):
            said = ""
        return f"{status} {one_line(said.replace(self._secret, '...'), 300)}".strip()


def _read(answer: httpx.Response, subject: str) -> bytes:
    content = bytearray()
    for chunk in answer.iter_bytes():
        content += chunk
        if len(content) > MAX_BODY_BYTES:
            raise ForgeFailed(f"{subject}: the forge's answer is larger than {MAX_BODY_BYTES} bytes")
    return bytes(content)


def _parse(content: bytes, subject: str) -> Any:  # noqa: ANN401 - JSON
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        raise ForgeFailed(f"{subject}: the forge's answer is not JSON") from None
