"""The lean Redis connection, on servers that go, stay mute, or speak something else, and at its own end."""

import asyncio
import ssl
import time
from collections.abc import Callable
from contextlib import aclosing
from typing import Any
from unittest.mock import Mock

import hiredis
import pytest

from common.resp import CONNECT, RespClient
from common.testing import eventually
from common.values import RedisUrl
from common.wire import STUCK, Away, _tls
from devstack.embedded import Valkey

NOTICEABLE = 0.4  # seconds: what a busy machine may add


async def test_nobody_there_is_away_at_once() -> None:
    """A refused connection is told without delay, to everyone who waits."""
    async with aclosing(RespClient(RedisUrl("redis://127.0.0.1:1/0"))) as client:
        started = time.perf_counter()
        errors = await asyncio.gather(*(client.execute_command("PING") for _ in range(20)), return_exceptions=True)
        assert {type(error) for error in errors} == {Away}
        assert time.perf_counter() - started < NOTICEABLE


async def test_authorities_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """And not at each try of an outage, while every request waits."""
    made = Mock(wraps=ssl.create_default_context)
    monkeypatch.setattr(ssl, "create_default_context", made)
    _tls.cache_clear()
    async with aclosing(RespClient(RedisUrl("rediss://127.0.0.1:1/0"))) as client:
        for _ in range(3):
            with pytest.raises(Away):
                await client.execute_command("PING")
    assert made.call_count == 1


async def test_mute_at_the_introduction_is_away_in_time(peer: Any) -> None:
    """A server that accepts and does not answer the introduction is given up when connecting has taken long enough."""
    async with peer(path="/1") as client:
        started = time.perf_counter()
        with pytest.raises(Away):
            await client.execute_command("PING")
        assert time.perf_counter() - started < CONNECT + NOTICEABLE


async def test_callers_of_one_moment_share_the_attempt(peer: Any) -> None:
    """A hundred first callers open one connection."""
    heard: list[bytes] = []
    async with peer(lambda transport, data: transport.write(b"+OK\r\n" * data.count(b"*1\r\n")), heard) as client:
        await asyncio.gather(*(client.execute_command("PING") for _ in range(100)))
    assert len(heard) == 1


@pytest.mark.parametrize("end", [Valkey.stop, Valkey.kill], ids=["stopped", "killed"])
async def test_lost_server_is_told_to_all_who_wait_and_is_found_again(
    client: RespClient, valkey_server: Valkey, end: Callable[[Valkey], None]
) -> None:
    """Callers that wait are told at once, later ones too, and the next after its return has a new connection."""
    await client.execute_command("PING")
    waiting = [asyncio.ensure_future(client.execute_command("BLPOP", "nothing", 0)) for _ in range(3)]
    await asyncio.sleep(0)
    end(valkey_server)
    try:
        async with asyncio.timeout(1):
            errors = await asyncio.gather(*waiting, return_exceptions=True)
        assert {type(error) for error in errors} <= {Away, hiredis.ReplyError}
        with pytest.raises(Away):
            await client.execute_command("PING")
    finally:
        valkey_server.start()
    await client.execute_command("PING")


async def test_paused_server_is_given_up_and_found_again(client: RespClient, valkey_server: Valkey) -> None:
    """No answer for a quarter of a second: whoever waits on that connection is told when the next one comes."""
    await client.execute_command("PING")
    valkey_server.pause()
    try:
        waiting = asyncio.ensure_future(client.execute_command("PING"))
        done, _ = await asyncio.wait({waiting}, timeout=STUCK + 0.05)
        assert done == set()
        started = time.perf_counter()
        with pytest.raises(Away):
            await client.execute_command("PING")
        with pytest.raises(Away):
            await waiting
        assert time.perf_counter() - started < CONNECT + NOTICEABLE
    finally:
        valkey_server.resume()

    async def is_back() -> bool:
        try:
            return await client.execute_command("PING") == b"PONG"
        except Away:
            return False

    await eventually(is_back)


async def test_slow_connection_that_moves_is_not_given_up(peer: Any) -> None:
    """Answers that come one by one, each in time, are no reason, even if the last is owed for longer than that."""

    def drip(transport: asyncio.Transport, data: bytes) -> None:
        for number in range(data.count(b"*1\r\n")):
            asyncio.get_running_loop().call_later(number * STUCK / 2, transport.write, b"+OK\r\n")

    heard: list[bytes] = []
    async with peer(drip, heard) as client:
        first = [asyncio.ensure_future(client.execute_command("PING")) for _ in range(5)]
        await first[3]
        last = await client.execute_command("PING")
        assert (last, await first[4]) == (b"OK", b"OK")
    assert len(heard) == 1


async def test_cancelled_caller_harms_nobody(client: RespClient) -> None:
    """Whoever goes away, early or late, the answers of the others are theirs."""
    await client.execute_command("PING")
    callers = [asyncio.ensure_future(client.execute_command("ECHO", number)) for number in range(100)]
    callers[0].cancel()
    await asyncio.sleep(0)
    for gone in callers[2::3]:
        gone.cancel()
    answers = await asyncio.gather(*callers, return_exceptions=True)
    for number, answer in enumerate(answers):
        if not callers[number].cancelled():
            assert answer == str(number).encode()
    assert callers[0].cancelled()
    assert await client.execute_command("ECHO", "after") == b"after"


async def test_cancelled_first_caller_leaves_the_attempt_to_the_others(redis_url: str) -> None:
    """Connecting is everybody's."""
    async with aclosing(RespClient(RedisUrl(redis_url))) as client:
        callers = [asyncio.ensure_future(client.execute_command("PING")) for _ in range(3)]
        await asyncio.sleep(0)
        callers[0].cancel()
        assert await asyncio.gather(*callers[1:]) == [b"PONG"] * 2


@pytest.mark.parametrize("speech", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x15\x03\x01\x00\x02"], ids=["HTTP", "TLS"])
async def test_server_that_speaks_something_else_is_away(peer: Any, speech: bytes) -> None:
    """It is no Redis, and the connection is not used again."""
    heard: list[bytes] = []
    async with peer(lambda transport, _: transport.write(speech), heard) as client:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)  # asyncio tells it to the log as well
        for _ in range(2):
            async with asyncio.timeout(1):
                with pytest.raises(Away):
                    await client.execute_command("PING")
    assert len(heard) == 2


async def test_closed_client_tells_those_who_wait(peer: Any) -> None:
    """At shutdown nobody is left hanging."""
    async with peer() as client:
        waiting = asyncio.ensure_future(client.execute_command("PING"))
        await eventually(lambda: client._protocol)
        await client.aclose()
        with pytest.raises(Away):
            await asyncio.wait_for(waiting, 1)


@pytest.mark.parametrize("turns", range(12))
async def test_closed_while_it_connects_it_leaves_nothing_open(client: RespClient, redis_url: str, turns: int) -> None:
    """Whichever turn of the loop the end comes in, the last of the connecting too; and nothing is opened after it."""

    async def open_connections() -> int:
        about = await client.execute_command("CLIENT", "LIST", "TYPE", "normal")
        assert isinstance(about, bytes)
        return about.count(b"id=")

    before = await open_connections()
    other = RespClient(RedisUrl(redis_url))
    asked = asyncio.ensure_future(other.execute_command("PING"))
    for _ in range(turns):
        await asyncio.sleep(0)
    await other.aclose()
    await asyncio.wait({asked})

    async def are_as_before() -> bool:
        return await open_connections() == before

    await eventually(are_as_before)
    with pytest.raises(Away):
        await other.execute_command("PING")
