"""A Secret as a kubelet shows it: the ingress reads the directory, and a reader never sees half a change."""

from pathlib import Path

from conveyor_ingress.secrets import Secrets
from examples.demo.mounted_secret import swap


def test_files_hold_what_the_secret_holds(tmp_path: Path) -> None:
    swap(tmp_path, {"a": b"1"}, 0)
    assert (tmp_path / "a").read_bytes() == b"1"


def test_new_content_replaces_the_old(tmp_path: Path) -> None:
    swap(tmp_path, {"a": b"1"}, 0)
    swap(tmp_path, {"a": b"2"}, 1)
    assert (tmp_path / "a").read_bytes() == b"2"


def test_file_of_a_removed_key_goes(tmp_path: Path) -> None:
    swap(tmp_path, {"a": b"1", "b": b"1"}, 0)
    swap(tmp_path, {"b": b"1"}, 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["..1", "..data", "b"]


def test_ingress_sees_the_change(tmp_path: Path) -> None:
    times = iter([0.0, 10.0])
    secrets = Secrets(tmp_path, monotonic=lambda: next(times))
    swap(tmp_path, {"gitea.demo.shop": b'{"current": "old"}'}, 0)
    assert secrets.gitea("demo", "shop")[0].secrets == (b"old",)
    swap(tmp_path, {"gitea.demo.shop": b'{"current": "new", "previous": "old"}'}, 1)
    assert secrets.gitea("demo", "shop")[0].secrets == (b"new", b"old")
