"""Whom we may talk to: names the settings allow, and addresses nobody may name."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

import httpx

from conveyor.web.errors import HostNotAllowed

_METADATA = frozenset(
    ipaddress.ip_address(address)
    for address in ("fd00:ec2::254", "100.100.100.200", "192.0.0.192", "168.63.129.16", "fd20:ce::254")
)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_PORTS = {"http": 80, "https": 443}


def is_forbidden(address: str) -> bool:
    """Whether a literal IP address is link-local or a cloud's metadata service. A name is not: see `transport`."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address):
        parsed = ipaddress.IPv6Address(int(parsed))  # without its scope
        inner = parsed.ipv4_mapped or parsed.sixtofour
        if parsed in _NAT64:
            inner = ipaddress.IPv4Address(int(parsed) & 0xFFFFFFFF)
        parsed = inner or parsed
    return parsed.is_link_local or parsed in _METADATA


def parse_url(url: str) -> httpx.URL:
    """An http or https address without credentials in it, else HostNotAllowed (which does not repeat it)."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        parsed = httpx.URL("")
    if parsed.scheme not in _PORTS or not parsed.host:
        raise HostNotAllowed("wanted an http or https address with a host, found something else")
    if parsed.userinfo:
        raise HostNotAllowed(f"the address of {_host(parsed)} carries credentials: put them into the Secret")
    return parsed


def origin(url: httpx.URL) -> tuple[str, str, int]:
    """Scheme, host and port, the way two addresses of one server agree in it."""
    return url.scheme, _host(url), url.port or _PORTS.get(url.scheme, 0)


def _host(url: httpx.URL) -> str:
    return url.raw_host.decode("ascii").lower().rstrip(".")


@dataclass(frozen=True, slots=True)
class AllowedHosts:
    """Patterns `host`, `host:port` (IPv6 in brackets) or `*`. Empty allows nothing; link-local is never allowed."""

    patterns: tuple[str, ...]

    def __post_init__(self) -> None:
        for pattern in self.patterns:
            _parse_pattern(pattern)

    def check(self, url: httpx.URL) -> None:
        """Raise HostNotAllowed unless we may send there."""
        _, host, port = origin(url)
        if is_forbidden(host):
            raise HostNotAllowed(f"{host} is a link-local or metadata address")
        if not any(self._matches(pattern, host, port) for pattern in self.patterns):
            raise HostNotAllowed(f"{host}:{port} is not among the allowed hosts: {', '.join(self.patterns) or 'none'}")

    @staticmethod
    def _matches(pattern: str, host: str, port: int) -> bool:
        if pattern == "*":
            return True
        wanted, wanted_port = _parse_pattern(pattern)
        return wanted == host and wanted_port in (None, port)


def _parse_pattern(pattern: str) -> tuple[str, int | None]:
    """The host and the port of a pattern; ValueError where it is none."""
    wrong = ValueError(f"wanted host, host:port or *, found {pattern!r}")
    if pattern == "*":
        return pattern, None
    try:
        url = httpx.URL(f"ftp://{pattern}")  # a scheme whose default port nobody means
    except httpx.InvalidURL:
        raise wrong from None
    if not url.host or set("* %") & set(_host(url)) or url.userinfo or url.raw_path != b"/":
        raise wrong
    return _host(url), url.port
