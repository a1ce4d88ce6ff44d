"""Which processor cores do what: one for the measured worker, the others for everything around it."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct


class Cores(Struct, frozen=True):
    """The split; without `measured` nothing is pinned."""

    measured: frozenset[int]
    others: frozenset[int]

    @property
    def pinned(self) -> bool:
        """Whether this machine lets us choose."""
        return bool(self.measured)


def split() -> Cores:
    """The first core measures, where there are two and the system lets us choose (Linux)."""
    available = sorted(os.sched_getaffinity(0)) if sys.platform == "linux" else []
    if len(available) > 1:
        return Cores(frozenset(available[:1]), frozenset(available[1:]))
    return Cores(frozenset(), frozenset())


@contextlib.contextmanager
def on(cores: frozenset[int]) -> Iterator[None]:
    """Run what this thread does, and the processes it starts, on these cores until the block ends."""
    if sys.platform != "linux" or not cores:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def processor_seconds(pid: int, *, family: bool = False) -> float | None:
    """How long a process has run on a processor, where the system tells (proc(5), utime and stime).

    `family` counts its children in, those that have ended (cutime and cstime) and those that have not.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split() if family else []
    except OSError:
        return None
    ticks = stat.rpartition(")")[2].split()[11 : 15 if family else 13]
    own = sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
    return own + sum(processor_seconds(int(child)) or 0.0 for child in children)
