"""The operator's default agents: a YAML or JSON list with the schema of a Repository's `agents`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import yaml
from pydantic import TypeAdapter, ValidationError

from conveyor.api.repository import Agent
from conveyor.api.stages import Role

MAX_BYTES = 1024 * 1024
"""A larger file is refused: it is a list of at most five agents."""

_AGENTS = TypeAdapter(tuple[Agent, ...])


@dataclass(frozen=True, slots=True)
class DefaultAgents:
    """What was in the file when it was read."""

    path: Path
    by_role: Mapping[Role, Agent]


def read_agents(path: Path) -> DefaultAgents:
    """ValueError, naming file and field but no value: agents' environments may hold what nobody is to see."""
    agents = _validated(path, _parsed(path))
    by_role = {agent.role: agent for agent in agents}
    if len(by_role) < len(agents):
        raise ValueError(f"{path}: wanted each role once, found one twice")
    return DefaultAgents(path, MappingProxyType(by_role))


def _parsed(path: Path) -> object:
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror}") from None
    if len(text) > MAX_BYTES:
        raise ValueError(f"{path}: wanted at most {MAX_BYTES} bytes, found more")
    try:
        return yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = f" in line {error.problem_mark.line + 1}" if error.problem_mark is not None else ""
        raise ValueError(f"{path}: wanted YAML or JSON, found a mistake{line}") from None
    except (yaml.YAMLError, ValueError, RecursionError):
        raise ValueError(f"{path}: wanted YAML or JSON, found something else") from None


def _validated(path: Path, document: object) -> tuple[Agent, ...]:
    entries = document if isinstance(document, list) else [document]
    for number, entry in enumerate(entries):
        unknown = set(entry) - _KNOWN if isinstance(entry, dict) else set()
        if unknown:
            raise ValueError(f"{path}: agents[{number}]: there is no field {min(map(str, unknown))[:64]!r}")
    try:
        return _AGENTS.validate_python(document)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"])
        raise ValueError(f"{path}: agents{where}: {first['msg']}") from None


_KNOWN = frozenset(field.alias or name for name, field in Agent.model_fields.items())
