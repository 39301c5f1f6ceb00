"""Nodes played by a test: `ProcessNode` runs pods as local processes, `ScriptedNode` answers for them at once."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

Pod = dict[str, Any]


@dataclass(frozen=True)
class ImageSpec:
    """What an image is on this host: the entrypoint, its environment, and directories put before PATH."""

    argv: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    path: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """A scripted end of `container` (default: the main one), `after` seconds of running."""

    exit_code: int = 0
    message: str = ""
    container: str | None = None
    after: float = 0


Script = Callable[[Pod], Outcome | None]


class ProcessNode:
    def __init__(
        self,
        kubeconfig: Path,
        *,
        images: Mapping[str, ImageSpec] | None = None,
        namespaces: Collection[str] | None = None,
    ) -> None: ...

    async def __aenter__(self) -> Self:
        raise NotImplementedError

    async def __aexit__(self, *_: object) -> None: ...

    def logs(self, namespace: str, pod: str, container: str | None = None) -> str:
        raise NotImplementedError


class ScriptedNode:
    """`script(pod)` names the outcome, or None to leave the pod pending (asked again at its next change)."""

    def __init__(self, kubeconfig: Path, script: Script, *, namespaces: Collection[str] | None = None) -> None: ...

    async def __aenter__(self) -> Self:
        raise NotImplementedError

    async def __aexit__(self, *_: object) -> None: ...
