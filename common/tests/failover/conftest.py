"""Real Valkey servers beside each other, as a failover needs them."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from common.testing import eventually
from devstack.embedded import Valkey
from devstack.embedded.secret import write_private
from devstack.embedded.valkey import binary
from devstack.ports import free_port
from devstack.processes import Launch

PASSWORD = "of-all"


class Member(Valkey):
    """A server that is told more in its configuration, or is a sentinel."""

    host = "127.0.0.1"

    def __init__(self, folder: Path, extra: str) -> None:
        super().__init__(folder, free_port(), durable=False)
        self._extra = extra

    def prepare(self) -> None:
        """Its password is that of all."""
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        write_private(self._password_file, PASSWORD)
        super().prepare()
        with (self.folder / "valkey.conf").open("a") as file:
            file.write(f"masterauth {PASSWORD}\nrepl-diskless-sync-delay 0\n{self._extra}")

    def ask(self, *words: str | int) -> Any:
        """Run one command on it."""
        with Redis.from_url(self.url) as redis:
            return redis.execute_command(*words)


class Sentinel(Member):
    """It has no password of its own."""

    @property
    def url(self) -> str:
        """Without credentials."""
        return f"redis://{self.host}:{self.port}"

    def prepare(self) -> None:
        """It takes no setting of a server's."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log.parent.mkdir(exist_ok=True)
        write_private(self.folder / "valkey.conf", f"bind 127.0.0.1\nport {self.port}\n{self._extra}")

    def launch(self) -> Launch:
        """The same program."""
        return Launch([binary(), "valkey.conf", "--sentinel"], cwd=self.folder)


class Group:
    """A master, its replica, and the sentinels that watch them."""

    def __init__(self, folder: Path) -> None:
        self.master = Member(folder / "master", "")
        self.master.start()
        self.replica = Member(folder / "replica", f"replicaof {self.master.host} {self.master.port}\n")
        watch = (
            f"sentinel monitor the-master {self.master.host} {self.master.port} 2\n"
            f"sentinel auth-pass the-master {PASSWORD}\n"
            "sentinel down-after-milliseconds the-master 300\n"
            "sentinel failover-timeout the-master 3000\n"
        )
        self.sentinels = [Sentinel(folder / f"sentinel-{number}", watch) for number in range(3)]
        for server in (self.replica, *self.sentinels):
            server.start()

    @property
    def url(self) -> str:
        """What a service is told; nobody is at the first place it names."""
        hosts = ",".join(["127.0.0.1:1", *(f"{each.host}:{each.port}" for each in self.sentinels)])
        return f"redis+sentinel://:{PASSWORD}@{hosts}/the-master"

    def is_complete(self) -> bool:
        """Whether each sentinel knows the replica and the others: before that none can be elected."""
        return all(
            {b"num-slaves": b"1", b"num-other-sentinels": b"2"}.items() <= _pairs(sentinel).items()
            for sentinel in self.sentinels
        )

    def end(self) -> None:
        """Nothing is left of it."""
        for server in (*self.sentinels, self.replica, self.master):
            server.kill()


def _pairs(sentinel: Sentinel) -> dict[bytes, bytes]:
    words = sentinel.ask("SENTINEL MASTER", "the-master")
    return {k.encode(): v.encode() if isinstance(v, str) else str(v).encode() for k, v in words.items()}


@pytest.fixture
async def group(tmp_path: Path) -> AsyncIterator[Group]:
    """One that is ready for a failover."""
    group = Group(tmp_path)
    try:
        await eventually(group.is_complete)
        yield group
    finally:
        group.end()
