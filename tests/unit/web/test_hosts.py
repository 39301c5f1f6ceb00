"""Covers: what an address may be, which patterns match which hosts, which addresses nobody may name."""

import httpx
import pytest

from conveyor.web.errors import HostNotAllowed
from conveyor.web.hosts import AllowedHosts, is_forbidden, origin, parse_url

FORBIDDEN = [
    "169.254.169.254",
    "169.254.0.1",
    "fe80::1",
    "fe80::1%eth0",
    "fd00:ec2::254",
    "fd00:ec2::254%eth0",
    "::ffff:169.254.169.254",
    "64:ff9b::169.254.169.254",
    "2002:a9fe:a9fe::1",
    "100.100.100.200",
    "168.63.129.16",
]


@pytest.mark.parametrize("address", FORBIDDEN)
def test_link_local_or_metadata_address_is_forbidden(address: str) -> None:
    assert is_forbidden(address)


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.0.0.1", "192.168.1.1", "8.8.8.8", "::1", "fd00::1", "git.example"]
)
def test_other_address_or_name_is_not_forbidden(address: str) -> None:
    assert not is_forbidden(address)


@pytest.mark.parametrize("host", ["169.254.169.254", "[fe80::1]", "[fd00:ec2::254]", "[::ffff:a9fe:a9fe]"])
def test_forbidden_literal_is_refused_even_when_everything_is_allowed(host: str) -> None:
    with pytest.raises(HostNotAllowed, match="link-local or metadata"):
        AllowedHosts(("*", "169.254.169.254")).check(httpx.URL(f"http://{host}/"))


@pytest.mark.parametrize(
    ("pattern", "url"),
    [
        ("git.example", "https://git.example/x"),
        ("git.example", "http://GIT.example.:3000/x"),
        ("git.example:3000", "http://git.example:3000"),
        ("git.example:443", "https://git.example"),
        ("git.example:80", "http://git.example"),
        ("[::1]:3000", "http://[::1]:3000"),
        ("[::1]", "http://[::1]:3000"),
        ("bücher.example", "https://xn--bcher-kva.example"),
        ("*", "https://anything.example"),
    ],
)
def test_pattern_matches_host(pattern: str, url: str) -> None:
    AllowedHosts((pattern,)).check(parse_url(url))


@pytest.mark.parametrize(
    ("patterns", "url"),
    [
        ((), "https://git.example"),
        (("git.example",), "https://git.example.evil.test"),
        (("git.example",), "https://sub.git.example"),
        (("git.example:443",), "http://git.example"),
        (("git.example:3000",), "http://git.example:3001"),
        (("10.0.0.1",), "http://10.0.0.11"),
    ],
)
def test_other_host_or_port_is_refused(patterns: tuple[str, ...], url: str) -> None:
    with pytest.raises(HostNotAllowed, match="not among the allowed hosts"):
        AllowedHosts(patterns).check(parse_url(url))


@pytest.mark.parametrize(
    "pattern", ["", "*.example", "http://git.example", "git.example/path", "u:p@git.example", "a b"]
)
def test_pattern_that_is_no_host_is_an_error(pattern: str) -> None:
    with pytest.raises(ValueError, match="wanted host"):
        AllowedHosts((pattern,))


@pytest.mark.parametrize(
    "url", ["", "git.example", "ftp://git.example", "file:///etc/passwd", "http://", "http://[::1", "//x"]
)
def test_address_that_is_no_http_url_is_refused(url: str) -> None:
    with pytest.raises(HostNotAllowed, match="http or https address"):
        parse_url(url)


def test_address_with_credentials_is_refused_without_repeating_them() -> None:
    with pytest.raises(HostNotAllowed) as caught:
        parse_url("https://user:hunter2@git.example")
    assert "hunter2" not in str(caught.value)


def test_default_port_and_case_make_no_other_origin() -> None:
    assert origin(parse_url("https://Git.Example:443/a")) == origin(parse_url("https://git.example"))


def test_other_scheme_is_another_origin() -> None:
    assert origin(parse_url("http://git.example")) != origin(parse_url("https://git.example"))
