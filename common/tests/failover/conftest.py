"""Real Valkey servers beside each other, as a failover needs them, and both services on them."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis import Redis
from redis.crc import key_slot

from common.http import lean
from common.settings import load
from common.testing import client_of, eventually, random_keys
from devstack.embedded import Valkey
from devstack.embedded.secret import write_private
from devstack.embedded.valkey import binary
from devstack.fixtures import DatabaseFactory
from devstack.ports import free_port
from devstack.processes import Launch, wait_until
from todo_svc.app import create_app as create_todo_app
from todo_svc.settings import Settings as TodoSettings
from user_svc.app import create_app as create_user_app
from user_svc.settings import Settings as UserSettings

PASSWORD = "of-all"
CREDENTIALS = {"email": "ann@example.com", "password": "correct-horse-battery"}
TAG = "{gatehouse}"
SLOT = key_slot(TAG.encode())
RANGES = ((0, 5460), (5461, 10922), (10923, 16383))

Header = dict[str, str]


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

    def ask(self, *words: str | bytes | int) -> Any:
        """Run one command on it."""
        with Redis.from_url(self.url) as redis:
            return redis.execute_command(*words)

    def identity(self) -> bytes:
        """What `standing:ready` must say for it to be believed."""
        about = self.ask("INFO")
        return f"{about['run_id']}-{about['master_replid']}".encode()


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


class Node(Member):
    """A member of a cluster, told of the others before it starts: they would take seconds to meet."""

    def __init__(self, folder: Path, number: int) -> None:
        self.bus = free_port()
        self.id = f"{number:040x}"
        options = {"cluster-enabled": "yes", "cluster-port": self.bus, "cluster-node-timeout": 1000}
        super().__init__(folder / str(number), "".join(f"{key} {value}\n" for key, value in options.items()))

    def known_as(self, role: str, slots: str) -> str:
        """A line of everybody's `nodes.conf`."""
        return f"{self.id} {self.host}:{self.port}@{self.bus} {role} 0 0 {int(self.id, 16)} connected {slots}\n"

    def meet(self, others: str) -> None:
        """Start among these."""
        self.prepare()
        known = others.replace(f"@{self.bus} ", f"@{self.bus} myself,")
        write_private(self.folder / "nodes.conf", f"{known}vars currentEpoch 9 lastVoteEpoch 0\n")
        self.spawn()

    def is_settled(self) -> bool:
        """Whether it takes the cluster for whole."""
        return b"cluster_state:ok" in self.ask("CLUSTER", "INFO")


