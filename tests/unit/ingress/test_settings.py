"""Settings: the defaults, the forms, and that a wrong one stops the start and is named."""

from pathlib import Path

import pytest

from conveyor_ingress import settings
from conveyor_ingress.settings import Address, InvalidSettings


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in settings.Settings.model_fields:
        monkeypatch.delenv(f"CONVEYOR_{name.upper()}", raising=False)


def test_defaults_are_what_the_documentation_says() -> None:
    assert settings.load().model_dump() == {
        "ingress_address": Address("", 8080),
        "ingress_ops_address": Address("", 8081),
        "ingress_secrets_dir": Path("/etc/conveyor/ingress-secrets"),
        "ingress_max_body_bytes": 1024 * 1024,
        "namespaces": frozenset(),
        "kubeconfig": None,
    }


@pytest.mark.parametrize(
    ("value", "address"),
    [
        (":80", Address("", 80)),
        ("0.0.0.0:80", Address("0.0.0.0", 80)),  # noqa: S104
        ("[::]:80", Address("::", 80)),
        ("localhost:0", Address("localhost", 0)),
    ],
)
def test_address_is_read(monkeypatch: pytest.MonkeyPatch, value: str, address: Address) -> None:
    monkeypatch.setenv("CONVEYOR_INGRESS_ADDRESS", value)
    assert settings.load().ingress_address == address


def test_namespaces_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONVEYOR_NAMESPACES", "team-a, team-b,")
    assert settings.load().namespaces == {"team-a", "team-b"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CONVEYOR_INGRESS_ADDRESS", "80"),
        ("CONVEYOR_INGRESS_ADDRESS", "host:99999"),
        ("CONVEYOR_INGRESS_ADDRESS", "::1:80"),
        ("CONVEYOR_INGRESS_OPS_ADDRESS", ""),
        ("CONVEYOR_INGRESS_MAX_BODY_BYTES", "1MiB"),
        ("CONVEYOR_INGRESS_MAX_BODY_BYTES", "0"),
        ("CONVEYOR_INGRESS_MAX_BODY_BYTES", str(1024**3)),
        ("CONVEYOR_NAMESPACES", "Team A"),
    ],
)
def test_invalid_value_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(InvalidSettings, match=f"^{name}: "):
        settings.load()
