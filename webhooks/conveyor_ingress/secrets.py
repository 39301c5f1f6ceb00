"""The webhook secrets, as files of one mounted directory.

The operator mirrors the secrets of all Repositories into one Secret, `conveyor-ingress-secrets`, which the ingress
mounts; the ingress reads no Secret by API. Each key of that Secret, so each file, is one registration of a webhook:

`gitea.<namespace>.<Repository>`
    `{"current": "…", "previous": "…"}`
`plane.<namespace>.<project id, lower case>`
    `{"current": "…", "previous": "…", "repository": "<Repository>", "webhookID": "…", "workspaceID": "…"}`

`previous` (the secret before a rotation), `webhookID` and `workspaceID` are optional. The last two, if given, must be
those of a delivery. A secret is used letter by letter: the operator strips the line break that an editor left, both
here and where it registers the webhook. A file without a current secret, or that cannot be read, makes its path answer
503; so does a missing file. Plane's webhooks are workspace-wide: all files `plane.<namespace>.*` are candidates, and
the one that matches says for which project, so for which Repository, the sender may speak.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

log = logging.getLogger(__name__)

CHECK_SECONDS = 1.0
"""The directory is looked at at most so often."""
MAX_FILE_BYTES = 16 * 1024
SOURCES = frozenset({"gitea", "plane"})
_DATA = "..data"  # the link that the kubelet swaps when it replaces all files of a mounted Secret at once


class Unconfigured(Exception):
    """There is no usable secret for this path."""


@dataclass(frozen=True)
class Registration:
    """One registered webhook: what its secret may speak for."""

    repository: str
    secrets: tuple[bytes, ...] = field(repr=False)
    project_id: str | None = None
    webhook_id: str | None = None
    workspace_id: str | None = None


class _File(BaseModel):
    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    current: SecretStr
    previous: SecretStr | None = None
    repository: str | None = None
    webhook_id: str | None = Field(default=None, alias="webhookID")
    workspace_id: str | None = Field(default=None, alias="workspaceID")


_Snapshot = Mapping[tuple[str, str], Mapping[str, Registration]]
"""(source, namespace) to the rest of the file's name to the registration; one without secrets is unusable."""


class Secrets:
    """The directory's registrations, read anew when it changed: one immutable snapshot replaces the other."""

    def __init__(self, directory: Path, *, monotonic: Callable[[], float]) -> None:
        self._directory = directory
        self._monotonic = monotonic
        self._checked: float | None = None
        self._fingerprint: object = None
        self._found: _Snapshot = {}
        self.readable = False

    def gitea(self, namespace: str, repository: str) -> tuple[Registration, ...]:
        """The one of this path. Raises Unconfigured."""
        self.refresh()
        entry = self._found.get(("gitea", namespace), {}).get(repository)
        return _usable([entry] if entry else [])

    def plane(self, namespace: str) -> tuple[Registration, ...]:
        """Those of all projects of the namespace. Raises Unconfigured."""
        self.refresh()
        return _usable(self._found.get(("plane", namespace), {}).values())

    def refresh(self) -> None:
        """Reads the directory if it changed. Unreadable means that there is no secret, not that the old ones hold."""
        now = self._monotonic()
        if self._checked is not None and now - self._checked < CHECK_SECONDS:
            return
        first, self._checked = self._checked is None, now
        try:
            fingerprint = _fingerprint(self._directory)
            if self.readable and fingerprint == self._fingerprint:
                return
            found = _read(self._directory)
        except OSError as error:
            if self.readable or first:
                log.warning("webhook secrets cannot be read", extra={"error": type(error).__name__})
            self._found, self.readable = {}, False
            return
        # The fingerprint was taken before the files were read: a change meanwhile shows at the next look.
        self._found, self._fingerprint, self.readable = found, fingerprint, True


def _usable(entries: Iterable[Registration]) -> tuple[Registration, ...]:
    found = tuple(entry for entry in entries if entry.secrets)
    if not found:
        raise Unconfigured
    return found


def _fingerprint(directory: Path) -> object:
    """Changes with every replacement of the files, by the kubelet or by hand."""
    data = directory / _DATA
    if data.is_symlink():
        return data.readlink()
    states = ((path.name, path.stat()) for path in sorted(directory.iterdir()))
    return tuple((name, state.st_ino, state.st_mtime_ns, state.st_size) for name, state in states)


def _read(directory: Path) -> _Snapshot:
    found: dict[tuple[str, str], dict[str, Registration]] = {}
    for path in sorted(directory.iterdir()):
        source, _, rest = path.name.partition(".")
        namespace, _, name = rest.partition(".")
        if source in SOURCES and namespace and name:
            found.setdefault((source, namespace), {})[name] = _registration(path, source=source, name=name)
    return found


def _registration(path: Path, *, source: str, name: str) -> Registration:
    project_id = name if source == "plane" else None
    try:
        with path.open("rb") as file:
            content = _File.model_validate_json(file.read(MAX_FILE_BYTES))
    except (OSError, ValidationError) as error:
        log.warning("a webhook secret cannot be used", extra={"file": path.name, "error": type(error).__name__})
        return Registration(repository="", secrets=(), project_id=project_id)
    current, previous = content.current.get_secret_value(), (content.previous or SecretStr("")).get_secret_value()
    repository = (content.repository or "") if project_id else name
    usable = bool(current.strip()) and bool(repository)
    return Registration(
        repository=repository,
        secrets=tuple(secret.encode() for secret in (current, previous) if secret.strip()) if usable else (),
        project_id=project_id,
        webhook_id=content.webhook_id,
        workspace_id=content.workspace_id,
    )
