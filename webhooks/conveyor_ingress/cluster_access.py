"""How the API server is reached: from inside a pod, or by a kubeconfig that was named."""

from __future__ import annotations

import base64
import os
import ssl
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class NoAccess(Exception):
    """It is not said how to reach the API server, or what is said cannot be used. Holds no secret."""


@dataclass(frozen=True)
class Access:
    server: str
    tls: ssl.SSLContext
    token: Callable[[], str | None] = field(repr=False)
    """Read anew for each call: the kubelet replaces it. Raises OSError."""


def find(kubeconfig: Path | None, environ: Mapping[str, str]) -> Access:
    """The named kubeconfig, else the pod's service account; never a default file. Raises NoAccess."""
    if kubeconfig is not None:
        return from_kubeconfig(kubeconfig)
    host, port = environ.get("KUBERNETES_SERVICE_HOST"), environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not host:
        raise NoAccess("not in a cluster (KUBERNETES_SERVICE_HOST is not set) and CONVEYOR_KUBECONFIG names no file")
    return in_cluster(host, port)


def in_cluster(host: str, port: str, *, directory: Path = SERVICE_ACCOUNT) -> Access:
    """Raises NoAccess."""
    token = directory / "token"
    try:
        tls = ssl.create_default_context(cafile=str(directory / "ca.crt"))
        token.read_text()
    except OSError as error:
        raise NoAccess(f"the service account in {directory} cannot be read: {error.strerror or error}") from error
    return Access(
        server=f"https://{f'[{host}]' if ':' in host else host}:{port}",
        tls=tls,
        token=lambda: token.read_text().strip(),
    )


def from_kubeconfig(path: Path) -> Access:
    """The file's current context, with a token or a client certificate; login plugins are not run. Raises NoAccess."""
    try:
        content = yaml.safe_load(path.read_text())
        context = _named(content, "context", content["current-context"])
        cluster, user = _named(content, "cluster", context["cluster"]), _named(content, "user", context["user"])
        tls = ssl.create_default_context(cadata=_pem(cluster, "certificate-authority", path))
        certificate, key = _pem(user, "client-certificate", path), _pem(user, "client-key", path)
        if certificate and key:
            _load_certificate(tls, f"{certificate}\n{key}")
        server, token = str(cluster["server"]).rstrip("/"), _token(user, path)
        logs_in = bool(certificate and key) or bool(token())
    except (OSError, AttributeError, KeyError, TypeError, ValueError, yaml.YAMLError) as error:
        raise NoAccess(f"{path} is not a usable kubeconfig: {type(error).__name__}") from error
    if not logs_in:
        raise NoAccess(f"{path} has neither a token nor a client certificate for its current user")
    return Access(server=server, tls=tls, token=token)


def _named(content: dict[str, Any], kind: str, name: str) -> dict[str, Any]:
    for entry in content[f"{kind}s"]:
        if entry["name"] == name:
            found: dict[str, Any] = entry[kind]
            return found
    raise KeyError(kind)


def _token(user: dict[str, Any], kubeconfig: Path) -> Callable[[], str | None]:
    if file := user.get("tokenFile"):
        path = kubeconfig.parent / str(file)
        return lambda: path.read_text().strip()
    token = user.get("token")
    return lambda: token


def _pem(entry: dict[str, Any], name: str, kubeconfig: Path) -> str | None:
    if inline := entry.get(f"{name}-data"):
        return base64.b64decode(inline).decode()
    if file := entry.get(name):
        return (kubeconfig.parent / str(file)).read_text()
    return None


def _load_certificate(tls: ssl.SSLContext, pem: str) -> None:
    # The ssl module takes client certificates from files only.
    descriptor, name = tempfile.mkstemp(suffix=".pem")  # readable by the owner alone
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(pem)
        tls.load_cert_chain(name)
    finally:
        Path(name).unlink()
