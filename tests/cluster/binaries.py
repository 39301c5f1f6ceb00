"""Servers built from Go modules: once per `go.mod`, into a cache outside the checkout."""

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Say = Callable[[str], None]
MODULES = Path(__file__).parent / "mods"
KUBERNETES_VERSION = "v1.34.4"  # what mods/k8s/go.mod requires
_VERSION_PACKAGE = "k8s.io/component-base/version"
_KUBERNETES_FLAGS = (
    f"-s -w -X {_VERSION_PACKAGE}.gitVersion={KUBERNETES_VERSION}"
    f" -X {_VERSION_PACKAGE}.gitMajor=1 -X {_VERSION_PACKAGE}.gitMinor=34"
)
NO_GO = """\
The tests need a Kubernetes API server and found neither one that was built before nor Go to build it with. The choices:
  - install Go; the servers are then built once from their modules, which takes some minutes;
  - give a cluster that was made for tests: --kubeconfig PATH, or CONVEYOR_TEST_KUBECONFIG=PATH;
  - have a container engine and kind on PATH, and give --kind."""


class CannotBuildError(Exception):
    """A binary is missing and cannot be built here; the message says what can be done."""


@dataclass(frozen=True)
class Tool:
    """How one binary is built: the module under `mods/` that pins it, and the flags."""

    name: str
    module: Literal["k8s", "etcd", "gitea"]
    package: str
    ldflags: str
    tags: str = ""
    cgo: bool = False


TOOLS = {
    tool.name: tool
    for tool in (
        Tool("kube-apiserver", "k8s", "k8s.io/kubernetes/cmd/kube-apiserver", _KUBERNETES_FLAGS),
        Tool("kube-controller-manager", "k8s", "k8s.io/kubernetes/cmd/kube-controller-manager", _KUBERNETES_FLAGS),
        Tool("kubectl", "k8s", "k8s.io/kubernetes/cmd/kubectl", _KUBERNETES_FLAGS),
        Tool("etcd", "etcd", "go.etcd.io/etcd/server/v3", "-s -w"),
        Tool(
            "gitea",
            "gitea",
            "code.gitea.io/gitea",
            "-s -w -X main.Version=1.26.1",
            tags="sqlite sqlite_unlock_notify",
            cgo=True,
        ),
    )
}
CONTROL_PLANE = ("etcd", "kube-apiserver", "kube-controller-manager", "kubectl")


def cache_root() -> Path:
    """`CONVEYOR_CACHE`, else `conveyor` in the user's cache directory."""
    given = os.environ.get("CONVEYOR_CACHE")
    if given:
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "conveyor"


def module_directory(module: str) -> Path:
    """Where the binaries of one module are kept; another `go.mod` is another directory."""
    digest = hashlib.sha256((MODULES / module / "go.mod").read_bytes()).hexdigest()
    return cache_root() / "bin" / f"{module}-{digest[:16]}"


def binary(name: str) -> Path:
    return module_directory(TOOLS[name].module) / name


def ensure(names: Sequence[str], say: Say = print) -> dict[str, Path]:
    """Build what is missing, with a line of progress for each, and return the path of every one.

    Raises CannotBuildError when Go (or a C compiler, for Gitea) is needed and absent, or a build fails.
    """
    missing = [name for name in names if not binary(name).exists()]
    for number, name in enumerate(missing, 1):
        with _locked(binary(name).parent):
            if not binary(name).exists():  # another run may have built it while we waited
                _build(TOOLS[name], f"{number} of {len(missing)}", say)
    return {name: binary(name) for name in names}


def gitea_static_root(say: Say = print) -> Path:
    """Gitea's templates, locales and public files, copied from its module so that the cache stands by itself."""
    ensure(["gitea"], say)
    kept = module_directory("gitea") / "static"
    with _locked(kept.parent):
        if not kept.exists():
            source = Path(_go("gitea", "list", "-m", "-f", "{{.Dir}}", "code.gitea.io/gitea").strip())
            with _written_whole(kept) as partial:
                for part in ("templates", "options", "public"):
                    shutil.copytree(source / part, partial / part, copy_function=shutil.copyfile)
                for path in partial.rglob("*"):  # the module cache is read-only, a copy of ours need not be
                    path.chmod(0o755 if path.is_dir() else 0o644)
    return kept


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[None]:
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _written_whole(target: Path) -> Iterator[Path]:
    """A name beside `target` that takes its place only when the block ends well."""
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        yield partial
        partial.rename(target)
    finally:
        if partial.is_dir():
            shutil.rmtree(partial)
        partial.unlink(missing_ok=True)


def _build(tool: Tool, count: str, say: Say) -> None:
    if tool.cgo and shutil.which(os.environ.get("CC", "gcc")) is None:
        raise CannotBuildError(f"{tool.name} needs a C compiler (gcc, or another named by CC) to be built")
    say(f"building {tool.name} from Go modules ({count}, some minutes the first time)")
    began = time.monotonic()
    with _written_whole(binary(tool.name)) as partial, _ticking(tool.name, say):
        _go(
            tool.module,
            *("build", "-mod=readonly", "-ldflags", tool.ldflags, "-tags", tool.tags, "-o", str(partial), tool.package),
            cgo=tool.cgo,
        )
    say(f"built {tool.name} in {time.monotonic() - began:.0f} s")


def _go(module: str, *arguments: str, cgo: bool = False) -> str:
    if shutil.which("go") is None:
        raise CannotBuildError(NO_GO)
    environment = {**os.environ, "CGO_ENABLED": "1" if cgo else "0"}
    done = subprocess.run(
        ["go", *arguments], cwd=MODULES / module, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise CannotBuildError(f"go {arguments[0]} failed in {MODULES / module}:\n{done.stderr[-4000:]}")
    return done.stdout


@contextlib.contextmanager
def _ticking(name: str, say: Say, seconds: float = 30) -> Iterator[None]:
    """Say every half minute that the build is still going on."""
    done = threading.Event()
    began = time.monotonic()

    def tick() -> None:
        while not done.wait(seconds):
            say(f"  still building {name}: {time.monotonic() - began:.0f} s")

    thread = threading.Thread(target=tick, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
