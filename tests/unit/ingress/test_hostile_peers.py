"""What a peer may do before it has proved who it is, byte by byte, and that the others do not notice.

Each case stands for a published weakness of a webhook receiver or of an HTTP framework: an unbounded body read before
the signature (Argo CD, Argo Events, Argo Workflows), multipart, chunk, header and compression floods (aiohttp).
"""

import asyncio
import contextlib
import gzip
import re
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from conveyor_ingress import limits
from conveyor_ingress.server import Receiver
from tests.unit.ingress import deliveries
from tests.unit.ingress.conftest import MAX_BODY_BYTES, Ingress

PATH = deliveries.PATHS["gitea-1.26"]
HEAD = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
MEBIBYTE = 1024 * 1024
LOOP_LAG_SECONDS = 0.25


async def answer_to(ingress: Ingress, *parts: bytes, wait: float = 5) -> bytes:
    """What the ingress says to these bytes until it closes, or after `wait` seconds."""
    reader, writer = await asyncio.open_connection("127.0.0.1", ingress.port)
    said = b""
    try:
        async with asyncio.timeout(wait):
            with contextlib.suppress(ConnectionError):
                for part in parts:
                    writer.write(part)
                    await writer.drain()
            while chunk := await reader.read(65536):
                said += chunk
                if b"\r\n\r\n" in said and b"Connection: close" not in said:
                    break
    except (TimeoutError, ConnectionError):
        pass
    finally:
        await close(writer)
    return said


async def close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


def code(said: bytes) -> int:
    return int(said.split(b" ", 2)[1]) if said else 0


@contextlib.asynccontextmanager
async def loop_lag_below(seconds: float) -> AsyncIterator[None]:
    """The event loop comes round before it has computed for this long, whatever else the machine is doing."""
    worst, stop = 0.0, asyncio.Event()

    async def watch() -> None:
        nonlocal worst
        while not stop.is_set():
            before = time.thread_time()
            await asyncio.sleep(0.005)
            worst = max(worst, time.thread_time() - before)

    task = asyncio.create_task(watch())
    yield
    stop.set()
    await task
    assert worst < seconds


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


async def test_declared_size_above_the_limit_is_413_before_the_body_is_sent(ingress: Ingress) -> None:
    said = await answer_to(ingress, f"{HEAD}Content-Length: {10**15}\r\n\r\n".encode())
    assert code(said) == 413


@pytest.mark.parametrize("path", deliveries.PATHS.values())
async def test_endless_chunked_body_is_413_and_not_kept(ingress: Ingress, quick_limits: None, path: str) -> None:
    head = HEAD.replace(PATH, path).encode() + b"Transfer-Encoding: chunked\r\n\r\n"
    chunk = b"%x\r\n%b\r\n" % (MEBIBYTE, b"x" * MEBIBYTE)
    before = resident_bytes()
    said = await answer_to(ingress, head, *[chunk] * 256)
    assert code(said) in (413, 0)  # 0: the answer was lost to the reset that ended the flood
    assert resident_bytes() - before < 20 * MEBIBYTE
    assert re.search(rb'answer="too_large",event="unverified",source="\w+"} 1.0', ingress.metrics.exposition())


async def test_chunked_body_of_one_byte_too_many_is_413(ingress: Ingress) -> None:
    chunk = b"%x\r\n%b\r\n0\r\n\r\n" % (MAX_BODY_BYTES + 1, b"x" * (MAX_BODY_BYTES + 1))
    assert code(await answer_to(ingress, HEAD.encode() + b"Transfer-Encoding: chunked\r\n\r\n", chunk)) == 413


async def test_compressed_bomb_is_415_and_not_unpacked(ingress: Ingress) -> None:
    bomb = gzip.compress(b"0" * 64 * MEBIBYTE)
    before = resident_bytes()
    async with loop_lag_below(LOOP_LAG_SECONDS):
        head = f"{HEAD}Content-Encoding: gzip\r\nContent-Length: {len(bomb)}\r\n\r\n".encode()
        assert code(await answer_to(ingress, head, bomb)) == 415
    assert resident_bytes() - before < 20 * MEBIBYTE


