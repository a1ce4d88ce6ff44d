"""The processes of a service, each behind a connection of its own, so that all of them can be asked."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from devstack.drill.stack import Stack
from devstack.drill.wire import Connection, Wire

PROC: Final = Path("/proc")
TRIES: Final = 64


class Processes:
    """Connections to every process of one service, made anew where one was lost."""

    def __init__(self, stack: Stack, wire: Wire, service: str) -> None:
        self.name = service
        self._stack = stack
        self._wire = wire
        self._held: dict[int, Connection] = {}
        self._one_at_a_time = asyncio.Lock()
        self.complete = False

    async def all(self) -> list[Connection]:
        """One to each process; `complete` says whether none is missing."""
        async with self._one_at_a_time:
            for pid, connection in list(self._held.items()):
                if connection.lost:
                    self.complete = False
                    del self._held[pid]
                    await connection.close()
            if not self.complete:
                await self._fill()
            return list(self._held.values())

    async def close(self) -> None:
        """Give all up."""
        while self._held:
            await self._held.popitem()[1].close()

    async def _fill(self) -> None:
        spare: list[Connection] = []
        missing = serving(await self._stack.processes(self.name)) - set(self._held)
        while missing and len(spare) < TRIES and (connection := await self._wire.connect(self.name)):
            if holder := holder_of(connection, missing):
                missing.remove(holder)
                self._held[holder] = connection
            else:
                spare.append(connection)
        for connection in spare:  # only now: a place left free would be taken by the same process again
            await connection.close()
        self.complete = bool(self._held) and not missing


def serving(pids: Iterable[int]) -> set[int]:
    """Those that answer requests: the workers, or the only process there is."""
    ordered = sorted(pids)
    workers = {pid for pid in ordered if b"spawn_main" in _command(pid)}
    return workers or set(ordered[:1])


def holder_of(connection: Connection, among: set[int]) -> int:
    """Which of these processes has the other end, 0 if none; anyone where the system does not tell."""
    if not PROC.exists():
        return next(iter(among))
    name = f"socket:[{_inode(connection)}]"
    return next((pid for pid in among if name in _open_files(pid)), 0)


def _command(pid: int) -> bytes:
    try:
        return (PROC / f"{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _inode(connection: Connection) -> str:
    """The other end in the kernel's table of connections, whose ports are hexadecimal."""
    ends = (f":{connection.remote:04X}", f":{connection.local:04X}")
    for line in (PROC / "net/tcp").read_text(encoding="ascii").splitlines():
        fields = line.split()
        if fields[1].endswith(ends[0]) and fields[2].endswith(ends[1]):
            return fields[9]
    return ""


def _open_files(pid: int) -> list[str]:
    found = []
    with suppress(OSError):  # it may end while we look, or close one
        for entry in (PROC / f"{pid}/fd").iterdir():
            with suppress(OSError):
                found.append(str(entry.readlink()))
    return found
