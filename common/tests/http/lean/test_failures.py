"""The lean transport of httpx: what breaks is said in time, as what httpx has for it, and harms no later request."""

import asyncio
import time
from typing import Any

import httpx
import pytest

from common.http.lean import CONNECT, LeanTransport
from common.testing import eventually
from devstack.ports import free_port

NOTICEABLE = 0.4  # seconds: what a busy machine may add
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n7;x=y\r\n, world\r\n0\r\n\r\n"
LONG = b"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n" + b"x" * 300_000
BROKEN: dict[str, bytes] = {
    "at once": b"",
    "in the head": b"HTTP/1.1 200 OK\r\nContent-",
    "in the body": OK[:-1],
    "in a chunk": CHUNKED[:-12],
    "before the last chunk": CHUNKED[:-5],
}


@pytest.mark.parametrize("answer", BROKEN.values(), ids=list(BROKEN))
async def test_connection_lost_before_the_answer_is_whole_is_an_error(serving: Any, answer: bytes) -> None:
    """Half an answer is none; and it is not asked again, for it may have been done."""

    def speak(peer: Any) -> None:
        peer.write(answer)
        peer.transport.close()

    async with serving(speak) as (client, server):
        with pytest.raises(httpx.ReadError):
            await client.get("/")
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "answer",
    [b"SSH-2.0-OpenSSH_9.6\r\n", b"\x15\x03\x01\x00\x02\x02\x46", OK.replace(b"Length: 2", b"Length: x")],
    ids=["SSH", "TLS", "odd length"],
)
async def test_answer_that_is_no_http_is_an_error(serving: Any, answer: bytes) -> None:
    """It is said at once, as what httpx has for it, and the connection is not used again."""
    async with serving(answer) as (client, server):
        for _ in range(2):
            async with asyncio.timeout(1):
                with pytest.raises(httpx.RemoteProtocolError):
                    await client.get("/")
    assert len(server.connections) == 2


async def test_answer_that_does_not_come_in_time_is_a_timeout(serving: Any) -> None:
    """The read timeout is for the whole answer; a late one is not taken for the next request's."""
    async with serving(lambda peer: peer.write(OK) if len(peer.server.requests) > 1 else None) as (client, server):
        started = time.perf_counter()
        with pytest.raises(httpx.ReadTimeout):
            await client.get("/", timeout=0.1)
        assert time.perf_counter() - started < 0.1 + NOTICEABLE
        await server.lost.wait()
        assert (await client.get("/")).text == "ok"
    assert len(server.connections) == 2


async def test_dripping_answer_is_a_timeout_too(serving: Any) -> None:
    """A byte now and then does not keep a caller waiting."""

    def drip(peer: Any) -> None:
        for number in range(len(LONG[:100])):
            asyncio.get_running_loop().call_later(number / 50, peer.write, LONG[number : number + 1])

    async with serving(drip) as (client, _):
        started = time.perf_counter()
        with pytest.raises(httpx.ReadTimeout):
            await client.get("/", timeout=0.2)
        assert time.perf_counter() - started < 0.2 + NOTICEABLE


async def test_cancelled_request_leaves_its_answer_to_nobody(serving: Any) -> None:
    """The connection of a request that was given up is closed: its answer might come yet."""
    peers: list[Any] = []
    async with serving(peers.append) as (client, server):
        given_up = asyncio.ensure_future(client.get("/secret"))
        await eventually(lambda: peers)
        given_up.cancel()
        await asyncio.wait({given_up})
        peers[0].write(OK.replace(b"ok", b"no"))
        server.speak = lambda peer: peer.write(OK)
        assert (await client.get("/")).text == "ok"
    assert len(server.connections) == 2


async def test_answer_to_a_closed_client_keeps_no_connection(serving: Any) -> None:
    """The end may come while an answer is awaited: the caller gets it, and the connection is closed."""
    peers: list[Any] = []
    async with serving(peers.append) as (client, server):
        asked = asyncio.ensure_future(client.get("/"))
        await eventually(lambda: peers)
        await client.aclose()
        peers[0].write(OK)
        assert (await asked).text == "ok"
        await server.lost.wait()


async def test_refused_connection_is_tried_once_more() -> None:
    """Nothing was sent, so nothing can be done twice; the second refusal is the answer, and comes at once."""
    tried = []
    loop = asyncio.get_running_loop()
    connect = loop.create_connection

    async def counted(*arguments: Any, **options: Any) -> Any:
        tried.append(arguments)
        return await connect(*arguments, **options)

    loop.create_connection = counted  # type: ignore[method-assign]
    started = time.perf_counter()
    async with httpx.AsyncClient(transport=LeanTransport()) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(f"http://127.0.0.1:{free_port()}/")
    assert time.perf_counter() - started < NOTICEABLE
    assert len(tried) == 2


async def test_host_that_swallows_connections_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """200 ms for each of two attempts, whatever the caller's patience."""

    async def swallow(*_arguments: Any, **_options: Any) -> Any:
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", swallow)
    started = time.perf_counter()
    async with httpx.AsyncClient(transport=LeanTransport()) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get("http://127.0.0.1:1/")
    assert 2 * CONNECT <= time.perf_counter() - started < 2 * CONNECT + NOTICEABLE
