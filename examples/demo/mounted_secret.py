"""A Secret as files of a directory, kept up to date as a kubelet does it for a mounted one.

The files are links through `..data`, a link that is swapped, so that a reader sees either all old files or all new.
After `pkg/volume/util/atomic_writer.go` of Kubernetes.
"""

import asyncio
import base64
import itertools
import shutil
from collections.abc import Mapping
from pathlib import Path

import aiohttp

from tests.cluster.api import ApiError, AsyncKube

LOOK_SECONDS = 1.0


async def mount(kube: AsyncKube, path: str, directory: Path) -> None:
    """For ever; `path` is the Secret's in the API. A Secret that is not there is an empty directory."""
    shown: Mapping[str, bytes] | None = None
    for version in itertools.count():
        try:
            found = await _read(kube, path)
        except (ApiError, aiohttp.ClientError, TimeoutError):
            found = shown or {}
        if found != shown:
            swap(directory, found, version)
            shown = found
        await asyncio.sleep(LOOK_SECONDS)


async def _read(kube: AsyncKube, path: str) -> Mapping[str, bytes]:
    try:
        secret = await kube.request("GET", path)
    except ApiError as error:
        if error.code == 404:
            return {}
        raise
    return {name: base64.b64decode(text) for name, text in (secret.get("data") or {}).items()}


def swap(directory: Path, files: Mapping[str, bytes], version: int) -> None:
    """Show these files and no others; `version` is another one each time."""
    data, fresh = directory / "..data", directory / f"..{version}"
    fresh.mkdir(mode=0o700, parents=True)
    for name, content in files.items():
        (fresh / name).write_bytes(content)
    old = data.resolve() if data.is_symlink() else None
    following = directory / "..data_tmp"
    following.symlink_to(fresh.name)
    following.rename(data)
    for name in files:
        if not (directory / name).is_symlink():
            (directory / name).symlink_to(Path("..data") / name)
    for link in directory.iterdir():
        if not link.name.startswith("..") and link.name not in files:
            link.unlink()
    if old is not None:
        shutil.rmtree(old)
