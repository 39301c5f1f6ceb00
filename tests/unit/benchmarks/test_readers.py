"""Readers of a page: where an answer ends, however it comes in, and what is no answer."""

import asyncio

import pytest

from benchmarks.readers import BadAnswerError, Count, read_for

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n0123456789"


@pytest.mark.parametrize("size", [1, 7, 65, 66, 67, len(ANSWER)])
def test_an_answer_ends_with_its_last_byte_however_it_is_cut(size: int) -> None:
    count = Count()
    pieces = [memoryview(ANSWER[start : start + size]) for start in range(0, len(ANSWER), size)]

    assert [count.take(piece) for piece in pieces] == [False] * (len(pieces) - 1) + [True]
    assert count.length == 10


@pytest.mark.parametrize(
    "head", [b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 1\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n"]
)
def test_another_answer_than_a_page_of_a_known_length_is_refused(head: bytes) -> None:
    with pytest.raises(BadAnswerError, match=r"HTTP/1\.1"):
        Count().take(memoryview(head))


async def test_every_reader_counts_its_answers() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1000):
            writer.write(ANSWER)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()
        found = await read_for(f"{host}:{port}", "/queue", seconds=0.0, readers=3, every=0.0)
        alone = await read_for(f"{host}:{port}", "/queue", seconds=0.05, readers=3, every=0.0)

    assert found == []
    assert len(alone) >= 3
    assert {length for _, length in alone} == {10}
