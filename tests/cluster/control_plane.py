"""A real etcd, kube-apiserver and kube-controller-manager on free ports of 127.0.0.1, with a kubeconfig of their own.

There is no scheduler and no kubelet: `tests.cluster.node` binds and runs pods, or answers for them.
"""

import os
import secrets
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from tests.cluster import binaries, kubeconfig
from tests.cluster.api import ApiError, Kube
from tests.cluster.processes import Server, ServerFailedError, free_ports

COLLECT_SELDOM: Mapping[str, str] = {"GOGC": "400", "GOMEMLIMIT": "2GiB"}
"""Tests are short, and memory is there: a sixth of the servers' time went into collecting garbage."""


class ControlPlane:
    """`with ControlPlane(directory) as plane: ... plane.kubeconfig`. All is in `directory`, which the caller removes.

    After `stop()`, `start()` brings the same cluster back: same ports, certificates and content.
    """

    def __init__(
        self,
        directory: Path,
        *,
        apiserver_arguments: Sequence[str] = (),
        settings: Mapping[str, str] = COLLECT_SELDOM,
        say: binaries.Say = print,
    ) -> None:
        """`settings`: environment variables of the servers, beside our own."""
        self.directory, self.token = directory, secrets.token_urlsafe(24)
        self._environment = {**os.environ, **settings}
        self._say, self._apiserver_arguments = say, apiserver_arguments
        etcd_port, peer_port, port = free_ports(3)
        self.url = f"https://127.0.0.1:{port}"
        self.kubeconfig = directory / "kubeconfig"
        self.etcd_url, self._peer_url, self._port = (
            f"http://127.0.0.1:{etcd_port}",
            f"http://127.0.0.1:{peer_port}",
            port,
        )
        self._certificates = directory / "certificates"
        self._servers: list[Server] = []

    @property
    def ca(self) -> bytes:
        """PEM. The API server's own: it signs its certificate when it first starts."""
        return (self._certificates / "apiserver.crt").read_bytes()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Build what is missing, start, and return when namespaces and service accounts are at work."""
        built = binaries.ensure(binaries.CONTROL_PLANE, self._say)
        self.directory.mkdir(parents=True, exist_ok=True)
        self._write_tokens()
        self._servers = [self._etcd(built["etcd"]), self._apiserver(built["kube-apiserver"])]
        try:
            self._servers[0].start()
            self._servers[1].start()
            kubeconfig.write(self.kubeconfig, server=self.url, ca=self.ca, token=self.token)
            self._servers.append(self._controller_manager(built["kube-controller-manager"]))
            self._servers[2].start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        for server in reversed(self._servers):
            server.stop()

    def restart_apiserver(self) -> None:
        """Stop it and bring it back: every watch breaks, nothing is lost. It gets one second to drain."""
        self.stop_apiserver()
        self.start_apiserver()

    def stop_apiserver(self) -> None:
        """SIGTERM, and SIGKILL after a second; it stays away until `start_apiserver`."""
        self._servers[1].stop(grace=1)

    def kill_apiserver(self) -> None:
        """SIGKILL; it stays away until `start_apiserver`."""
        self._servers[1].kill()

    def start_apiserver(self) -> None:
        self._servers[1].start()

    def service_account_kubeconfig(
        self, namespace: str, name: str, *, path: Path | None = None, seconds: int = 86_400
    ) -> Path:
        """A kubeconfig that is this (existing) ServiceAccount, by a token from TokenRequest."""
        with Kube(self.kubeconfig) as kube:
            answer = kube.post(
                f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token",
                {
                    "apiVersion": "authentication.k8s.io/v1",
                    "kind": "TokenRequest",
                    "spec": {"expirationSeconds": seconds},
                },
            )
        target = path or self.directory / f"kubeconfig-{namespace}-{name}"
        return kubeconfig.write(
            target, server=self.url, ca=self.ca, token=answer["status"]["token"], namespace=namespace
        )

    def _write_tokens(self) -> None:
        path = self.directory / "tokens.csv"
        path.touch(mode=0o600)
        path.write_text(f'{self.token},admin,admin,"system:masters"\n')

    def _etcd(self, program: Path) -> Server:
        return Server(
            "etcd",
            [
                program,
                *("--data-dir", self.directory / "etcd", "--unsafe-no-fsync", "--log-level", "warn"),
                *("--listen-client-urls", self.etcd_url, "--advertise-client-urls", self.etcd_url),
                *("--listen-peer-urls", self._peer_url, "--initial-advertise-peer-urls", self._peer_url),
                *("--initial-cluster", f"default={self._peer_url}"),
            ],
            log=self.directory / "etcd.log",
            env=self._environment,
            ready=lambda: urllib.request.urlopen(f"{self.etcd_url}/health", timeout=2).status == 200,  # noqa: S310
        )

    def _apiserver(self, program: Path) -> Server:
        key = (
            self._certificates / "apiserver.key"
        )  # made by the server at its first start; signs service account tokens as well
        return Server(
            "kube-apiserver",
            [
                program,
                *(
                    f"--etcd-servers={self.etcd_url}",
                    f"--secure-port={self._port}",
                    f"--cert-dir={self._certificates}",
                ),
                *("--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none"),
                *(f"--token-auth-file={self.directory / 'tokens.csv'}", "--authorization-mode=Node,RBAC"),
                *("--service-account-issuer=https://kubernetes.default.svc", "--service-cluster-ip-range=10.97.0.0/16"),
                *(f"--service-account-signing-key-file={key}", f"--service-account-key-file={key}"),
                *self._apiserver_arguments,
            ],
            log=self.directory / "kube-apiserver.log",
            env=self._environment,
            ready=self._apiserver_ready,
        )

    def _controller_manager(self, program: Path) -> Server:
        return Server(
            "kube-controller-manager",
            [
                program,
                *(f"--kubeconfig={self.kubeconfig}", "--use-service-account-credentials", "--leader-elect=false"),
                *("--secure-port=0", f"--root-ca-file={self._certificates / 'apiserver.crt'}"),
                f"--service-account-private-key-file={self._certificates / 'apiserver.key'}",
                # the defaults, 20 requests a second and 5 Jobs at a time, are for shared clusters
                *("--kube-api-qps=1000", "--kube-api-burst=2000", "--concurrent-job-syncs=20"),
            ],
            log=self.directory / "kube-controller-manager.log",
            env=self._environment,
            ready=self._controllers_ready,
        )

    def _apiserver_ready(self) -> bool:
        if not (self._certificates / "apiserver.crt").exists():
            return False
        tls = ssl.create_default_context(cadata=self.ca.decode())
        request = urllib.request.Request(f"{self.url}/readyz", headers={"Authorization": f"Bearer {self.token}"})  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=5, context=tls) as answer:  # noqa: S310
                return bool(answer.status == 200)
        except (urllib.error.HTTPError, ssl.SSLError):
            return False

    def _controllers_ready(self) -> bool:
        """They have given the default namespace what they give every namespace."""
        try:
            with Kube(self.kubeconfig) as kube:
                kube.get("/api/v1/namespaces/default/serviceaccounts/default")
                kube.get("/api/v1/namespaces/default/configmaps/kube-root-ca.crt")
        except (ApiError, httpx.TransportError):
            return False
        return True


__all__ = ["ControlPlane", "ServerFailedError"]
