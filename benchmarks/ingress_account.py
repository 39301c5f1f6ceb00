"""The ingress's account on a control plane, with the Role and the policy that are shipped."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from conveyor.api.annotations import GROUP, VERSION
from tests.cluster.api import ApiError, Kube
from tests.cluster.control_plane import ControlPlane

DEPLOY = Path(__file__).parents[1] / "deploy" / "ingress"
SYSTEM, ACCOUNT = "conveyor-system", "conveyor-ingress"
IN_FORCE_SECONDS = 30.0


def install(plane: ControlPlane, namespaces: Sequence[str], *, probe: str) -> Path:
    """Gives a kubeconfig with the token in a file, as a pod has it. Returns when rights and policy are in force.

    `probe` names a Repository in the last of the namespaces.
    """
    (account, role, binding), policies = _manifests("access.yaml"), _manifests("admission-policy.yaml")
    admission = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolic"
    with Kube(plane.kubeconfig) as kube:
        kube.post("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM}})
        kube.post(f"/api/v1/namespaces/{SYSTEM}/serviceaccounts", account)
        for namespace in namespaces:
            rights = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
            kube.post(f"{rights}/roles", role)
            kube.post(f"{rights}/rolebindings", binding)
        for body, plural in zip(policies, ("ies", "ybindings"), strict=True):
            kube.post(f"{admission}{plural}", body)
    kubeconfig = plane.service_account_kubeconfig(SYSTEM, ACCOUNT)
    _wait_until_in_force(kubeconfig, f"/apis/{GROUP}/{VERSION}/namespaces/{namespaces[-1]}/repositories/{probe}")
    return _with_token_file(kubeconfig)


def _manifests(file: str) -> list[dict[str, Any]]:
    return [document for document in yaml.safe_load_all((DEPLOY / file).read_text()) if document]


def _wait_until_in_force(kubeconfig: Path, repository: str) -> None:
    """The Role lets it read, and the policy does not let it set a label, which the Role would."""
    end = time.monotonic() + IN_FORCE_SECONDS
    with Kube(kubeconfig) as kube:
        while not (_is_allowed(kube, repository) and _is_limited(kube, repository)):
            if time.monotonic() > end:
                raise TimeoutError("the ingress's Role and policy are not in force")
            time.sleep(0.2)


def _is_allowed(kube: Kube, repository: str) -> bool:
    try:
        kube.get(repository)
    except ApiError as error:
        if error.code != 403:
            raise
        return False
    return True


def _is_limited(kube: Kube, repository: str) -> bool:
    try:
        kube.patch(repository, {"metadata": {"labels": {"of": "nobody"}}}, dryRun="All")
    except ApiError as error:
        if error.code != 403:
            raise
        return True
    return False


def _with_token_file(kubeconfig: Path) -> Path:
    content = yaml.safe_load(kubeconfig.read_text())
    token = kubeconfig.with_name("ingress-token")
    token.touch(mode=0o600)
    for user in content["users"]:
        token.write_text(user["user"].pop("token"))
        user["user"]["tokenFile"] = str(token)
    kubeconfig.write_text(yaml.safe_dump(content))
    return kubeconfig
