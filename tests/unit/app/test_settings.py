"""Settings: defaults, every variable's form, that a wrong one stops the start and is named, what the engine gets."""

import json
from pathlib import Path
from typing import Any

import pytest

from conveyor.api.stages import Role
from conveyor.app.settings import Address, SettingsError, engine_settings, load, variable
from conveyor.engine.world import EngineSettings

DEFAULTS: dict[str, Any] = {
    "transition_lease_enabled": True,
    "transition_lease_repositories": frozenset(),
    "transition_lease_seconds": 60,
    "serial_gate_enabled": True,
    "serial_gate_repositories": frozenset(),
    "freeze_enabled": True,
    "dependencies_enabled": True,
    "dependencies_source": "both",
    "premerge_rebase_always": True,
    "reconcile_enabled": True,
    "reconcile_tracker_enabled": True,
    "reconcile_skip_blocked_enabled": True,
    "reconcile_interval_seconds": 30.0,
    "grace_default_seconds": 60,
    "tracker_states_ttl_seconds": 300,
    "tracker_requests_per_minute": 60,
    "max_concurrent_runs": 20,
    "reaper_max_running_seconds": 7200,
    "retention_days": 30,
    "allowed_hosts": (),
    "namespaces": (),
    "events_enabled": True,
    "http_address": Address("", 8080),
    "ingress_public_url": "",
    "ingress_secret": "conveyor-ingress-secrets",
    "agent_tools_image": "conveyor",
    "default_agents_file": None,
    "kubeconfig": None,
    "pod_namespace": None,
    "pod_uid": "",
    "pod_name": "",
}


def test_defaults_are_these() -> None:
    assert load({}).model_dump() == DEFAULTS


def test_variables_of_kubernetes_and_of_others_are_ignored() -> None:
    environ = {"CONVEYOR_OPERATOR_PORT": "tcp://10.0.0.1:80", "HTTP_ADDRESS": "nonsense", "PATH": "/bin"}
    assert load(environ).model_dump() == DEFAULTS


@pytest.mark.parametrize(
    ("name", "value", "read"),
    [
        ("CONVEYOR_SERIAL_GATE_ENABLED", "false", False),
        ("CONVEYOR_FREEZE_ENABLED", " 0 ", False),
        ("CONVEYOR_DEPENDENCIES_SOURCE", "tracker", "tracker"),
        ("CONVEYOR_RECONCILE_INTERVAL_SECONDS", "0.5", 0.5),
        ("CONVEYOR_RETENTION_DAYS", "0", 0),
        ("CONVEYOR_SERIAL_GATE_REPOSITORIES", "shop, bank,", frozenset({"shop", "bank"})),
        ("CONVEYOR_TRANSITION_LEASE_REPOSITORIES", "", frozenset()),
        ("CONVEYOR_NAMESPACES", "team-b, team-a,team-b", ("team-b", "team-a")),
        ("CONVEYOR_ALLOWED_HOSTS", "git.example,[fd00::1]:3000", ("git.example", "[fd00::1]:3000")),
        ("CONVEYOR_HTTP_ADDRESS", "127.0.0.1:0", Address("127.0.0.1", 0)),
        ("CONVEYOR_HTTP_ADDRESS", "[::1]:80", Address("::1", 80)),
        ("CONVEYOR_INGRESS_PUBLIC_URL", "https://hooks.example/", "https://hooks.example"),
        ("CONVEYOR_KUBECONFIG", "", None),
        ("CONVEYOR_DEFAULT_AGENTS_FILE", "", None),
    ],
)
def test_value_is_read(name: str, value: str, read: object) -> None:
    field = name.removeprefix("CONVEYOR_").lower()
    assert load({name: value}).model_dump() == DEFAULTS | {field: read}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CONVEYOR_SERIAL_GATE_ENABLED", "maybe"),
        ("CONVEYOR_FREEZE_ENABLED", ""),
        ("CONVEYOR_DEPENDENCIES_SOURCE", "elsewhere"),
        ("CONVEYOR_TRANSITION_LEASE_SECONDS", "5"),
        ("CONVEYOR_RECONCILE_INTERVAL_SECONDS", "nan"),
        ("CONVEYOR_RECONCILE_INTERVAL_SECONDS", "0"),
        ("CONVEYOR_MAX_CONCURRENT_RUNS", "many"),
        ("CONVEYOR_MAX_CONCURRENT_RUNS", "0"),
        ("CONVEYOR_RETENTION_DAYS", "-1"),
        ("CONVEYOR_SERIAL_GATE_REPOSITORIES", "shop bank"),
        ("CONVEYOR_NAMESPACES", "Team A"),
        ("CONVEYOR_ALLOWED_HOSTS", "https://git.example"),
        ("CONVEYOR_HTTP_ADDRESS", "8080"),
        ("CONVEYOR_HTTP_ADDRESS", "host:99999"),
        ("CONVEYOR_INGRESS_PUBLIC_URL", "ftp://hooks.example"),
        ("CONVEYOR_INGRESS_PUBLIC_URL", "https://hooks.example/?a=b"),
        ("CONVEYOR_INGRESS_SECRET", "Not A Name"),
        ("CONVEYOR_AGENT_TOOLS_IMAGE", ""),
        ("CONVEYOR_DEFAULT_AGENTS_FILE", "/nowhere/agents.yaml"),
        ("CONVEYOR_KUBECONFIG", "/nowhere/kubeconfig"),
        ("CONVEYOR_POD_NAMESPACE", "../escape"),
        ("CONVEYOR_POD_UID", "a b"),
        ("CONVEYOR_POD_NAME", "a/b"),
    ],
)
def test_invalid_value_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name}: "):
        load({name: value})


