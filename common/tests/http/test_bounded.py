"""A request's head is bounded before anybody has looked at it."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any

import pytest
import pytest_asyncio
import uvicorn

from common.http import bounded
from common.http.bounded import LARGEST, BoundedProtocol

PIECE = 16 * 1024
OK = b"HTTP/1.1 200 OK"
GONE = asyncio.Event()
Receive = Callable[[], Coroutine[Any, Any, Any]]
Send = Callable[[Any], Awaitable[None]]
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Say at /endless more and more, until the client is gone, else how long the body was."""
    await (endless if scope["path"] == "/endless" else echo)(scope, receive, send)


async def endless(_scope: object, receive: Receive, send: Send) -> None:
    """`GONE` is set when it has ended."""
    await receive()
    left = asyncio.create_task(receive())
    await send({"type": "http.response.start", "status": 200, "headers": []})
    while not left.done():
        await send({"type": "http.response.body", "body": b"x" * PIECE, "more_body": True})
        await asyncio.sleep(0)
    GONE.set()


async def echo(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Read the body, and say how long it was and which headers there are."""
    length, more = 0, True
    while more:
        message = await receive()
        length, more = length + len(message["body"]), message["more_body"]
    body = b"%d" % length
    seen = b" ".join(name for name, _ in scope["headers"])
    headers = [(b"content-length", b"%d" % len(body)), (b"x-seen", seen)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@pytest_asyncio.fixture
async def connection() -> AsyncIterator[Connection]:
    """To a server with this protocol."""
    config = uvicorn.Config(app, http=BoundedProtocol, lifespan="off", log_config=None)
    config.load()
    server = uvicorn.Server(config)
    listening = await asyncio.get_running_loop().create_server(
        lambda: BoundedProtocol(config, server.server_state, {}), "127.0.0.1", 0
    )
    reader, writer = await asyncio.open_connection(*listening.sockets[0].getsockname())
    GONE.clear()
    yield reader, writer
    writer.close()
    listening.close()


async def sent(connection: Connection, *pieces: bytes) -> bytes:
    """The first line that comes of it; each piece is a read of its own at the other end, or several."""
    reader, writer = connection
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0)
    return (await reader.readline()).rstrip()


@pytest.mark.parametrize("begin", [b"GET / HTTP/1.1\r\nHost: x\r\nX-Big: ", b"GET /"], ids=["header", "path"])
async def test_a_head_that_goes_on_is_refused(connection: Connection, begin: bytes) -> None:
    """One header or the path, without end: 431, and the connection is closed."""
    line = await sent(connection, begin, *[b"a" * PIECE] * (10 * LARGEST // PIECE))
    assert line == b"HTTP/1.1 431 Request Header Fields Too Large"
    assert b"application/problem+json" in await connection[0].read()


async def test_very_many_headers_are_refused(connection: Connection) -> None:
    """However short each is."""
    many = b"".join(b"x-%d: 1\r\n" % number for number in range(1000))
    line = await sent(connection, b"GET / HTTP/1.1\r\nHost: x\r\n", *[many] * 60)
    assert line.startswith(b"HTTP/1.1 431")


async def test_what_is_usual_passes(connection: Connection) -> None:
    """A head in pieces, a large body behind its end in one piece, and all again on the same connection."""
    reader, writer = connection
    body = b"b" * (4 * LARGEST)
    for _ in range(3):
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nX-Some: " + b"a" * PIECE)
        await writer.drain()
        await asyncio.sleep(0.01)
        writer.write(b"\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        assert (await reader.readline()).rstrip() == OK
        assert (await reader.readuntil(b"%d" % len(body))).endswith(b"\r\n\r\n%d" % len(body))


CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n"


async def test_trailers_are_no_headers(connection: Connection) -> None:
    """They are read and go nowhere (RFC 9110 section 6.5.1)."""
    reader, writer = connection
    writer.write(CHUNKED + b"Authorization: Bearer x\r\n\r\n")
    assert (await reader.readline()).rstrip() == OK
    assert b"x-seen: host transfer-encoding\r\n" in await reader.readuntil(b"\r\n\r\n")


async def test_trailers_that_go_on_end_the_connection(connection: Connection) -> None:
    """Whatever they say, and however short each is."""
    reader, writer = connection
    writer.write(CHUNKED)
    with pytest.raises(ConnectionError):  # noqa: PT012 - whichever of the two hears of it first
        for _ in range(100):
            writer.write(b"a: b\r\n" * (PIECE // 6))
            await writer.drain()
            await asyncio.sleep(0.001)
        await reader.readexactly(1)


async def test_a_refusal_stands_in_no_other_answer(connection: Connection) -> None:
    """Where an answer is under way the connection just ends."""
    reader, writer = connection
    writer.write(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nX-Big: ")
    with pytest.raises(ConnectionError):  # noqa: PT012 - whichever of the two hears of it first
        for _ in range(100):
            writer.write(b"a" * PIECE)
            await writer.drain()
            assert b" 431 " not in await reader.read(PIECE)


async def test_a_client_that_does_not_read_is_cut_off(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """As soon as nothing more goes out for a while; one that reads is served on."""
    monkeypatch.setattr(bounded, "STALLED", 0.1)
    reader, writer = connection
    writer.write(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
    end = time.monotonic() + 0.4
    while time.monotonic() < end:
        assert await reader.readexactly(50 * PIECE)
    assert not GONE.is_set()
    async with asyncio.timeout(10):
        await GONE.wait()
