"""The real transport: refuses an address by what the connection reached, before anything is sent over it."""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from functools import cache

import certifi
import httpcore
import httpx

from conveyor.web.errors import HostNotAllowed
from conveyor.web.hosts import is_forbidden

_SocketOption = tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]


class _Backend(httpcore.AnyIOBackend):
    """Looks at the address after connecting: whatever the name resolved to then, and however it was spelled."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 the signature is httpcore's
        local_address: str | None = None,
        socket_options: Iterable[_SocketOption] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        stream = await super().connect_tcp(host, port, timeout, local_address, socket_options)
        peer = stream.get_extra_info("server_addr")
        if peer is None or is_forbidden(str(peer[0])):
            await stream.aclose()
            raise HostNotAllowed(f"{host} leads to a link-local or metadata address")
        return stream


class GuardedTransport(httpx.AsyncHTTPTransport):
    def __init__(self, *, connections: int) -> None:
        super().__init__(verify=_ssl_context(), trust_env=False)
        # The pool is where httpx connects; it takes no backend itself.
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=_ssl_context(),
            max_connections=connections,
            max_keepalive_connections=connections,
            keepalive_expiry=5.0,
            network_backend=_Backend(),
        )


@cache
def _ssl_context() -> ssl.SSLContext:
    """The public authorities, and those the machine or SSL_CERT_FILE adds."""
    context = ssl.create_default_context(cafile=certifi.where())
    context.load_default_certs()
    return context
