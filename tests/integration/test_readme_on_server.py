"""What the README shows is taken by a real API server, which refuses fields that it does not know."""

from typing import Any

import pytest

from tests import pages
from tests.cluster.api import ApiError, Kube

PLURALS = {"Repository": "repositories", "Secret": "secrets", "WorkItem": "workitems"}
SHOWN = pages.objects("README.md")


def create(kube: Kube, namespace: str, shown: dict[str, Any]) -> None:
    version = shown["apiVersion"]
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    path = f"{root}/namespaces/{namespace}/{PLURALS[shown['kind']]}"
    kube.post(path, shown, dryRun="All", fieldValidation="Strict")


@pytest.mark.parametrize("shown", SHOWN, ids=[f"{one['kind']} {one['metadata']['name']}" for one in SHOWN])
def test_object_of_the_readme_is_taken(kube: Kube, crds: None, namespace: str, shown: dict[str, Any]) -> None:
    create(kube, namespace, shown)


def test_object_with_an_unknown_field_is_refused(kube: Kube, crds: None, namespace: str) -> None:
    shown = SHOWN[-1] | {"spec": SHOWN[-1]["spec"] | {"dependOn": []}}
    with pytest.raises(ApiError, match="dependOn"):
        create(kube, namespace, shown)
