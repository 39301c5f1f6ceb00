"""The ingress's settings, from the environment: `CONVEYOR_` and the field's name in upper case.

pydantic-settings, which the operator has for this, would be a quarter of the processor time of the ingress's start.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

PREFIX = "CONVEYOR_"
_ADDRESS = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[^:\[\]\s]*)):(?P<port>[0-9]{1,5})")
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


class InvalidSettings(Exception):
    """The process cannot start; the message names each variable and what is wrong with it."""


class Address(NamedTuple):
    host: str
    """Empty: all interfaces."""
    port: int


def _address(value: object) -> object:
    if isinstance(value, Address):
        return value
    match = _ADDRESS.fullmatch(str(value).strip())
    if match is None or int(match["port"]) > 65535:
        raise ValueError("should be <host>:<port>, [<IPv6 address>]:<port> or :<port>")
    return Address(match["v6"] or match["host"] or "", int(match["port"]))


def _namespaces(value: object) -> object:
    if not isinstance(value, str):
        return value
    found = frozenset(name.strip() for name in value.split(",") if name.strip())
    for name in found:
        if not _NAMESPACE.fullmatch(name):
            raise ValueError("should be names of namespaces, separated by commas")
    return found


ListenAddress = Annotated[Address, BeforeValidator(_address)]


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    ingress_address: ListenAddress = Field(
        default=Address("", 8080), description="Where webhooks are received, as host:port."
    )
    ingress_ops_address: ListenAddress = Field(
        default=Address("", 8081),
        description="Where /healthz, /readyz and /metrics are; not to be reachable for the senders.",
    )
    ingress_secrets_dir: Path = Field(
        default=Path("/etc/conveyor/ingress-secrets"),
        description="Directory that the Secret with all webhook secrets is mounted at.",
    )
    ingress_max_body_bytes: Annotated[int, Field(ge=1024, le=16 * 1024 * 1024)] = Field(
        default=1024 * 1024,
        description="Largest body in bytes; a larger one is answered 413, and the event is left to the poll.",
    )
    namespaces: Annotated[frozenset[str], BeforeValidator(_namespaces)] = Field(
        default=frozenset(), description="Namespaces that are served, separated by commas; empty: all."
    )
    kubeconfig: Path | None = Field(
        default=None, description="Kubeconfig to reach the API server by; unset: the pod's service account."
    )


def load(environ: Mapping[str, str] = os.environ) -> Settings:
    """Raises InvalidSettings."""
    names = {name: f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    try:
        return Settings.model_validate({name: environ[key] for name, key in names.items() if key in environ})
    except ValidationError as error:
        wrong = (f"{names[str(found['loc'][0])]}: {found['msg']}" for found in error.errors())
        raise InvalidSettings("; ".join(wrong)) from None
