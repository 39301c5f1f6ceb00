"""The two CustomResourceDefinitions, made from the models."""

from __future__ import annotations

from typing import Any

from conveyor.api import rules
from conveyor.api.annotations import GROUP, VERSION
from conveyor.api.names import MAX_ITEM_NAME, MAX_REPOSITORY_NAME
from conveyor.api.repository import RepositorySpec, RepositoryStatus
from conveyor.api.schema import Schema, structural
from conveyor.api.workitem import WorkItemSpec, WorkItemStatus

GENERATED = f"{GROUP}/generated-by"

CRD = dict[str, Any]


def workitems() -> CRD:
    """The CRD of WorkItem.

    Its spec has no defaults: they would be there before an admission policy looks at what the ingress may set.
    """
    return _crd(
        names={"kind": "WorkItem", "plural": "workitems", "singular": "workitem", "shortNames": ["wi"]},
        schema=_root(
            "A ticket on its way to a verified deployment.",
            spec=structural(WorkItemSpec, defaults=False),
            status=structural(WorkItemStatus, defaults=False),
            max_name=MAX_ITEM_NAME,
        )
        | rules.WORKITEM,
        columns=[
            _column("REPO", ".spec.repositoryRef.name"),
            _column("STAGE", ".status.stage"),
            _column("WAITING", ".status.waiting.reason"),
            _column("ATTEMPT", ".status.activeRun.attempt", of="integer"),
            _column("IN-STAGE", ".status.stageEnteredTime", of="date"),
            _column("AGE", ".metadata.creationTimestamp", of="date"),
            _column("BRANCH", ".status.branch", wide=True),
            _column("PR", ".status.pullRequest.number", of="integer", wide=True),
            _column("RUN", ".status.activeRun.name", wide=True),
            _column("HOLDER", ".status.transition.holder", wide=True),
            _column("MESSAGE", ".status.waiting.message", wide=True),
        ],
        selectable=[".status.stage", ".spec.repositoryRef.name"],
    )


def repositories() -> CRD:
    """The CRD of Repository. Its spec has defaults, so that who reads an object sees the whole policy in force."""
    ready = '.status.conditions[?(@.type=="Ready")]'
    return _crd(
        names={"kind": "Repository", "plural": "repositories", "singular": "repository", "shortNames": ["crepo"]},
        schema=_root(
            "A code repository and how its tickets are carried.",
            spec=structural(RepositorySpec, defaults=True),
            status=structural(RepositoryStatus, defaults=False),
            max_name=MAX_REPOSITORY_NAME,
        ),
        columns=[
            _column("READY", f"{ready}.status"),
            _column("REASON", f"{ready}.reason"),
            _column("FROZEN", ".status.effectiveFreeze.scope"),
            _column("ADMITTED", ".status.activeItem.name"),
            _column("AGE", ".metadata.creationTimestamp", of="date"),
            _column("OWNER", ".spec.forge.owner", wide=True),
            _column("NAME-ON-FORGE", ".spec.forge.name", wide=True),
            _column("PRODUCTION", ".status.production.sha", wide=True),
            _column("COVERAGE", ".status.coverage.percent", of="number", wide=True),
            _column("MESSAGE", f"{ready}.message", wide=True),
        ],
        selectable=[],
    )


def _crd(*, names: CRD, schema: Schema, columns: list[CRD], selectable: list[str]) -> CRD:
    version = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": columns,
        **({"selectableFields": [{"jsonPath": path} for path in selectable]} if selectable else {}),
        "schema": {"openAPIV3Schema": schema},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{names['plural']}.{GROUP}", "annotations": {GENERATED: "scripts/generate"}},
        "spec": {
            "group": GROUP,
            "names": {**names, "listKind": f"{names['kind']}List", "categories": ["conveyor"]},
            "scope": "Namespaced",
            "versions": [version],
        },
    }


def _root(description: str, *, spec: Schema, status: Schema, max_name: int) -> Schema:
    return {
        "type": "object",
        "description": description,
        "required": ["spec"],
        "properties": {
            "metadata": {"type": "object", "properties": {"name": {"type": "string", "maxLength": max_name}}},
            "spec": spec,
            "status": status,
        },
    }


def _column(name: str, path: str, *, of: str = "string", wide: bool = False) -> CRD:
    return {"name": name, "type": of, "jsonPath": path} | ({"priority": 1} if wide else {})
