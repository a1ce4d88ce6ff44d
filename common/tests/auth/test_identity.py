"""What tells one Redis from another, where it moves from server to server."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from redis.asyncio import Redis

from common.auth.channel import identity
from common.testing import eventually
from devstack.embedded import Valkey
from devstack.ports import free_port


async def follow(follower: Redis, leader: Valkey) -> None:
    """Copy another server, and be a master again."""
    run: Any = follower.execute_command

    async def is_a_copy() -> bool:
        about: Any = await follower.info("replication")
        return bool(about.get("master_link_status") == "up")

    await follower.config_set("masterauth", str(urlsplit(leader.url).password))
    await run("REPLICAOF", "127.0.0.1", leader.port)
    await eventually(is_a_copy)
    await run("REPLICAOF", "NO", "ONE")


async def test_a_master_that_was_a_replica_meanwhile_is_another(tmp_path: Path) -> None:
    """There and back without a restart: it has its own old word for being whole, and lacks what the other lacked."""
    one, other = (Valkey(tmp_path / name, free_port(), durable=False) for name in ("one", "other"))
    try:
        one.start()
        other.start()
        async with Redis.from_url(one.url) as first, Redis.from_url(other.url) as second:
            for client in (first, second):
                await client.config_set("repl-diskless-sync-delay", 0)
            before = await identity(first)
            await follow(second, one)
            await follow(first, other)
            after = await identity(first)
    finally:
        one.kill()
        other.kill()
    assert before.partition(b"-")[0] == after.partition(b"-")[0]
    assert before != after