async def test_compressed_transfer_coding_is_refused(ingress: Ingress) -> None:
    said = await answer_to(ingress, HEAD.encode() + b"Transfer-Encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
    assert code(said) in (400, 401, 415)
    assert ingress.store.reads == 0


async def test_body_in_chunks_of_one_byte_does_not_hold_up_the_loop(ingress: Ingress) -> None:
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in b"x" * MAX_BODY_BYTES)
    async with loop_lag_below(LOOP_LAG_SECONDS):
        said = await answer_to(ingress, HEAD.encode() + b"Transfer-Encoding: chunked\r\n\r\n", chunks, b"0\r\n\r\n")
    assert code(said) == 401


@pytest.mark.parametrize(
    "head",
    [
        HEAD.encode() + b"".join(b"X-Filler-%d: x\r\n" % number for number in range(10_000)) + b"\r\n",
        HEAD.encode() + b"X-Filler: " + b"x" * 100_000 + b"\r\n\r\n",
        b"POST /" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"nonsense\r\n\r\n",
        HEAD.encode() + b"Content-Length: -1\r\n\r\n",
        HEAD.encode() + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        HEAD.encode() + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        HEAD.encode() + b"Bad Header: x\r\nContent-Length: 0\r\n\r\n",
    ],
    ids=["headers", "header", "line", "tls", "nonsense", "negative", "two-lengths", "smuggled", "name"],
)
async def test_malformed_http_is_400_without_an_echo(ingress: Ingress, head: bytes) -> None:
    async with loop_lag_below(LOOP_LAG_SECONDS):
        said = await answer_to(ingress, head)
    assert code(said) == 400
    assert said.endswith(b'{"error": "malformed"}')


async def test_broken_chunk_is_400(ingress: Ingress) -> None:
    said = await answer_to(ingress, HEAD.encode() + b"Transfer-Encoding: chunked\r\n\r\nnot hex\r\n")
    assert code(said) == 400


async def test_multipart_flood_is_415_without_being_read(ingress: Ingress) -> None:
    body = b"".join(b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n' for _ in range(1000))
    head = HEAD.replace("application/json", "multipart/form-data; boundary=x")
    async with loop_lag_below(LOOP_LAG_SECONDS):
        said = await answer_to(ingress, f"{head}Content-Length: {len(body)}\r\n\r\n".encode(), body)
    assert code(said) == 415


async def test_headers_that_never_end_are_cut_off(ingress: Ingress, quick_limits: None) -> None:
    began = time.monotonic()
    assert await answer_to(ingress, HEAD.encode()) == b""
    assert time.monotonic() - began < 8.0  # by default it is ten seconds


async def test_connection_without_a_request_is_cut_off(ingress: Ingress, quick_limits: None) -> None:
    began = time.monotonic()
    assert await answer_to(ingress) == b""
    assert time.monotonic() - began < 8.0  # by default it is ten seconds


async def test_body_that_never_ends_is_400(ingress: Ingress, quick_limits: None) -> None:
    said = await answer_to(ingress, HEAD.encode() + b"Content-Length: 100\r\n\r\n{")
    assert code(said) == 400


async def test_connection_too_many_is_closed_and_counted(ingress: Ingress) -> None:
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(16):
            _, writer = await asyncio.open_connection("127.0.0.1", ingress.port)
            stack.push_async_callback(close, writer)
        assert await answer_to(ingress, HEAD.encode() + b"Content-Length: 0\r\n\r\n") == b""
    assert b"conveyor_ingress_connections_refused_total 1.0" in ingress.metrics.exposition()


async def test_bodies_held_up_to_the_limit_make_the_next_503(ingress: Ingress, receiver: Receiver) -> None:
    receiver.held.take(limits.MAX_HELD_BYTES)
    assert (await ingress.send(deliveries.push())).code == 503
    receiver.held.give(limits.MAX_HELD_BYTES)
    assert (await ingress.send(deliveries.push())).code == 202


async def test_pipelined_requests_are_answered_in_turn(ingress: Ingress) -> None:
    request = HEAD.encode() + b"Content-Length: 2\r\n\r\n{}"
    reader, writer = await asyncio.open_connection("127.0.0.1", ingress.port)
    writer.write(request * 3)
    said = b""
    async with asyncio.timeout(5):
        while said.count(b"unauthorized") < 3:
            said += await reader.read(4096)
    await close(writer)


async def test_unsigned_deliveries_of_full_size_do_not_hold_up_the_loop(ingress: Ingress) -> None:
    unsigned = replace(deliveries.push(), body=b"x" * MAX_BODY_BYTES)
    async with loop_lag_below(LOOP_LAG_SECONDS):
        said = await asyncio.gather(*(ingress.send(unsigned) for _ in range(12)))
    assert {answer.code for answer in said} == {401}
