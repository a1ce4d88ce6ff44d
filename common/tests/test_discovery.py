"""Where Redis is: sentinels that are away, forgetful, or mistaken, and a server that has lost our keys to another."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from redis.exceptions import RedisError

from common import discovery
from common.discovery import _named, locate
from common.redis import ask, connect, listen
from common.resp import RespClient
from common.testing import eventually
from common.values import RedisUrl
from common.wire import Away, dial

Start = Callable[..., Awaitable["Peer"]]
REFUSALS = pytest.mark.parametrize(
    "refusal",
    [b"-READONLY no\r\n", b"-MOVED 1 127.0.0.1:1\r\n", b"-CLUSTERDOWN no\r\n"],
    ids=["readonly", "moved", "clusterdown"],
)
MASTER = b"*1\r\n$6\r\nmaster\r\n"
REPLICA = b"*1\r\n$5\r\nslave\r\n"


class Peer:
    """A server that gives the same answer to each kind of command, and keeps what it heard."""

    def __init__(self, answers: dict[bytes, bytes]) -> None:
        self.answers = {b"HELLO": b"%1\r\n+proto\r\n:3\r\n"} | answers
        self.heard = b""
        self.connections = 0
        self.port = 0

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A connection's life."""
        self.connections += 1
        while words := await reader.read(1000):
            self.heard += words
            for command in re.split(rb"(?=\*\d+\r\n\$)", words)[1:]:
                writer.write(next((answer for word, answer in self.answers.items() if word in command), b"+OK\r\n"))
        writer.close()


@pytest.fixture
async def peers() -> AsyncIterator[Start]:
    """Starts such a server."""
    async with AsyncExitStack() as stack:

        async def start(answers: dict[bytes, bytes]) -> Peer:
            peer = Peer(answers)
            server = await stack.enter_async_context(await asyncio.start_server(peer.talk, "127.0.0.1", 0))
            peer.port = server.sockets[0].getsockname()[1]
            return peer

        yield start


def names(peer: Peer) -> dict[bytes, bytes]:
    """What a sentinel answers that names it."""
    port = str(peer.port).encode()
    return {b"SENTINEL": b"*2\r\n$9\r\n127.0.0.1\r\n$%d\r\n%s\r\n" % (len(port), port)}


def sentinels(*ports: int, rest: str = "") -> RedisUrl:
    """The address that names them."""
    hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
    return RedisUrl.parse(f"redis+sentinel://ann:p%40ss@{hosts}/the-master{rest}")


async def test_whoever_knows_is_believed(peers: Start) -> None:
    """One away, one that never heard of it, one that names a server demoted meanwhile: the fourth is right."""
    master, demoted = await peers({b"ROLE": MASTER}), await peers({b"ROLE": REPLICA})
    ignorant, late, right = [await peers(said) for said in ({b"SENTINEL": b"*-1\r\n"}, names(demoted), names(master))]
    url = sentinels(1, ignorant.port, late.port, right.port, rest="/3?sentinel_password=p%26w")
    for _ in range(5):
        assert await locate(url) == f"redis://ann:p%40ss@127.0.0.1:{master.port}/3"
    assert b"\r\np@ss\r\n" in master.heard
    assert b"\r\np&w\r\n" in right.heard
    assert b"p@ss" not in right.heard


