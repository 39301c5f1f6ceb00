"""What a platform engineer applies: the Repositories of `examples/manifests`, and the Secrets they name."""

import secrets
import string
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from examples.demo.forge import Forge
from examples.demo.tickets import NAMESPACE, PROJECTS
from tests.cluster.api import Kube, Object
from tests.cluster.gitea import Gitea
from tests.fakes.plane import FakePlane

MANIFESTS = Path(__file__).parents[1] / "manifests"
SYSTEM = "conveyor-system"
"""Where the operator lives."""


@dataclass(frozen=True)
class Accounts:
    """Where the Repositories' servers are, and who may do what there."""

    gitea: Gitea
    forge: Forge
    tracker: FakePlane


def hook_secrets() -> dict[str, str]:
    """A webhook secret for each repository."""
    return {project.repository: secrets.token_urlsafe(24) for project in PROJECTS}


def apply_namespaces(kube: Kube) -> None:
    for name in (NAMESPACE, SYSTEM):
        body: Object = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        kube.apply(f"/api/v1/namespaces/{name}", body)


def apply_secrets(kube: Kube, accounts: Accounts, *, hooks: Mapping[str, str]) -> None:
    """`hooks` are the webhook secrets by repository, and the tracker's as `plane`."""
    gitea, tracker, agents = accounts.gitea, accounts.tracker, accounts.forge.agents
    made = {
        "gitea": {"url": gitea.url, "token": accounts.forge.users["conveyor"].token},
        "gitea-agents": {"url": gitea.url} | {role: user.token for role, user in agents.items()},
        "plane": {"url": tracker.url, "token": tracker.api_key},
    } | {f"webhook-{name}": {"secret": secret} for name, secret in hooks.items()}
    for name, values in made.items():
        metadata = {"name": name, "namespace": NAMESPACE}
        body: Object = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": values}
        kube.apply(f"/api/v1/namespaces/{NAMESPACE}/secrets/{name}", body)


def apply_repositories(kube: Kube, accounts: Accounts, *, projects: Mapping[str, str], site: str) -> None:
    """`projects` is the tracker's id of each repository's project, `site` where production answers."""
    addresses = {"GITEA_URL": accounts.gitea.url, "PLANE_URL": accounts.tracker.url, "SITE_URL": site}
    for project in PROJECTS:
        text = (MANIFESTS / f"{project.repository}.yaml").read_text()
        body = yaml.safe_load(string.Template(text).substitute(addresses, PROJECT_ID=projects[project.repository]))
        body["metadata"]["namespace"] = NAMESPACE
        path = f"/apis/conveyor.dev/v1alpha1/namespaces/{NAMESPACE}/repositories/{project.repository}"
        kube.apply(path, body)
