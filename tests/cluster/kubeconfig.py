"""Kubeconfig files: written for the servers we start, read where one was given."""

import base64
import os
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml


class BadKubeconfigError(Exception):
    """The file cannot be used; the message says why."""


@dataclass(frozen=True)
class Connection:
    """What it takes to reach one API server as one identity."""

    server: str
    tls: ssl.SSLContext
    token: str | None


def write(path: Path, *, server: str, ca: bytes, token: str, namespace: str = "default") -> Path:
    """A kubeconfig with a bearer token, readable by its owner alone. `ca` is PEM."""
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "conveyor",
        "contexts": [
            {"name": "conveyor", "context": {"cluster": "conveyor", "user": "conveyor", "namespace": namespace}}
        ],
        "clusters": [
            {
                "name": "conveyor",
                "cluster": {"server": server, "certificate-authority-data": base64.b64encode(ca).decode()},
            }
        ],
        "users": [{"name": "conveyor", "user": {"token": token}}],
    }
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        yaml.safe_dump(content, file)
    return path


def read(path: Path) -> Connection:
    """The current context of the file. Raises BadKubeconfigError, also for users that log in by a plugin."""
    try:
        content = yaml.safe_load(path.read_text())
        context = _named(content, "context", content["current-context"])
        cluster = _named(content, "cluster", context["cluster"])
        user = _named(content, "user", context["user"])
        tls = ssl.create_default_context(cadata=_data(cluster, "certificate-authority", path))
        if cluster.get("insecure-skip-tls-verify"):
            raise BadKubeconfigError(f"{path} skips the check of the server's certificate, which the tests refuse")
        certificate, key = _data(user, "client-certificate", path), _data(user, "client-key", path)
    except (OSError, KeyError, TypeError, yaml.YAMLError) as error:
        raise BadKubeconfigError(f"{path} is not a usable kubeconfig: {error!r}") from error
    token = user.get("token")
    if certificate and key:
        _load_certificate(tls, certificate + "\n" + key)
    elif not token:
        raise BadKubeconfigError(f"{path} has neither token nor client certificate; plugins are not supported")
    return Connection(server=cluster["server"], tls=tls, token=token)


def _named(content: dict[str, Any], kind: str, name: str) -> dict[str, Any]:
    for entry in content[f"{kind}s"]:
        if entry["name"] == name:
            found: dict[str, Any] = entry[kind]
            return found
    raise KeyError(f"{kind} {name}")


def _data(entry: dict[str, Any], field: str, kubeconfig: Path) -> str | None:
    """A PEM text given inline (`<field>-data`) or as a file beside the kubeconfig."""
    if inline := entry.get(f"{field}-data"):
        return base64.b64decode(inline).decode()
    if file := entry.get(field):
        return (kubeconfig.parent / str(file)).read_text()
    return None


def _load_certificate(tls: ssl.SSLContext, pem: str) -> None:
    with tempfile.NamedTemporaryFile(
        "w", suffix=".pem"
    ) as file:  # the ssl module takes client certificates from files only
        file.write(pem)
        file.flush()
        tls.load_cert_chain(file.name)
