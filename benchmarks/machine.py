"""What a figure depends on beside the code: machine, versions, and what else was going on. Linux only."""

from __future__ import annotations

import os
import platform
from collections.abc import Collection
from importlib.metadata import version
from pathlib import Path

from tests.cluster.binaries import KUBERNETES_VERSION

TICKS = os.sysconf("SC_CLK_TCK")
PACKAGES = ("kubernetes", "aiohttp", "pydantic")


def description() -> dict[str, str]:
    models = (line for line in _lines("/proc/cpuinfo") if line.startswith("model name"))
    cpu = next(models, "").partition(":")[2].strip() or platform.machine()
    memory = int(next(line.split()[1] for line in _lines("/proc/meminfo") if line.startswith("MemTotal"))) / 2**20
    cores = len(os.sched_getaffinity(0))
    system = f"{platform.system()} {platform.release()}"
    return {
        "machine": f"{cpu}, {cores} cores, {memory:.1f} GiB, {system}",
        "versions": ", ".join(
            [
                f"Python {platform.python_version()}",
                f"kube-apiserver {KUBERNETES_VERSION.removeprefix('v')}",
                *(f"{package} {version(package)}" for package in PACKAGES),
            ]
        ),
    }


def load() -> tuple[float, ...]:
    """Load averages over 1, 5 and 15 minutes: the benchmark's own load is in them."""
    return tuple(round(value, 2) for value in os.getloadavg())


def cpu_seconds(pid: int | str, *, children: bool = False) -> float:
    """Processor time of a process and its threads so far; `children`: and of the processes that it has seen end."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(field) for field in fields[11 : 15 if children else 13]) / TICKS


def busy_seconds() -> float:
    """Processor time of everything that runs on this machine so far: user, nice, system, interrupts and stolen time."""
    fields = [int(field) for field in _lines("/proc/stat")[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / TICKS


def memory_mib(pid: int | str = "self") -> tuple[float, float]:
    """Resident memory now and at its highest, in MiB."""
    found = dict(line.split(":", 1) for line in _lines(f"/proc/{pid}/status") if ":" in line)
    return tuple(int(found[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))  # type: ignore[return-value]


def servers(directory: Path, names: Collection[str] = ("etcd", "kube-apiserver")) -> dict[str, int]:
    """The pids of those programs whose files are in this directory, by name."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        name = Path(words[0]).name
        if name in names and any(str(directory) in word for word in words[1:]):
            found[name] = int(path.parent.name)
    return found


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()