def test_every_invalid_value_is_named() -> None:
    environ = {"CONVEYOR_HTTP_ADDRESS": "x", "CONVEYOR_MAX_CONCURRENT_RUNS": "x"}
    with pytest.raises(SettingsError) as caught:
        load(environ)
    assert all(name in str(caught.value) for name in environ)


@pytest.mark.parametrize("field", sorted(set(DEFAULTS) - {"default_agents_file"}))
def test_an_error_does_not_repeat_the_value(field: str) -> None:
    """But for the path of the agents' file, which whoever mends it needs."""
    with pytest.raises(SettingsError) as caught:
        load({variable(field): "https://user:hunter2 hunter2@git.example/?"})
    assert "hunter2" not in str(caught.value)


# --- the agents' file

DEVELOPER = {"role": "developer", "image": "agents/developer", "timeoutSeconds": 60, "command": ["work"]}


def agents(tmp_path: Path, text: str) -> dict[str, str]:
    path = tmp_path / "agents.yaml"
    path.write_text(text)
    return {"CONVEYOR_DEFAULT_AGENTS_FILE": str(path)}


def test_default_agents_are_read(tmp_path: Path) -> None:
    settings = load(agents(tmp_path, json.dumps([DEVELOPER])))
    found = engine_settings(settings, holder="me").default_agents
    assert {role: agent.dump()["timeoutSeconds"] for role, agent in found.items()} == {Role.DEVELOPER: 60}


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("[{role: developer, image: x}, {role: developer, image: y}]", "each role once"),
        ("[{role: developer}]", r"agents\[0\]\.image: Field required"),
        ("[{role: wizard, image: x}]", r"agents\[0\]\.role: "),
        ("[{role: tester, image: x, env: [1]}]", r"agents\[0\]\.env\[0\]: "),
        ("[{role: tester, image: x, timeout: 5}]", r"agents\[0\]: there is no field 'timeout'"),
        ("[1]", r"agents\[0\]: "),
        ("{role: developer, image: x}", "agents: "),
        ("", "agents: "),
        ("[", "a mistake in line 1"),
        ("\x00", "wanted YAML or JSON"),
        ("[" * 600, "wanted YAML or JSON"),
        (" " * (1024 * 1024 + 1), "at most 1048576 bytes"),
    ],
)
def test_wrong_agents_file_stops_the_start_with_file_and_field(tmp_path: Path, text: str, what: str) -> None:
    environ = agents(tmp_path, text)
    path = environ["CONVEYOR_DEFAULT_AGENTS_FILE"]
    with pytest.raises(SettingsError, match=f"^CONVEYOR_DEFAULT_AGENTS_FILE: {path}: .*{what}"):
        load(environ)


