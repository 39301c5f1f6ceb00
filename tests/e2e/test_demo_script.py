"""`scripts/demo` as people start it: without an ingress, and stopped in the middle."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from tests.cluster.binaries import cache_root

pytestmark = [pytest.mark.slow, pytest.mark.cluster, pytest.mark.gitea]
SCRIPT = Path(__file__).parents[2] / "scripts" / "demo"


def _listen_to_ctrl_c() -> None:
    """As in a terminal: a shell starts background jobs with SIGINT ignored, and their children inherit it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Script:
    """One run of it; all that it leaves on disk or running is found by its own TMPDIR."""

    def __init__(self, temporary: Path) -> None:
        self._temporary = temporary

    async def start(self, *options: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            str(SCRIPT),
            *options,
            env=os.environ | {"TMPDIR": str(self._temporary), "CONVEYOR_CACHE": str(cache_root())},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            preexec_fn=_listen_to_ctrl_c,
        )

    def leftovers(self) -> list[str]:
        """Its directories, and the processes that were told of them."""
        found = [path.name for path in self._temporary.iterdir()]
        for process in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                command = process.read_bytes()
            except OSError:
                continue
            if str(self._temporary).encode() in command:
                found.append(command.replace(b"\0", b" ").decode(errors="replace"))
        return found


@pytest.fixture
def script(tmp_path: Path) -> Script:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    return Script(temporary)


@pytest.mark.long
async def test_demo_without_ingress_ends_well(script: Script) -> None:
    process = await script.start("--no-ingress", "--seconds", "270")
    output, _ = await asyncio.wait_for(process.communicate(), 400)
    assert process.returncode == 0, output.decode()[-6000:]
    assert script.leftovers() == []


@pytest.mark.long
async def test_demo_out_of_time_says_why_and_keeps_the_logs(script: Script) -> None:
    process = await script.start("--seconds", "8")
    output, _ = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode == 1
    for wanted in ("ET-2 is in created:\n", "EarlierItem", "The operator's last words:\n{", "All logs are kept in "):
        assert wanted in output.decode()
    assert [name for name in script.leftovers() if not name.startswith("conveyor-demo-logs-")] == []


@pytest.mark.long
async def test_interrupted_demo_leaves_nothing_behind(script: Script) -> None:
    process = await script.start()
    assert process.stdout is not None
    async with asyncio.timeout(120):
        while b"analyst" not in (line := await process.stdout.readline()):
            assert line, "it ended by itself"
        process.send_signal(signal.SIGINT)
        await process.communicate()
    assert process.returncode == 130
    assert script.leftovers() == []
