"""The lean Redis connection: commands and their answers."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import hiredis
import pytest

from common.resp import RespClient
from common.values import RedisUrl
from common.wire import Away

Speak = Callable[[asyncio.Transport, bytes], None]


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


async def test_commands_of_one_turn_leave_in_one_write(peer: Any) -> None:
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
    async with aclosing(RespClient(RedisUrl(f"redis://:geheim@{parts.hostname}:{parts.port}/0"))) as client:
        with pytest.raises(Away) as caught:
            await client.execute_command("PING")
    assert "geheim" not in str(caught.value)


async def test_database_of_the_address_is_selected(client: RespClient, redis_url: str) -> None:
    """`/3` is another room than `/0`."""
    async with aclosing(RespClient(RedisUrl(redis_url.removesuffix("/0") + "/3"))) as other:
        await other.execute_command("SET", "k", "three")
        assert await client.execute_command("GET", "k") is None
        await client.execute_command("SELECT", 3)
        assert await client.execute_command("GET", "k") == b"three"
        await other.execute_command("DEL", "k")


@pytest.mark.parametrize(
    ("credentials", "introduction"),
    [("", []), (":p%40ss@", [b"AUTH", b"p@ss"]), ("ann:p%3Ass@", [b"AUTH", b"ann", b"p:ss"])],
)
async def test_introduction(peer: Any, credentials: str, introduction: list[bytes]) -> None:
    """The password, or name and password, as the address says them, percent-decoded; nothing where it says none."""
    heard: list[bytes] = []
    async with peer(lambda transport, _: transport.write(b"+OK\r\n"), heard, who=credentials) as client:
        await client.execute_command("PING")
    words = [word for word in heard[0].split(b"\r\n") if word and word[:1] not in b"*$"]
    assert words == [*introduction, b"PING"]


async def test_unix_socket(peer: Any, tmp_path: Path) -> None:
    """`unix://` with a path and a database."""
    heard: list[bytes] = []
    async with peer(
        lambda transport, _: transport.write(b"+PONG\r\n"), heard, "?db=2", at=tmp_path / "redis.sock"
    ) as client:
        assert await client.execute_command("PING") == b"PONG"
    assert b"SELECT\r\n$1\r\n2" in heard[0]