async def test_master_with_an_address_of_ipv6(peers: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sentinel says it without brackets; whether somebody is there is asked of the right address."""
    asked: list[str] = []

    async def dial_as_told(address: str, *words: str) -> Any:
        asked.append(address)
        return await dial(address if "[" not in address else f"redis://127.0.0.1:{master.port}", *words)

    monkeypatch.setattr(discovery, "dial", dial_as_told)
    master = await peers({b"ROLE": MASTER})
    sentinel = await peers({b"SENTINEL": b"*2\r\n$3\r\n::1\r\n$4\r\n6379\r\n"})
    assert await locate(sentinels(sentinel.port)) == "redis://ann:p%40ss@[::1]:6379/0"
    assert asked[1:] == ["redis://ann:p%40ss@[::1]:6379/0"]


def cluster(*ports: int) -> RedisUrl:
    """The address that names these nodes."""
    return RedisUrl.parse(f"redis+cluster://:p%40ss@{','.join(f'127.0.0.1:{port}' for port in ports)}")


def moved(host: str, peer: Peer) -> dict[bytes, bytes]:
    """What a node answers that names another one."""
    return {b"PERSIST": f"-MOVED 7783 {host}:{peer.port}\r\n".encode()}


@pytest.mark.parametrize("answer", [b":0\r\n", b"-ASK 7783 127.0.0.1:1\r\n"], ids=["whole", "on its way"])
async def test_owner_of_our_slot_is_found(peers: Start, answer: bytes) -> None:
    """By way of nodes that name it, one without a host; a node away and one of a broken cluster are passed over."""
    owner, broken = await peers({b"PERSIST": answer}), await peers({b"PERSIST": b"-CLUSTERDOWN no\r\n"})
    late = await peers(moved("127.0.0.1", owner))
    named = await peers(moved("", late))
    for _ in range(5):
        assert await locate(cluster(1, broken.port, named.port)) == f"redis://:p%40ss@127.0.0.1:{owner.port}/0"
    assert b"\r\np@ss\r\n" in owner.heard
    assert b"{gatehouse}" in owner.heard


async def test_nodes_that_name_each_other_know_nothing(peers: Start) -> None:
    """As for a moment after a slot has moved: that is Redis away, and no search without end."""
    one = await peers({})
    two = await peers(moved("127.0.0.1", one))
    one.answers.update(moved("127.0.0.1", two))
    with pytest.raises(Away):
        await locate(cluster(one.port))
    assert one.connections + two.connections <= 3


def test_node_with_an_address_of_ipv6() -> None:
    """MOVED writes it without brackets."""
    assert _named("::1:6379", by="other:1") == "[::1]:6379"
    assert _named(":6379", by="[::1]:7000") == "[::1]:6379"


async def test_listener_is_asked_where_it_listens(peers: Start) -> None:
    """And not whoever is the master by now: what is heard and whose word is believed must be of one server."""
    old, new = [await peers({b"ROLE": MASTER, b"WHO": b"+%s\r\n" % name}) for name in (b"old", b"new")]
    sentinel = await peers(names(old))
    client = listen(sentinels(sentinel.port))
    async with client.pubsub() as subscription:
        assert await ask(subscription, "WHO") == b"old"
        sentinel.answers.update(names(new))
        await subscription.subscribe("news")
        await eventually(lambda: b"SUBSCRIBE" in old.heard)
        assert await client.execute_command("WHO") == b"new"
    await client.aclose()


async def test_nobody_knows() -> None:
    """That is Redis away, to both kinds of client."""
    url = sentinels(1, 2)
    lean, full = RespClient(url), connect(url)
    with pytest.raises(Away):
        await lean.execute_command("PING")
    with pytest.raises(RedisError):
        await full.ping()
    await full.aclose()


@REFUSALS
async def test_server_that_lost_our_keys_is_left(peers: Start, refusal: bytes) -> None:
    """A demoted server may go on listening: the next command goes to a new connection, for a new look."""
    peer = await peers({b"GET": refusal})
    url = RedisUrl(f"redis://127.0.0.1:{peer.port}")
    lean = RespClient(url)
    with pytest.raises(Exception, match=refusal.decode()[1:5]):
        await lean.execute_command("GET", "k")
    peer.answers[b"GET"] = b"$1\r\nx\r\n"
    assert await lean.execute_command("GET", "k") == b"x"
    assert peer.connections == 2
    await lean.aclose()


@REFUSALS
async def test_redis_py_looks_again(peers: Start, refusal: bytes) -> None:
    """Its second try finds the new master, and the caller notices nothing."""
    old, new = [await peers({b"ROLE": MASTER, b"GET": answer}) for answer in (b"$1\r\no\r\n", b"$1\r\nx\r\n")]
    sentinel = await peers(names(old))
    client = connect(sentinels(sentinel.port))
    assert await client.get("k") == b"o"
    old.answers[b"GET"] = refusal
    sentinel.answers.update(names(new))
    assert await client.get("k") == b"x"
    await client.aclose()
