"""The directory of secrets: when it is read, what it gives, and what it never shows."""

import json
import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from conveyor_ingress.secrets import CHECK_SECONDS, Secrets, Unconfigured


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now

    def pass_time(self) -> None:
        self.now += CHECK_SECONDS


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def secrets(tmp_path: Path, clock: Clock) -> Secrets:
    return Secrets(tmp_path, monotonic=clock)


def write(directory: Path, name: str, **content: str | None) -> None:
    (directory / name).write_text(json.dumps(content))


def mount(directory: Path, version: str, files: dict[str, dict[str, str]]) -> None:
    """Replaces all files at once as a kubelet does: a new directory, and a link that is swapped."""
    data = directory / f"..{version}"
    data.mkdir()
    for name, content in files.items():
        write(data, name, **content)
        link = directory / name
        if not link.is_symlink():
            link.symlink_to(Path("..data") / name)
    new = directory / "..data_tmp"
    new.symlink_to(data.name)
    new.replace(directory / "..data")


def test_gitea_file_speaks_for_the_repository_of_its_name(secrets: Secrets, tmp_path: Path) -> None:
    write(tmp_path, "gitea.team-a.shop.v2", current="a", previous="b")
    (found,) = secrets.gitea("team-a", "shop.v2")
    assert (found.repository, found.secrets) == ("shop.v2", (b"a", b"b"))


def test_plane_files_speak_for_the_repositories_they_name(secrets: Secrets, tmp_path: Path) -> None:
    write(tmp_path, "plane.team-a.p1", current="a", repository="shop")
    write(tmp_path, "plane.team-a.p2", current="a", repository="api", webhookID="w", workspaceID="x")
    write(tmp_path, "plane.team-b.p3", current="b", repository="other")
    found = {entry.project_id: entry for entry in secrets.plane("team-a")}
    assert {key: entry.repository for key, entry in found.items()} == {"p1": "shop", "p2": "api"}
    assert (found["p2"].webhook_id, found["p2"].workspace_id) == ("w", "x")


def test_plane_file_without_repository_is_unusable(secrets: Secrets, tmp_path: Path) -> None:
    write(tmp_path, "plane.team-a.p1", current="a")
    with pytest.raises(Unconfigured):
        secrets.plane("team-a")


def test_plane_path_with_one_usable_project_is_configured(secrets: Secrets, tmp_path: Path) -> None:
    write(tmp_path, "plane.team-a.p1", current="", repository="shop")
    write(tmp_path, "plane.team-a.p2", current="b", repository="api")
    assert [entry.repository for entry in secrets.plane("team-a")] == ["api"]


@pytest.mark.parametrize("name", ["gitea", "gitea.team-a", "gitea..shop", "other.team-a.shop", "gitea.team-a."])
def test_file_of_another_name_is_left_alone(secrets: Secrets, tmp_path: Path, name: str) -> None:
    write(tmp_path, name, current="a")
    with pytest.raises(Unconfigured):
        secrets.gitea("team-a", "shop")
    assert secrets.readable


def test_change_is_seen_at_the_next_look(secrets: Secrets, tmp_path: Path, clock: Clock) -> None:
    write(tmp_path, "gitea.team-a.shop", current="a")
    secrets.gitea("team-a", "shop")
    write(tmp_path, "gitea.team-a.shop", current="the new one")
    assert secrets.gitea("team-a", "shop")[0].secrets == (b"a",)
    clock.pass_time()
    assert secrets.gitea("team-a", "shop")[0].secrets == (b"the new one",)


def test_mounted_secret_replaced_by_the_kubelet_is_seen(secrets: Secrets, tmp_path: Path, clock: Clock) -> None:
    mount(tmp_path, "1", {"gitea.team-a.shop": {"current": "a"}})
    assert secrets.gitea("team-a", "shop")[0].secrets == (b"a",)
    mount(tmp_path, "2", {"gitea.team-a.shop": {"current": "b"}})
    clock.pass_time()
    assert secrets.gitea("team-a", "shop")[0].secrets == (b"b",)


def test_key_that_left_the_mounted_secret_is_unconfigured(secrets: Secrets, tmp_path: Path, clock: Clock) -> None:
    mount(tmp_path, "1", {"gitea.team-a.shop": {"current": "a"}, "gitea.team-a.api": {"current": "b"}})
    secrets.gitea("team-a", "api")
    mount(tmp_path, "2", {"gitea.team-a.shop": {"current": "a"}})  # the kubelet removes the dangling link a bit later
    clock.pass_time()
    with pytest.raises(Unconfigured):
        secrets.gitea("team-a", "api")
    assert secrets.gitea("team-a", "shop")


def test_unreadable_directory_has_no_secrets_and_says_so_once(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    secrets = Secrets(tmp_path / "absent", monotonic=clock)
    for _ in range(3):
        with pytest.raises(Unconfigured):
            secrets.gitea("team-a", "shop")
        clock.pass_time()
    assert not secrets.readable
    assert [record.message for record in caplog.records] == ["webhook secrets cannot be read"]


def test_directory_that_comes_back_is_read(secrets: Secrets, tmp_path: Path, clock: Clock) -> None:
    write(tmp_path, "gitea.team-a.shop", current="a")
    secrets.gitea("team-a", "shop")
    away = tmp_path.rename(tmp_path.with_name("away"))
    clock.pass_time()
    secrets.refresh()
    assert not secrets.readable
    away.rename(tmp_path)
    clock.pass_time()
    assert secrets.gitea("team-a", "shop")


def test_file_that_is_a_directory_spoils_only_its_path(secrets: Secrets, tmp_path: Path) -> None:
    (tmp_path / "gitea.team-a.shop").mkdir()
    write(tmp_path, "gitea.team-a.api", current="a")
    with pytest.raises(Unconfigured):
        secrets.gitea("team-a", "shop")
    assert secrets.gitea("team-a", "api")


@pytest.mark.parametrize("show", [repr, str])
def test_secret_is_shown_nowhere(
    secrets: Secrets, tmp_path: Path, caplog: pytest.LogCaptureFixture, show: Callable[[object], str]
) -> None:
    caplog.set_level(logging.DEBUG)
    write(tmp_path, "gitea.team-a.shop", current="hunter2")
    (tmp_path / "gitea.team-a.api").write_text('{"current": ["hunter2"]}')
    found = secrets.gitea("team-a", "shop")
    shown = [show(found)] + [f"{record.getMessage()} {vars(record)}" for record in caplog.records]
    assert "hunter2" not in "".join(shown)
    assert caplog.records
