"""What the operator tells the two steps: paths and addresses in the environment, secrets as files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from conveyor.agent.errors import StepFailed

_REPOSITORY = re.compile(r"[A-Za-z0-9._-]+/[A-Za-z0-9._-]+")
_MAX_SECRET_BYTES = 4096


@dataclass(frozen=True)
class Secret:
    """Shown by `reveal` alone."""

    _value: str = field(repr=False)

    def reveal(self) -> str:
        return self._value


@dataclass(frozen=True)
class ForgeSettings:
    """`url` is the forge's own address, without credentials; `repository` is `owner/name` there."""

    url: str
    repository: str
    token: Secret


@dataclass(frozen=True)
class CloneSettings:
    """`workspace` becomes the tree the agent works in; nobody but the two steps mounts `state`."""

    forge: ForgeSettings
    task_source: Path
    workspace: Path
    state: Path
    task: Path


@dataclass(frozen=True)
class PublishSettings:
    """The directory of `answer` and `workspace` are ours, what is in them is the agent's."""

    forge: ForgeSettings
    task_source: Path
    workspace: Path
    state: Path
    answer: Path
    termination: Path
    run_token: Secret


Environment = Mapping[str, str]


def clone_settings(environment: Environment) -> CloneSettings:
    """Raises StepFailed, naming the variable."""
    return CloneSettings(
        forge=_forge(environment),
        task_source=_path(environment, "CONVEYOR_TASK_SOURCE_FILE"),
        workspace=_path(environment, "CONVEYOR_WORKSPACE"),
        state=_outside(environment, "CONVEYOR_STATE_DIR"),
        task=_path(environment, "CONVEYOR_TASK_FILE"),
    )


def publish_settings(environment: Environment) -> PublishSettings:
    """Raises StepFailed, naming the variable."""
    return PublishSettings(
        forge=_forge(environment),
        task_source=_path(environment, "CONVEYOR_TASK_SOURCE_FILE"),
        workspace=_path(environment, "CONVEYOR_WORKSPACE"),
        state=_outside(environment, "CONVEYOR_STATE_DIR"),
        answer=_outside(environment, "CONVEYOR_ANSWER_FILE"),
        termination=_path(environment, "CONVEYOR_TERMINATION_FILE"),
        run_token=_secret(environment, "CONVEYOR_RUN_TOKEN_FILE"),
    )


def termination_file(environment: Environment) -> Path | None:
    """Where to say what is wrong when nothing else is known."""
    given = environment.get("CONVEYOR_TERMINATION_FILE")
    return Path(given) if given else None


def _forge(environment: Environment) -> ForgeSettings:
    url, repository = _text(environment, "CONVEYOR_FORGE_URL"), _text(environment, "CONVEYOR_FORGE_REPOSITORY")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https", "file") or "@" in parts.netloc or parts.query or parts.fragment:
        raise StepFailed("CONVEYOR_FORGE_URL: wanted an http or https address without credentials or query")
    if not _REPOSITORY.fullmatch(repository) or {".", ".."} & set(repository.split("/")):
        raise StepFailed(f"CONVEYOR_FORGE_REPOSITORY: wanted owner/name, found {repository!r}")
    return ForgeSettings(url.rstrip("/"), repository, _secret(environment, "CONVEYOR_FORGE_TOKEN_FILE"))


def _text(environment: Environment, name: str) -> str:
    value = environment.get(name, "")
    if not value:
        raise StepFailed(f"{name} is not set")
    return value


def _path(environment: Environment, name: str) -> Path:
    path = Path(_text(environment, name))
    if not path.is_absolute():
        raise StepFailed(f"{name}: wanted an absolute path, found {str(path)!r}")
    return path


def _outside(environment: Environment, name: str) -> Path:
    """A path outside the workspace: what is inside becomes part of the commit."""
    path = _path(environment, name)
    if path.is_relative_to(_path(environment, "CONVEYOR_WORKSPACE")):
        raise StepFailed(f"{name}: wanted a path outside CONVEYOR_WORKSPACE, found {str(path)!r}")
    return path


def _secret(environment: Environment, name: str) -> Secret:
    """The first line's worth of a mounted Secret. Kubernetes mounts its files as links, so links are followed."""
    try:
        with _path(environment, name).open("rb") as file:
            value = file.read(_MAX_SECRET_BYTES).decode("ascii", errors="replace").strip()
    except OSError as error:
        raise StepFailed(f"{name} cannot be read: {error.strerror}") from None
    if not value or not value.isascii() or not value.isprintable():
        raise StepFailed(f"{name}: the file is empty or has characters that no header can carry")
    return Secret(value)
