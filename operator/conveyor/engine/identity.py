"""Who holds a Lease or an intent, and whether that process is provably gone.

    <pod uid>/<namespace>.<pod>/<nonce>[/<acquisition>]               in a pod
    host:<host>.<boot>/<pid>.<start>/<nonce>[/<acquisition>]          elsewhere

A pod's uid is no process: a container restarts in its pod, hence the nonce. A wrong verdict costs work that is done
twice and no second effect, for those are made safe elsewhere; yet nobody is called dead but by proof:

| what is seen | verdict |
|---|---|
| this very process | alive (whether the acquisition is still wanted, that process knows) |
| another nonce in this pod | dead: this container has replaced the holder's |
| no pod of that name, or another uid | dead |
| every container of the pod ended, or began, after the acquisition | dead |
| the pod runs, and nobody deletes it | alive |
| the pod is Terminating, has failed without a word of its node, cannot be read | unknown |
| on this host: no such process, a zombie, or a later one under its number | dead |
| on this host: the process is there | alive |
| another host, a holder of unknown form | unknown |
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from conveyor.cluster.pods import ContainerFact, PodFact
from conveyor.cluster.protocol import Cluster, Key
from conveyor.web.errors import OutsideError

HOST = "host:"
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_NOT_RUNNING = frozenset({"Z", "X"})
"""States of a process that has ended and was not waited for yet."""


class Liveness(StrEnum):
    ALIVE = "alive"
    DEAD = "dead"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Holder:
    place: str
    process: str
    nonce: str
    acquisition: str = ""
    """Which of the process's own: it may hold several things, and lose one while it lives."""

    def __str__(self) -> str:
        return "/".join(part for part in (self.place, self.process, self.nonce, self.acquisition) if part)

    def acquiring(self, acquisition: str) -> Holder:
        return replace(self, acquisition=acquisition)

    def is_process(self, other: Holder) -> bool:
        """Whether both are the same process, whatever they acquired."""
        return (self.place, self.process, self.nonce) == (other.place, other.process, other.nonce)

    def pod(self) -> Key | None:
        """The pod it runs in; None: it runs in none."""
        namespace, dot, name = self.process.partition(".")
        return Key(namespace, name) if dot and not self.place.startswith(HOST) else None


def parse(text: str) -> Holder | None:
    """None where nobody of ours wrote it."""
    parts = text.split("/")
    well_formed = len(parts) in (3, 4) and all(parts) and "." in parts[1]
    return Holder(*parts) if well_formed else None


def this_process(*, nonce: str, pod: Key | None = None, pod_uid: str = "") -> Holder:
    """`nonce`: unique per process, without slashes. A pod counts only where both name and uid of it are known."""
    if pod is not None and pod_uid:
        return Holder(pod_uid, f"{pod.namespace}.{pod.name}", nonce)
    return Holder(f"{HOST}{_host()}", f"{os.getpid()}.{process_start(os.getpid()) or 'unknown'}", nonce)


# --- the judgement


def pod_verdict(holder: Holder, pod: PodFact | None, *, acquired: datetime | None) -> Liveness:
    """`acquired`: by the holder's clock, which is its node's, as the pod's times are."""
    if pod is None or pod.uid != holder.place:
        return Liveness.DEAD
    if acquired is not None and pod.containers and all(_replaced(it, acquired) for it in pod.containers):
        return Liveness.DEAD
    runs = any(container.started is not None for container in pod.containers)
    return Liveness.ALIVE if pod.phase == "Running" and runs and not pod.deleting else Liveness.UNKNOWN


def _replaced(container: ContainerFact, acquired: datetime) -> bool:
    return any(time is not None and time > acquired for time in (container.started, container.ended))


def process_verdict(holder: Holder, start: str | None) -> Liveness:
    """`start`: what `process_start` says of the holder's process number."""
    if start is None:
        return Liveness.UNKNOWN
    return Liveness.ALIVE if start and holder.process.partition(".")[2] == start else Liveness.DEAD


async def liveness(cluster: Cluster, text: str, *, me: Holder, acquired: datetime | None) -> Liveness:
    """Of the holder written in a Lease or an intent, read now and from no cache. Raises nothing of the outside."""
    holder = parse(text)
    if holder is None:
        return Liveness.UNKNOWN
    if holder.is_process(me):
        return Liveness.ALIVE
    pod = holder.pod()
    if pod is None:
        return process_verdict(holder, process_start(_pid(holder))) if holder.place == me.place else Liveness.UNKNOWN
    if holder.place == me.place:
        return Liveness.DEAD
    try:
        return pod_verdict(holder, await cluster.pod(pod), acquired=acquired)
    except OutsideError:
        return Liveness.UNKNOWN


# --- this host


def process_start(pid: int) -> str | None:
    """When a process of this host began, in ticks since the boot; "" where there is none; None where unreadable."""
    if pid < 1:  # these numbers address groups
        return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except (OSError, OverflowError):
        pass  # somebody else's process is there all the same; /proc tells
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()  # the name before it may hold anything; proc(5)
    return "" if fields[0] in _NOT_RUNNING else fields[19]


def _pid(holder: Holder) -> int:
    number = holder.process.partition(".")[0]
    return int(number) if number.isdecimal() else 0


def _host() -> str:
    """Two machines can bear one name; a reboot makes another place of one, so that its past is unknown."""
    try:
        boot = BOOT_ID.read_text().strip()[:8]
    except OSError:
        boot = "unknown"
    return f"{socket.gethostname().replace('/', '-')}.{boot}"
