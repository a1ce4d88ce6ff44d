"""The lean Redis connection, on a real Valkey and on servers that misbehave."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import hiredis
import pytest

from common.resp import CONNECT, RespClient
from common.testing import eventually
from common.values import RedisUrl
from common.wire import STUCK, Away
from devstack.embedded import Valkey

NOTICEABLE = 0.4  # seconds: what a busy machine may add
Speak = Callable[[asyncio.Transport, bytes], None]


def mute(_transport: asyncio.Transport, _data: bytes) -> None:
    """Say nothing."""


class Peer(asyncio.Protocol):
    """The server's end of a connection; what comes is kept, and answered by `speak`."""

    def __init__(self, heard: list[bytes], speak: Speak) -> None:
        self.heard = heard
        self.speak = speak
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.heard.append(b"")

    def data_received(self, data: bytes) -> None:
        self.heard[-1] += data
        self.speak(self.transport, data)


@asynccontextmanager
async def client_of(url: str) -> AsyncIterator[RespClient]:
    """A client, closed at the end."""
    client = RespClient(RedisUrl(url))
    yield client
    await client.aclose()


@asynccontextmanager
async def peer(
    speak: Speak = mute, heard: list[bytes] | None = None, path: str = "/0", *, who: str = ""
) -> AsyncIterator[RespClient]:
    """A client of a server that speaks so."""
    kept = [] if heard is None else heard
    server = await asyncio.get_running_loop().create_server(lambda: Peer(kept, speak), "127.0.0.1", 0)
    async with server, client_of(f"redis://{who}{{}}:{{}}{path}".format(*server.sockets[0].getsockname())) as client:
        yield client


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[RespClient]:
    """A client of an empty Valkey, which wants a password."""
    async with client_of(redis_url) as client:
        yield client


async def test_commands_and_kinds_of_answers(client: RespClient) -> None:
    """Strings, numbers, lists, and nothing at all; words may be text, bytes, or numbers."""
    assert await client.execute_command("SET", "k", b"\x00\r\n\xff") == b"OK"
    assert await client.execute_command("GET", b"k") == b"\x00\r\n\xff"
    assert await client.execute_command("INCRBY", "n", 7) == 7
    assert await client.execute_command("MGET", "k", "none", "n") == [b"\x00\r\n\xff", None, b"7"]
    assert await client.execute_command("GET", "none") is None


async def test_large_answers_come_whole(client: RespClient) -> None:
    """An answer of many packets is one answer."""
    value = b"x" * 5_000_000
    await client.execute_command("SET", "k", value)
    assert await asyncio.gather(*(client.execute_command("GET", "k") for _ in range(3))) == [value] * 3


async def test_concurrent_callers_get_each_his_own(client: RespClient) -> None:
    """A thousand at once share a connection, and the answers come in the order of the questions."""
    answers = await asyncio.gather(*(client.execute_command("ECHO", number) for number in range(1000)))
    assert answers == [str(number).encode() for number in range(1000)]
    about = await client.execute_command("CLIENT", "LIST", "TYPE", "normal")
    assert isinstance(about, bytes)
    assert about.count(b"cmd=client") == 1


async def test_commands_of_one_turn_leave_in_one_write() -> None:
    """Callers of the same moment cost one system call."""
    writes: list[bytes] = []

    def answer(transport: asyncio.Transport, data: bytes) -> None:
        writes.append(data)
        transport.write(b"+OK\r\n" * data.count(b"*1\r\n"))

    async with peer(answer) as client:
        await client.execute_command("FIRST")
        await asyncio.gather(*(client.execute_command("NEXT") for _ in range(50)))
    assert [data.count(b"NEXT") for data in writes] == [0, 50]


async def test_error_reply_is_its_callers_alone(client: RespClient) -> None:
    """Redis refused one command: its neighbours have their answers, and the connection stays."""
    await client.execute_command("SET", "k", "text")
    before, refused, after = await asyncio.gather(
        client.execute_command("GET", "k"),
        client.execute_command("LPUSH", "k", "x"),
        client.execute_command("GET", "k"),
        return_exceptions=True,
    )
    assert (before, after) == (b"text", b"text")
    assert isinstance(refused, hiredis.ReplyError)
    assert str(refused).startswith("WRONGTYPE")


