"""The product's CRDs, put into a cluster and waited for."""

import time
from pathlib import Path

import yaml

from tests.cluster.api import Kube

DIRECTORY = Path(__file__).parents[2] / "crds"


class NoCrdsError(Exception):
    """The files are not there, or the API server did not take them in time."""


def install(kube: Kube, directory: Path = DIRECTORY) -> None:
    """Apply every CRD of `directory` and return when they are served."""
    files = sorted(directory.glob("*.yaml"))
    if not files:
        raise NoCrdsError(f"there are no CRDs in {directory}; make them with scripts/generate")
    for crd in (document for file in files for document in yaml.safe_load_all(file.read_text()) if document):
        path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{crd['metadata']['name']}"
        kube.apply(path, crd)
        _wait(kube, path)


def _wait(kube: Kube, path: str, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while True:
        conditions = kube.get(path).get("status", {}).get("conditions") or []  # null at first
        if any(condition["type"] == "Established" and condition["status"] == "True" for condition in conditions):
            return
        if time.monotonic() > end:
            raise NoCrdsError(f"{path} was not established in {seconds:.0f} s: {conditions}")
        time.sleep(0.05)
