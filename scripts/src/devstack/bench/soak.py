"""The soak: whether the memory of a worker stays what it is, request after request."""

from itertools import chain, islice
from pathlib import Path

from msgspec import Struct

from devstack.bench.bed import Bed
from devstack.bench.cases import MANY, Work
from devstack.bench.load import Expect, Span, drive

SETTLED = 10  # a tenth of the requests comes before the first look
LONGEST = Span(0, 1800)  # seconds


class Soak(Struct, frozen=True):
    """The resident memory of todo-svc's worker in MiB, before so many requests and after; None where none is told."""

    requests: int
    before: float | None
    after: float | None


async def soak(bed: Bed, requests: int) -> Soak:
    """Send reads of a page and of a todo in turn, and a creation for every tenth of them.

    Raises:
        LoadError: an answer was not as expected.

    """
    work = Work(bed)
    port, process = bed.todo_svc.port, bed.todo_svc.process

    async def send(count: int) -> float | None:
        reads = zip(await work.read(LONGEST), await work.read_one(LONGEST), strict=True)
        mixed = islice(chain.from_iterable(reads), count)
        await drive(port, mixed, LONGEST, expect=Expect(), connections=MANY)
        created = islice(await work.create(LONGEST), count // 10)
        await drive(port, created, LONGEST, expect=Expect(201), connections=MANY)
        return memory(process.pid) if process else None

    return Soak(requests, await send(max(MANY * 10, requests // SETTLED)), await send(requests))


def memory(pid: int) -> float | None:
    """The resident memory of a process in MiB, where the system tells (proc(5), VmRSS)."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    line = next((line for line in status.splitlines() if line.startswith("VmRSS:")), None)
    return int(line.split()[1]) / 1024 if line else None