class Cluster:
    """Three masters, and a replica of the one that owns our slot."""

    def __init__(self, folder: Path) -> None:
        self.masters = [Node(folder, number) for number in (1, 2, 3)]
        [self.owner] = [node for node, (first, last) in zip(self.masters, RANGES, strict=True) if first <= SLOT <= last]
        self.replica = Node(folder, 4)
        known = [
            node.known_as("master -", f"{first}-{last}")
            for node, (first, last) in zip(self.masters, RANGES, strict=True)
        ]
        known.append(self.replica.known_as(f"slave {self.owner.id}", ""))
        for node in self.nodes:
            node.meet("".join(known))
        for node in self.nodes:
            node.wait_ready()

    @property
    def nodes(self) -> list[Node]:
        """All of them."""
        return [*self.masters, self.replica]

    @property
    def url(self) -> str:
        """What a service is told: nobody is at the first place it names, and not the owner at the second."""
        other = next(node for node in self.masters if node is not self.owner)
        return f"redis+cluster://:{PASSWORD}@127.0.0.1:1,{other.host}:{other.port}"

    def is_complete(self) -> bool:
        """Whether every node is content, and the replica has copied the owner."""
        return all(node.is_settled() for node in self.nodes) and self.replica.ask("ROLE")[3] == b"connected"

    def promote(self, *how: str) -> None:
        """Make the replica the owner."""
        self.replica.ask("CLUSTER", "FAILOVER", *how)
        assert wait_until(lambda: self.replica.ask("ROLE")[0] == b"master", 10)
        self.owner, self.replica = self.replica, self.owner

    def bury(self) -> None:
        """Kill the owner, and have the replica in its place."""
        self.owner.kill()
        self.promote("TAKEOVER")

    def begin_move(self) -> Node:
        """Have our slot under way to another master, with half of its keys."""
        target = next(node for node in self.masters if node not in {self.owner, self.replica})
        target.ask("CLUSTER", "SETSLOT", SLOT, "IMPORTING", self.owner.id)
        self.owner.ask("CLUSTER", "SETSLOT", SLOT, "MIGRATING", target.id)
        keys = sorted(self.owner.ask("CLUSTER", "GETKEYSINSLOT", SLOT, 1000))
        self._migrate(keys[::2], target)
        return target

    def end_move(self, target: Node) -> None:
        """The other half, and the word of it."""
        self._migrate(self.owner.ask("CLUSTER", "GETKEYSINSLOT", SLOT, 1000), target)
        for node in (target, self.owner):
            node.ask("CLUSTER", "SETSLOT", SLOT, "NODE", target.id)
        self.owner = target

    def end(self) -> None:
        """Nothing is left of it."""
        for node in self.nodes:
            node.kill()

    def _migrate(self, keys: list[bytes], target: Node) -> None:
        self.owner.ask("MIGRATE", target.host, target.port, "", 0, 1000, "AUTH", PASSWORD, "KEYS", *keys)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One that is ready for a failover."""
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        assert wait_until(cluster.is_complete, 10)
        yield cluster
    finally:
        cluster.end()


class Services:
    """Both services, where Ann is registered."""

    def __init__(self, user_svc: httpx.AsyncClient, todo_svc: httpx.AsyncClient) -> None:
        self.user_svc = user_svc
        self.todo_svc = todo_svc

    async def log_in(self) -> Header:
        """A new session of Ann's."""
        form = {"username": CREDENTIALS["email"], "password": CREDENTIALS["password"]}
        answer = await self.user_svc.post("/auth/jwt/login", data=form)
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}

    async def log_out(self, session: Header) -> None:
        """End it, and wait until todo-svc knows."""
        assert (await self.user_svc.post("/auth/jwt/logout", headers=session)).status_code == 204
        await eventually(lambda: self.refuses(session))

    async def refuses(self, session: Header) -> bool:
        """Whether it is known at todo-svc that it has ended."""
        return (await self.todo_svc.get("/todos", headers=session)).status_code == 401

    async def statuses(self, *sessions: Header) -> list[int]:
        """What todo-svc answers to each."""
        return [(await self.todo_svc.get("/todos", headers=session)).status_code for session in sessions]


@pytest.fixture
def serve(
    database: DatabaseFactory, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], AbstractAsyncContextManager[Services]]:
    """Run both services on the Redis of this address."""
    variables = {
        "JWT_KEYS": random_keys(),
        "USER_SVC_URL": "http://user.test",
        "LOG_LEVEL": "ERROR",
        "ARGON2_MEMORY_KIB": "8",
        "ARGON2_PASSES": "1",
    }

    @asynccontextmanager
    async def run(redis_url: str) -> AsyncIterator[Services]:
        told = variables | {"REDIS_URL": redis_url}
        users = create_user_app(load(UserSettings, told | {"DATABASE_URL": await database("user_svc")}))
        monkeypatch.setattr(lean, "transport_to", lambda _url: httpx.ASGITransport(users))  # type: ignore[arg-type]
        todos = create_todo_app(load(TodoSettings, told | {"DATABASE_URL": await database("todo_svc")}))
        async with client_of(users) as user_svc, client_of(todos) as todo_svc:
            await user_svc.post("/auth/register", json=CREDENTIALS)
            yield Services(user_svc, todo_svc)

    return run
