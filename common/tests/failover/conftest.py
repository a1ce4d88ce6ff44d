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
    """A master, its replica, and the sentinel that watches them: one, which needs no election."""

    def __init__(self, folder: Path) -> None:
        self.master = Member(folder / "master", "")
        self.master.start()
        self.replica = Member(folder / "replica", f"replicaof {self.master.host} {self.master.port}\n")
        watch = (
            f"sentinel monitor the-master {self.master.host} {self.master.port} 1\n"
            f"sentinel auth-pass the-master {PASSWORD}\n"
            "sentinel down-after-milliseconds the-master 300\n"
            "sentinel failover-timeout the-master 3000\n"
        )
        self.sentinel = Sentinel(folder / "sentinel", watch)
        self.replica.start()
        self.sentinel.start()

    @property
    def url(self) -> str:
        """What a service is told; nobody is at the first place it names."""
        return f"redis+sentinel://:{PASSWORD}@127.0.0.1:1,{self.sentinel.host}:{self.sentinel.port}/the-master"

    def is_complete(self) -> bool:
        """Whether the sentinel knows the replica, and that has copied the master."""
        known = self.sentinel.ask("SENTINEL REPLICAS", "the-master")
        return len(known) == 1 and self.replica.ask("ROLE")[3] == b"connected"

    def end(self) -> None:
        """Nothing is left of it."""
        for server in (self.sentinel, self.replica, self.master):
            server.kill()


@pytest.fixture
async def group(tmp_path: Path) -> AsyncIterator[Group]:
    """One that is ready for a failover."""
    group = Group(tmp_path)
    try:
        await eventually(group.is_complete)
        yield group
    finally:
        group.end()
