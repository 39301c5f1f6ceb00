"""How the API server is found: a named kubeconfig or the pod's service account, and never by itself."""

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml

from conveyor_ingress import cluster_access
from conveyor_ingress.cluster_access import NoAccess


def kubeconfig(path: Path, user: dict[str, Any], **cluster: Any) -> Path:
    content = {
        "current-context": "b",
        "contexts": [{"name": "b", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://api.example.test:6443/"} | cluster}],
        "users": [{"name": "u", "user": user}],
    }
    path.write_text(yaml.safe_dump(content))
    return path


def test_kubeconfig_gives_server_and_token(tmp_path: Path) -> None:
    access = cluster_access.find(kubeconfig(tmp_path / "config", {"token": "t"}), {})
    assert (access.server, access.token()) == ("https://api.example.test:6443", "t")


def test_token_file_is_read_anew(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("first\n")
    access = cluster_access.from_kubeconfig(kubeconfig(tmp_path / "config", {"tokenFile": "token"}))
    (tmp_path / "token").write_text("second\n")
    assert access.token() == "second"


@pytest.mark.parametrize(
    "user", [{}, {"exec": {"command": "login"}}, {"token": ""}, {"tokenFile": "absent"}, "user"], ids=str
)
def test_kubeconfig_without_a_usable_login_is_refused(tmp_path: Path, user: Any) -> None:
    with pytest.raises(NoAccess):
        cluster_access.from_kubeconfig(kubeconfig(tmp_path / "config", user))


@pytest.mark.parametrize("content", ["", "[", "current-context: x", "- 1"])
def test_file_that_is_no_kubeconfig_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "config"
    path.write_text(content)
    with pytest.raises(NoAccess, match="not a usable kubeconfig"):
        cluster_access.from_kubeconfig(path)


def test_broken_certificate_is_refused_without_being_quoted(tmp_path: Path) -> None:
    certificate = base64.b64encode(b"hunter2").decode()
    path = kubeconfig(tmp_path / "config", {"token": "t"}, **{"certificate-authority-data": certificate})
    with pytest.raises(NoAccess) as error:
        cluster_access.from_kubeconfig(path)
    assert "hunter2" not in str(error.value)


def test_neither_pod_nor_kubeconfig_is_refused_with_both_names() -> None:
    with pytest.raises(NoAccess, match=r"KUBERNETES_SERVICE_HOST.*CONVEYOR_KUBECONFIG"):
        cluster_access.find(None, {"KUBECONFIG": "/somewhere/config"})


def test_service_account_that_is_not_mounted_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NoAccess, match="service account"):
        cluster_access.in_cluster("10.0.0.1", "443", directory=tmp_path)


def test_token_is_not_shown(tmp_path: Path) -> None:
    assert "hunter2" not in repr(cluster_access.find(kubeconfig(tmp_path / "config", {"token": "hunter2"}), {}))