async def test_wrong_password_is_away(redis_url: str) -> None:
    """Nothing can be asked, and the error does not show the password."""
    parts = urlsplit(redis_url)
    async with client_of(f"redis://:geheim@{parts.hostname}:{parts.port}/0") as client:
        with pytest.raises(Away) as caught:
            await client.execute_command("PING")
    assert "geheim" not in str(caught.value)


async def test_database_of_the_address_is_selected(client: RespClient, redis_url: str) -> None:
    """`/3` is another room than `/0`."""
    async with client_of(redis_url.removesuffix("/0") + "/3") as other:
        await other.execute_command("SET", "k", "three")
        assert await client.execute_command("GET", "k") is None
        await client.execute_command("SELECT", 3)
        assert await client.execute_command("GET", "k") == b"three"
        await other.execute_command("DEL", "k")


@pytest.mark.parametrize(
    ("credentials", "introduction"),
    [("", []), (":p%40ss@", [b"AUTH", b"p@ss"]), ("ann:p%3Ass@", [b"AUTH", b"ann", b"p:ss"])],
)
async def test_introduction(credentials: str, introduction: list[bytes]) -> None:
    """The password, or name and password, as the address says them, percent-decoded; nothing where it says none."""
    heard: list[bytes] = []
    async with peer(lambda transport, _: transport.write(b"+OK\r\n"), heard, who=credentials) as client:
        await client.execute_command("PING")
    words = [word for word in heard[0].split(b"\r\n") if word and word[:1] not in b"*$"]
    assert words == [*introduction, b"PING"]


async def test_unix_socket(tmp_path: Path) -> None:
    """`unix://` with a path and a database."""
    heard: list[bytes] = []
    speaker = Peer(heard, lambda transport, _: transport.write(b"+PONG\r\n"))
    path = tmp_path / "redis.sock"
    server = await asyncio.get_running_loop().create_unix_server(lambda: speaker, path)
    async with server, client_of(f"unix://{path}?db=2") as client:
        assert await client.execute_command("PING") == b"PONG"
    assert b"SELECT\r\n$1\r\n2" in heard[0]


async def test_nobody_there_is_away_at_once() -> None:
    """A refused connection is told without delay, to everyone who waits."""
    async with client_of("redis://127.0.0.1:1/0") as client:
        started = time.perf_counter()
        errors = await asyncio.gather(*(client.execute_command("PING") for _ in range(20)), return_exceptions=True)
        assert {type(error) for error in errors} == {Away}
        assert time.perf_counter() - started < NOTICEABLE


async def test_mute_at_the_introduction_is_away_in_time() -> None:
    """A server that accepts and does not answer the introduction is given up when connecting has taken long enough."""
    async with peer(path="/1") as client:
        started = time.perf_counter()
        with pytest.raises(Away):
            await client.execute_command("PING")
        assert time.perf_counter() - started < CONNECT + NOTICEABLE


async def test_callers_of_one_moment_share_the_attempt() -> None:
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


async def test_slow_connection_that_moves_is_not_given_up() -> None:
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
    async with client_of(redis_url) as client:
        callers = [asyncio.ensure_future(client.execute_command("PING")) for _ in range(3)]
        await asyncio.sleep(0)
        callers[0].cancel()
        assert await asyncio.gather(*callers[1:]) == [b"PONG"] * 2


@pytest.mark.parametrize("speech", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x15\x03\x01\x00\x02"], ids=["HTTP", "TLS"])
async def test_server_that_speaks_something_else_is_away(speech: bytes) -> None:
    """It is no Redis, and the connection is not used again."""
    heard: list[bytes] = []
    async with peer(lambda transport, _: transport.write(speech), heard) as client:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)  # asyncio tells it to the log as well
        for _ in range(2):
            async with asyncio.timeout(1):
                with pytest.raises(Away):
                    await client.execute_command("PING")
    assert len(heard) == 2


async def test_closed_client_tells_those_who_wait() -> None:
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
