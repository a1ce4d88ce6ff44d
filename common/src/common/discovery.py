"""Where Redis is at this moment: asked at each connect, so that after a failover everything finds the new master.

Sentinels are asked for the master; nodes of a cluster for the owner of the slot that all our keys are in.
"""

import asyncio
import random
from typing import Final
from urllib.parse import SplitResult, parse_qs, quote, unquote, urlsplit

import hiredis

from common.values import RedisUrl
from common.wire import Answer, Away, dial

PATIENCE: Final = 0.1  # seconds for one server, before the next is asked
HOPS: Final = 3  # nodes of a cluster that are asked in turn, each named by the one before


async def locate(url: RedisUrl) -> str:
    """An ordinary address, `redis://`, `rediss://` or `unix://`.

    Raises:
        Away: none of the servers named knows one, or none is there.

    """
    if not url.moves:
        return url.reveal()
    parts = urlsplit(url.reveal())
    hosts = url.hosts
    random.shuffle(hosts)  # one that is wrong or does not answer is not asked first for ever
    for host in hosts:
        try:
            async with asyncio.timeout(PATIENCE):
                found = await (_owner(url, host) if url.is_cluster else _master(parts, host))
            if found:
                return found
        except (OSError, TimeoutError, hiredis.HiredisError):
            continue
    raise Away("nobody knows where Redis is")


def likeness(url: RedisUrl) -> str:
    """An address like the one that will be found; only its host and port are not true."""
    return url.reveal() if not url.moves else _address(urlsplit(url.reveal()), url.hosts[0])


async def _owner(url: RedisUrl, node: str) -> str | None:
    """Whoever takes a write of ours, which changes nothing; other nodes name it, and a cluster that is down refuses."""
    for _ in range(HOPS):
        address = _address(urlsplit(url.reveal()), node)
        try:
            await _ask(address, "PERSIST", url.tag)
        except hiredis.ReplyError as refusal:
            code, _, place = str(refusal).partition(" ")
            if code == "ASK":  # a part of the slot is on its way; this is still its owner
                return address
            if code != "MOVED":
                raise
            node = _named(place.partition(" ")[2], by=node)
        else:
            return address
    return None


def _named(place: str, *, by: str) -> str:
    """What MOVED names, as an address has it; no host is that of who said so."""
    host, _, port = place.rpartition(":")
    return _netloc(host or str(urlsplit(f"//{by}").hostname), port)


def _netloc(host: str, port: str) -> str:
    """RFC 3986 section 3.2.2: an address of IPv6 stands in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def _master(parts: SplitResult, sentinel: str) -> str | None:
    """What this sentinel says, if that server agrees: one that was demoted meanwhile does not."""
    named = await _ask(_sentinel(parts, sentinel), "SENTINEL", "GET-MASTER-ADDR-BY-NAME", _words(parts)[0])
    if not isinstance(named, list):
        return None
    host, port = (word.decode() for word in named)
    address = _address(parts, _netloc(host, port))
    role = await _ask(address, "ROLE")
    return address if isinstance(role, list) and role[0] == b"master" else None


async def _ask(address: str, *words: str) -> Answer:
    wire = await dial(address, *words)
    wire.close(Away("asked"))
    return wire.greeting


def _address(parts: SplitResult, host: str) -> str:
    """Of a server, with the credentials of all."""
    credentials, at, _ = parts.netloc.rpartition("@")
    _, database, *_ = [*_words(parts), "0"]
    return f"{_scheme(parts)}://{credentials}{at}{host}/{database}"


def _sentinel(parts: SplitResult, host: str) -> str:
    """Sentinels have a password of their own, or none."""
    password = parse_qs(parts.query).get("sentinel_password", [""])[0]
    return f"{_scheme(parts)}://:{quote(password, safe='')}@{host}"


def _scheme(parts: SplitResult) -> str:
    return parts.scheme.partition("+")[0]


def _words(parts: SplitResult) -> list[str]:
    """The master's name, and the database."""
    return [unquote(word) for word in parts.path.strip("/").split("/")]
