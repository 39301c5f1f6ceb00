"""The ingress's settings, from the environment: `CONVEYOR_` and the field's name in upper case."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import BeforeValidator, Field, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

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


ListenAddress = Annotated[Address, NoDecode, BeforeValidator(_address)]


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True, hide_input_in_errors=True)

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
    namespaces: Annotated[frozenset[str], NoDecode, BeforeValidator(_namespaces)] = Field(
        default=frozenset(), description="Namespaces that are served, separated by commas; empty: all."
    )
    kubeconfig: Path | None = Field(
        default=None, description="Kubeconfig to reach the API server by; unset: the pod's service account."
    )


def load() -> Settings:
    """Reads the environment. Raises InvalidSettings."""
    try:
        return Settings()
    except ValidationError as error:
        wrong = (f"{PREFIX}{str(found['loc'][0]).upper()}: {found['msg']}" for found in error.errors())
        raise InvalidSettings("; ".join(wrong)) from None