def test_wrong_agents_file_is_not_repeated(tmp_path: Path) -> None:
    entry = DEVELOPER | {"env": ["hunter2"], "timeoutSeconds": "hunter2"}
    for text in (json.dumps([entry]), "hunter2: : hunter2", "hunter2"):
        with pytest.raises(SettingsError) as caught:
            load(agents(tmp_path, text))
        assert "hunter2" not in str(caught.value)


# --- what is made of them


def test_engine_gets_what_is_set() -> None:
    settings = load(
        {
            "CONVEYOR_AGENT_TOOLS_IMAGE": "tools:1",
            "CONVEYOR_MAX_CONCURRENT_RUNS": "3",
            "CONVEYOR_RECONCILE_INTERVAL_SECONDS": "2.5",
            "CONVEYOR_REAPER_MAX_RUNNING_SECONDS": "900",
            "CONVEYOR_SERIAL_GATE_ENABLED": "false",
            "CONVEYOR_SERIAL_GATE_REPOSITORIES": "shop",
            "CONVEYOR_FREEZE_ENABLED": "false",
            "CONVEYOR_DEPENDENCIES_ENABLED": "false",
            "CONVEYOR_PREMERGE_REBASE_ALWAYS": "false",
            "CONVEYOR_DEPENDENCIES_SOURCE": "spec",
            "CONVEYOR_EVENTS_ENABLED": "false",
            "CONVEYOR_INGRESS_SECRET": "hooks",
            "CONVEYOR_INGRESS_PUBLIC_URL": "https://hooks.example",
        }
    )
    assert engine_settings(settings, holder="me") == EngineSettings(
        holder="me",
        tools_image="tools:1",
        max_concurrent_runs=3,
        reconcile_interval_seconds=2.5,
        reaper_max_running_seconds=900,
        serial_gate=False,
        serial_gate_repositories=frozenset({"shop"}),
        freeze=False,
        dependencies=False,
        premerge_rebase=False,
        dependencies_source="spec",
        events=False,
        ingress_secret="hooks",
        default_agents={},
    )


def test_engine_defaults_are_the_settings_defaults() -> None:
    assert engine_settings(load({}), holder="me") == EngineSettings(holder="me", tools_image="conveyor")


def test_allowed_hosts_are_those_named() -> None:
    assert load({"CONVEYOR_ALLOWED_HOSTS": "git.example"}).allowed_hosts_value().patterns == ("git.example",)


@pytest.mark.parametrize(
    ("environ", "mounted", "found"),
    [
        ({"CONVEYOR_POD_NAMESPACE": "own", "POD_NAMESPACE": "pod"}, "account", "own"),
        ({"POD_NAMESPACE": "pod"}, "account", "pod"),
        ({"CONVEYOR_NAMESPACES": "first,second"}, "account\n", "account"),
        ({"CONVEYOR_NAMESPACES": "first,second"}, None, "first"),
        ({}, None, "default"),
        ({}, "", "default"),
    ],
)
def test_own_namespace_is_the_first_that_is_known(
    tmp_path: Path, environ: dict[str, str], mounted: str | None, found: str
) -> None:
    path = tmp_path / "namespace"
    if mounted is not None:
        path.write_text(mounted)
    assert load(environ).own_namespace(mounted=path) == found


@pytest.mark.parametrize("prefix", ["", "CONVEYOR_"])
def test_pod_is_read_under_both_names(prefix: str) -> None:
    pod = load({f"{prefix}POD_UID": "uid-1", f"{prefix}POD_NAME": "operator-x2x"})
    assert (pod.pod_uid, pod.pod_name) == ("uid-1", "operator-x2x")
