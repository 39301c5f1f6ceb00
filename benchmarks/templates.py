"""Specs and statuses as text in which only the item's number and the Repository's name have to be replaced."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime

from benchmarks import naming
from benchmarks.outside import InventedForge, InventedTracker, Outside
from conveyor.api.objects import API_VERSION, Metadata, Repository
from conveyor.api.repository import RepositorySpec
from conveyor.api.stages import Role
from conveyor.cluster.protocol import JSONObject
from conveyor.engine.observe import state_map
from conveyor.pipeline.readiness import Checks, judged

START = datetime(2026, 3, 2, 9, 0, 0, tzinfo=UTC)
UID = "00000000-0000-0000-0000-000000000000"
"""Stands for the uid that the API server will give."""


@dataclass(frozen=True)
class Template:
    """Spec and status of one kind of object, with the template's number and repository in them."""

    spec: JSONObject
    status: JSONObject

    def manifest(self, kind: str, name: str, *, namespace: str, number: int, lane: str) -> JSONObject:
        text = json.dumps({"spec": self.spec, "status": self.status})
        text = text.replace(str(naming.TEMPLATE_NUMBER), str(number)).replace(naming.TEMPLATE_LANE, lane)
        replaced: JSONObject = json.loads(text)
        return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name, "namespace": namespace}} | replaced


def metadata(name: str) -> Metadata:
    return Metadata(name=name, namespace="default", uid=UID, resource_version="1", creation_timestamp=START)


def repository(spec: JSONObject) -> Repository:
    return Repository(metadata=metadata(naming.TEMPLATE_LANE), spec=RepositorySpec.model_validate(spec))


def repository_spec(*, serial: bool, tickets: bool, person: bool) -> JSONObject:
    """`person`: a person approves the analysis, as by default; else nobody has to."""
    secret = {"name": "forge"}
    spec: JSONObject = {
        "forge": {
            "url": "https://git.example",
            "owner": "shop",
            "name": naming.TEMPLATE_LANE,
            "credentialsSecretRef": secret,
        },
        "agents": [{"role": role.value, "image": f"registry.example/agents/{role.value}:1"} for role in Role],
        "agentCredentialsSecretRef": {"name": "agents"},
        "gates": {
            "ci": {"contexts": ["ci/tests"]},
            "approval": {"analysis": "Person" if person else "Auto", "deploy": "Auto"},
        },
        "serialGate": {"mode": "Enabled" if serial else "Disabled"},
    }
    if tickets:
        spec["tracker"] = {
            "url": "https://plane.example",
            "workspace": "shop",
            "projectID": f"project-{naming.TEMPLATE_LANE}",
            "identifier": "SHOP",
            "credentialsSecretRef": secret,
        }
    return spec


async def ready_repository(spec: JSONObject, namespace: str) -> Template:
    """A Repository that was found Ready."""
    forge = InventedForge(Outside(namespace), repository=naming.TEMPLATE_LANE, login=naming.OPERATOR)
    tracker = InventedTracker(Outside(namespace), identifier="SHOP") if "tracker" in spec else None
    whole = repository(spec)
    checks = Checks(
        settings=await forge.settings(default_branch="main"),
        hooks=await forge.hooks(),
        identifier=await tracker.identifier() if tracker is not None else None,
        states=await state_map(tracker, whole) if tracker is not None else None,
        agents=frozenset(Role),
        hook_path=f"/webhooks/gitea/{namespace}/{naming.TEMPLATE_LANE}",
    )
    return Template(spec, judged(whole, checks, now=START).dump())


def item_spec(*, ticket: bool) -> JSONObject:
    number = naming.TEMPLATE_NUMBER
    spec: JSONObject = {"repositoryRef": {"name": naming.TEMPLATE_LANE}}
    if not ticket:
        return spec | {
            "title": naming.TITLE,
            "description": "An invoice is sent by e-mail and may be paid within 30 days.",
        }
    spec["source"] = {
        "tracker": "Plane",
        "projectID": f"project-{naming.TEMPLATE_LANE}",
        "issueID": naming.issue(number),
        "key": naming.key(number),
        "url": f"https://plane.example/{naming.key(number)}",
    }
    return spec
