"""The example of a Valkey with sentinels: its script, run as three pods would, on ports instead of hosts."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from common.discovery import locate
from common.testing import eventually
from common.values import RedisUrl
from common.wire import Away
from devstack.embedded.valkey import binary
from devstack.places import ROOT
from devstack.ports import free_port
from devstack.probes import redis_answers
from devstack.processes import Launch, Server, wait_until

SCRIPT = ROOT / "docker/kubernetes/examples/valkey-sentinel/start.sh"
HOST = "127.0.0.1"
PASSWORD = "of-all"
MET = ("SENTINELS", "REPLICAS")
# The wheel has no valkey-cli: the one question that the script has for it.
CLI = f"""#!{sys.executable} -IS
import os, socket, sys
_, timeout, _, host, _, port, *words = sys.argv[1:]
with socket.create_connection((host, int(port)), float(timeout)) as connection:
    connection.sendall(("AUTH %s\\r\\n%s\\r\\n" % (os.environ["REDISCLI_AUTH"], " ".join(words))).encode())
    answer = connection.makefile(newline="\\r\\n")
    answer.readline()
    for _ in range(int(answer.readline()[1:])):
        answer.readline()
        print(answer.readline().strip())
"""


class Container(Server):
    """One of the two programs of a pod."""

    def __init__(self, folder: Path, role: str, port: int, told: dict[str, str]) -> None:
        super().__init__(role or "valkey", port, folder / f"{port}.log")
        self.folder = folder
        self._words: list[str | Path] = ["/bin/sh", SCRIPT, *([role] if role else [])]
        self._told = told | {"PORT": str(port), "FOLDER": str(folder), "DATA": str(folder)}

    def prepare(self) -> None:
        """Its folder is there, as a volume is."""
        self.folder.mkdir(exist_ok=True)
        super().prepare()

    def launch(self) -> Launch:
        """As the manifest does."""
        return Launch(self._words, env=self._told, cwd=self.folder)

    def answers(self) -> bool:
        """Whether it answers PING."""
        return redis_answers(self.port, PASSWORD) or redis_answers(self.port)

    def ask(self, *words: str) -> Any:
        """Run one command on it."""
        with Redis(host=HOST, port=self.port, password=PASSWORD) as redis:
            return redis.execute_command(*words)


class Pods:
    """Three of them; each is its own address with its ports."""

    def __init__(self, folder: Path) -> None:
        tools = folder / "bin"
        tools.mkdir()
        (tools / "valkey-server").symlink_to(binary())
        (tools / "valkey-cli").write_text(CLI)
        (tools / "valkey-cli").chmod(0o700)
        ports = [(free_port(), free_port()) for _ in range(3)]
        told = {
            "PATH": f"{tools}:{os.environ['PATH']}",
            "LISTEN": HOST,
            "FIRST": f"{HOST} {ports[0][0]}",
            "SENTINELS": " ".join(f"{HOST}:{port}" for _, port in ports),
            "REDIS_PASSWORD": PASSWORD,
            "DOWN_AFTER": "300",
        }
        both = [(folder / f"pod{port}", told | {"ME": f"{HOST} {port}"}) for port, _ in ports]
        self.valkeys = [Container(where, "", port, own) for (where, own), (port, _) in zip(both, ports, strict=True)]
        self.sentinels = [
            Container(where, "sentinel", port, own) for (where, own), (_, port) in zip(both, ports, strict=True)
        ]
        hosts = told["SENTINELS"].replace(" ", ",")
        self.url = RedisUrl(f"redis+sentinel://:{PASSWORD}@{hosts}/gatehouse/0?sentinel_password={PASSWORD}")

    def start(self) -> None:
        """Replicas first have their master: a sentinel that comes before them looks for them ten seconds later."""
        for kind in (self.valkeys, self.sentinels):
            for container in kind:
                container.prepare()
                container.spawn()
            for container in kind:
                container.wait_ready()
            assert wait_until(lambda: len(self.valkeys[0].ask("ROLE")[2]) == 2, 20)

    def are_acquainted(self) -> bool:
        """Whether each sentinel knows the others, and both replicas."""
        asked = [sentinel.ask("SENTINEL", what, "gatehouse") for sentinel in self.sentinels for what in MET]
        return [len(answer) for answer in asked] == [2] * len(asked)

    def end(self) -> None:
        """Nothing is left of them."""
        for container in (*self.sentinels, *self.valkeys):
            container.kill()


@pytest.fixture
def pods(tmp_path: Path) -> Iterator[Pods]:
    """What a first `kubectl apply` makes."""
    pods = Pods(tmp_path)
    try:
        pods.start()
        assert wait_until(pods.are_acquainted, 20)
        yield pods
    finally:
        pods.end()


@pytest.mark.parametrize(
    ("said", "master"),
    [(["", ""], "first 1"), (["me 1", ""], None), (["me 1", "other 1"], "other 1"), (["other 1", "me 1"], "other 1")],
    ids=["nobody there", "still itself", "not heard yet", "has a successor"],
)
def test_whom_a_pod_follows(tmp_path: Path, said: list[str], master: str | None) -> None:
    """The master that a sentinel names, and not itself where one knows better; the first pod where none is there."""
    for name, text in (("valkey-cli", f"cat {tmp_path}/$6"), ("valkey-server", "cat $1")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o700)
    for number, text in enumerate(said):
        (tmp_path / str(number)).write_text(text)
    told = {"ME": "me 1", "FIRST": "first 1", "SENTINELS": "a:0 b:1", "REDIS_PASSWORD": PASSWORD, "PORT": "1"}
    places = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "FOLDER": str(tmp_path), "DATA": str(tmp_path)}
    done = subprocess.run(["/bin/sh", SCRIPT], env=told | places, capture_output=True, text=True, check=True)
    assert re.findall("^replicaof (.*)$", done.stdout, re.MULTILINE) == ([master] if master else [])
    assert "min-replicas-to-write 1" in done.stdout


async def test_another_pod_takes_over(pods: Pods) -> None:
    """The first is the master until it dies; when it is back it follows whom the others chose, and is nobody new."""
    first, *others = pods.valkeys
    assert await locate(pods.url) == address(first)
    identity = pods.sentinels[0].ask("SENTINEL", "MYID")
    for container in (first, pods.sentinels[0]):
        container.kill()

    chosen = await successor(pods.url, others)
    for container in (first, pods.sentinels[0]):
        container.start()
    assert first.ask("ROLE")[:3] == [b"slave", HOST.encode(), chosen.port]
    assert pods.sentinels[0].ask("SENTINEL", "MYID") == identity
    assert await locate(pods.url) == address(chosen)


async def successor(url: RedisUrl, candidates: list[Container]) -> Container:
    """Whom the sentinels choose."""
    chosen: list[Container] = []

    async def is_chosen() -> bool:
        with suppress(Away):
            where = await locate(url)
            chosen.extend(each for each in candidates if address(each) == where)
        return bool(chosen)

    await eventually(is_chosen, 20)
    return chosen[0]


def address(container: Container) -> str:
    """Where it is, as `locate` says it."""
    return f"redis://:{PASSWORD}@{HOST}:{container.port}/0"
