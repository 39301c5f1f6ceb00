"""What an operator behind proxies is given: its kubeconfig, and the spec of a Repository."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from conveyor.api.stages import Role
from tests.faults.project import CI_CONTEXT, Accounts, Project

Object = dict[str, Any]
HEALTHY = "http://healthy"
"""In a spec: an address that answers 200."""
FORGE, AGENTS = "forge", "forge-agents"  # names of Secrets


def write_kubeconfig(path: Path, url: str) -> Path:
    """For a proxy at that address, which has credentials of its own."""
    named = {"cluster": {"server": url}, "user": {"token": "of no meaning to the proxy"}}
    content: Object = {"apiVersion": "v1", "kind": "Config", "current-context": "proxy"}
    content |= {"contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "proxy"}}]}
    content |= {f"{kind}s": [{"name": "proxy", kind: value}] for kind, value in named.items()}
    path.write_text(yaml.safe_dump(content))
    return path


def repository_spec(
    accounts: Accounts, project: Project, more: Mapping[str, Any], *, forge: str, healthy: str
) -> Object:
    """Of this project behind the proxy `forge`; `healthy` is put where `more` has HEALTHY."""
    place = {"url": forge, "owner": accounts.owner, "name": project.repository.name}
    ci = {"contexts": [CI_CONTEXT], "creators": [accounts.users["ci-bot"].name]}
    spec: Object = {
        "forge": place | {"credentialsSecretRef": {"name": FORGE}},
        "agents": [{"role": role.value, "image": "agent:1"} for role in Role],
        "agentCredentialsSecretRef": {"name": AGENTS},
        "gates": {"ci": ci} | more.get("gates", {}),
    }
    text = json.dumps({key: value for key, value in more.items() if key != "gates"})
    rest: Object = json.loads(text.replace(HEALTHY, healthy))
    return spec | rest
