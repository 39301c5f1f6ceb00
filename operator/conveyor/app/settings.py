"""The operator's settings, from the environment: `CONVEYOR_` and the field's name in upper case.

The text under a field is its documentation: `docs/settings.md` is made from it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, FilePath, ValidationError

from conveyor.app.agents_file import DefaultAgents, read_agents
from conveyor.engine.world import EngineSettings
from conveyor.web.errors import HostNotAllowed
from conveyor.web.hosts import AllowedHosts, parse_url

PREFIX = "CONVEYOR_"
SERVICE_ACCOUNT_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")

_ADDRESS = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[^:\[\]\s]*)):(?P<port>[0-9]{1,5})")


class SettingsError(Exception):
    """The process cannot start; the text names each variable and what is wrong with it, never its value."""


class Address(NamedTuple):
    host: str
    """Empty: all interfaces."""
    port: int
    """0: any free one."""

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _address(value: object) -> object:
    if isinstance(value, Address):
        return value
    match = _ADDRESS.fullmatch(str(value).strip())
    if match is None or int(match["port"]) > 65535:
        raise ValueError("should be <host>:<port>, [<IPv6 address>]:<port> or :<port>")
    return Address(match["v6"] or match["host"] or "", int(match["port"]))


def _split(value: object) -> object:
    """Names separated by commas, each once, in their order."""
    if not isinstance(value, str):
        return value
    return tuple(dict.fromkeys(part.strip() for part in value.split(",") if part.strip()))


def _hosts(value: tuple[str, ...]) -> tuple[str, ...]:
    try:
        AllowedHosts(value)
    except ValueError:
        raise ValueError("should be host, host:port or *, separated by commas") from None
    return value


def _public_url(value: str) -> str:
    if not value:
        return ""
    try:
        url = parse_url(value)
    except HostNotAllowed as error:
        raise ValueError(str(error)) from None
    if url.query or url.fragment:
        raise ValueError("should have neither query nor fragment")
    return value.rstrip("/")


def _agents(value: object) -> object:
    return read_agents(Path(value)) if isinstance(value, str) else value


def _unset_if_empty(value: object) -> object:
    return None if value == "" else value


Namespace = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")]
ObjectName = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$")]
Seconds = Annotated[int, Field(ge=1, le=7 * 86400)]


class Settings(BaseModel):
    """Every field has a default, under which the operator runs with all features on and reaches no outside host."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, hide_input_in_errors=True)

    transition_lease_enabled: bool = True
    """Whether a Lease keeps a second actor from starting the work of a transition that another one carries out. Off:
    no Lease is taken; intents and preconditions, which make a transition safe, stay. On, because it saves work."""
    transition_lease_repositories: Annotated[frozenset[ObjectName], BeforeValidator(_split)] = frozenset()
    """Repositories in which that Lease is taken, by name, separated by commas. Empty: in all, so that a new Repository
    needs no entry."""
    transition_lease_seconds: Annotated[int, Field(ge=20, le=3600)] = 60
    """Seconds without a renewal after which a transition's Lease may be taken over. It is renewed every 10 s: 60
    outlasts five lost renewals."""

    serial_gate_enabled: bool = True
    """Whether at most one item per Repository is under way, unless the Repository says otherwise. Off: items start as
    they come. On, because an item then begins with its predecessor's code."""
    serial_gate_repositories: Annotated[frozenset[ObjectName], BeforeValidator(_split)] = frozenset()
    """Repositories that the serial gate applies to, by name, separated by commas. Empty: all."""

    freeze_enabled: bool = True
    """Whether freezes hold. Off: annotations and automatic freezes stop nothing. Switched on, they also hold a merge
    that was not sent yet. On, because a freeze that is overlooked ships what somebody wanted to hold."""

    dependencies_enabled: bool = True
    """Whether an item waits for those it depends on. Off: they are neither waited for nor checked for cycles."""
    dependencies_source: Literal["spec", "tracker", "both"] = "both"
    """Where dependencies are read: `spec.dependsOn`, the ticket's relations, or both merged. Both, because a person
    who writes one in either place means it."""

    premerge_rebase_always: bool = True
    """Whether a branch behind its base is rebased before the merge, where the Repository wants that. Off: nowhere, and
    a moved base waits for a person. On, because a person adds nothing to a rebase without conflict."""

    reconcile_enabled: bool = True
    """Whether items that stand still are looked at again although nobody reported anything. Off: a lost webhook holds
    an item until something else touches it."""
    reconcile_tracker_enabled: bool = True
    """Whether the tracker is asked for started and changed tickets. Off: only webhooks tell of them."""
    reconcile_skip_blocked_enabled: bool = True
    """Whether looking again leaves out Stalled items and those that wait for a person. Off: they are read too, which
    costs requests and moves nothing that a person has to move."""
    reconcile_interval_seconds: Annotated[float, Field(ge=0.2, le=3600, allow_inf_nan=False)] = 30.0
    """Seconds between two rounds of looking again. 30 is the longest that a lost webhook delays an item."""
    grace_default_seconds: Seconds = 60
    """Seconds that an item may stand still before it is looked at again, where its Repository names no other for the
    stage. 60 leaves a webhook time to arrive."""

    tracker_states_ttl_seconds: Seconds = 300
    """Seconds for which a project's states are believed. A state renamed or made in the tracker is known after that
    time."""
    tracker_requests_per_minute: Annotated[int, Field(ge=2, le=100_000)] = 60
    """Requests that the tracker takes per minute and token. 60 is Plane's own limit: more is answered 429."""

    max_concurrent_runs: Annotated[int, Field(ge=1, le=10_000)] = 20
    """Agent runs at once over all Repositories. 20 is what a small cluster bears; each is a pod."""
    reaper_max_running_seconds: Annotated[int, Field(ge=60, le=7 * 86400)] = 7200
    """Seconds after a transition's last recorded intent or result at which its Lease is released by force, with an
    alert. A Repository with a longer timeout (+ 60 s) is not Ready. 7200 is twice the longest usual deploy."""
    retention_days: Annotated[int, Field(ge=0, le=3650)] = 30
    """Days for which an ended item is kept; one that an item under way or waiting depends on, or whose deploy is being
    watched, is kept longer. 0: for ever. 30 covers a month's questions and keeps the store small."""

    allowed_hosts: Annotated[tuple[str, ...], BeforeValidator(_split), AfterValidator(_hosts)] = ()
    """Hosts of forges, trackers and probes that may be talked to: `host`, `host:port` or `*`, separated by commas.
    Link-local and metadata addresses never are. Empty: none, because whoever writes a Repository would choose."""
    namespaces: Annotated[tuple[Namespace, ...], BeforeValidator(_split)] = ()
    """Namespaces that are served, separated by commas. Empty: all."""
    events_enabled: bool = True
    """Whether Kubernetes Events are recorded. Off: status, logs and metrics alone tell what happened, and each step
    costs the API server one write less."""
    http_address: Annotated[Address, BeforeValidator(_address)] = Address("", 8080)
    """Where `/queue`, `/metrics`, `/healthz` and `/readyz` are, as `host:port`; without a host on all interfaces, for
    the kubelet and Prometheus come from outside the pod."""

    ingress_public_url: Annotated[str, Field(max_length=2048), AfterValidator(_public_url)] = ""
    """Address under which forge and tracker reach the ingress; webhooks are registered there. Empty: registrations
    are only checked."""
    ingress_secret: ObjectName = "conveyor-ingress-secrets"  # noqa: S105 - a name
    """Name of the Secret that holds all webhook secrets for the ingress, in the operator's namespace. The ingress
    mounts the same one."""
    agent_tools_image: Annotated[str, Field(min_length=1, max_length=512, pattern=r"^\S+$")] = "conveyor"
    """Image of the trusted steps around an agent, `clone` and `publish`. The default is found only by a
    node that has an image of that name: name the one that you pushed."""
    default_agents_file: Annotated[DefaultAgents | None, BeforeValidator(_agents), BeforeValidator(_unset_if_empty)] = (
        None
    )
    """File with the agents of the roles that a Repository does not name: a YAML or JSON list with the schema of
    `agents`, read at start. Unset: each Repository names its own."""

    kubeconfig: Annotated[FilePath | None, BeforeValidator(_unset_if_empty)] = None
    """Kubeconfig by which the API server is reached; its current context counts. Unset: the pod's service account. No
    other place is looked at, so that no cluster is met by accident."""
    pod_namespace: Annotated[Namespace | None, BeforeValidator(_unset_if_empty)] = None
    """The operator's own namespace, also read from `POD_NAMESPACE`. Unset: the service account's, else the first of
    `CONVEYOR_NAMESPACES`, else `default`."""
    pod_uid: Annotated[str, Field(max_length=64, pattern=r"^[-0-9A-Za-z]*$")] = ""
    """Uid of the operator's pod, also read from `POD_UID`: with the pod's name its identity as the owner of work, by
    which others tell that it is gone. Empty outside a pod."""
    pod_name: Annotated[str, Field(max_length=63, pattern=r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$")] = ""
    """Name of the operator's pod, also read from `POD_NAME`. Without it or the uid, processes of one host tell each
    other by their number."""

    def allowed_hosts_value(self) -> AllowedHosts:
        return AllowedHosts(self.allowed_hosts)

    def own_namespace(self, *, mounted: Path = SERVICE_ACCOUNT_NAMESPACE) -> str:
        """Where the ingress's Secret and the heartbeat Lease are."""
        if self.pod_namespace is not None:
            return self.pod_namespace
        try:
            found = mounted.read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            found = ""
        return found or next(iter(self.namespaces), "default")


FROM_THE_POD = ("pod_namespace", "pod_uid", "pod_name")
"""Also read without the prefix: the names that pod specs commonly use for the downward API."""


def variable(field: str) -> str:
    return f"{PREFIX}{field.upper()}"


def load(environ: Mapping[str, str]) -> Settings:
    """Raises SettingsError. Other variables are ignored: Kubernetes adds some for each Service, ours included."""
    given = {name: environ[name.upper()] for name in FROM_THE_POD if name.upper() in environ}
    given |= {name: environ[variable(name)] for name in Settings.model_fields if variable(name) in environ}
    try:
        return Settings.model_validate({name: value.strip() for name, value in given.items()})
    except ValidationError as error:
        wrong = error.errors(include_input=False, include_url=False)
        texts = (f"{variable(str(one['loc'][0]))}: {one['msg'].removeprefix('Value error, ')}" for one in wrong)
        raise SettingsError("; ".join(texts)) from None


def engine_settings(settings: Settings, *, holder: str) -> EngineSettings:
    """What the engine reads of them. `holder` says who we are, unique per process."""
    agents = settings.default_agents_file
    return EngineSettings(
        holder=holder,
        tools_image=settings.agent_tools_image,
        max_concurrent_runs=settings.max_concurrent_runs,
        reconcile_interval_seconds=settings.reconcile_interval_seconds,
        transition_lease=settings.transition_lease_enabled,
        transition_lease_repositories=settings.transition_lease_repositories,
        transition_lease_seconds=settings.transition_lease_seconds,
        reaper_max_running_seconds=settings.reaper_max_running_seconds,
        serial_gate=settings.serial_gate_enabled,
        serial_gate_repositories=settings.serial_gate_repositories,
        freeze=settings.freeze_enabled,
        dependencies=settings.dependencies_enabled,
        premerge_rebase=settings.premerge_rebase_always,
        dependencies_source=settings.dependencies_source,
        retention_days=settings.retention_days,
        events=settings.events_enabled,
        ingress_secret=settings.ingress_secret,
        default_agents=agents.by_role if agents is not None else {},
    )
