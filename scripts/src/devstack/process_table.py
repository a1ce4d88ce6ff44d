"""The machine's processes: who descends from whom, who is stopped, who is gone."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Entry:
    """One process, equal to itself at any time; `started` tells it from a later one with the same pid."""

    pid: int
    started: str
    parent: int = field(compare=False)
    group: int = field(compare=False)
    state: str = field(compare=False)
    name: str = field(compare=False)

    @property
    def paused(self) -> bool:
        """Stopped by SIGSTOP."""
        return self.state == "T"


def read() -> dict[int, Entry]:
    """Every living process by pid; zombies do not count as living."""
    entries = _from_proc() if (PROC / "self/stat").exists() else _from_ps()
    return {entry.pid: entry for entry in entries if entry.state != "Z"}


def family(root: int, table: dict[int, Entry]) -> set[Entry]:
    """The process `root` with all its descendants and everybody in its process group."""
    children: dict[int, list[Entry]] = {}
    for entry in table.values():
        children.setdefault(entry.parent, []).append(entry)
    found = {entry for entry in table.values() if root in (entry.pid, entry.group)}
    unseen = list(found)
    while unseen:
        fresh = [child for child in children.get(unseen.pop().pid, []) if child not in found]
        found.update(fresh)
        unseen.extend(fresh)
    return found


def _from_proc() -> Iterator[Entry]:
    for folder in PROC.iterdir():
        if folder.name.isdigit():
            try:
                yield _parse_stat((folder / "stat").read_text(errors="replace"))
            except (FileNotFoundError, ProcessLookupError):
                continue  # it ended while we looked


def _parse_stat(stat: str) -> Entry:
    # The name stands in parentheses and may itself hold spaces and parentheses.
    head, _, tail = stat.rpartition(")")
    pid, _, name = head.partition(" (")
    fields = tail.split()
    return Entry(int(pid), fields[19], int(fields[1]), int(fields[2]), fields[0], name)


def _from_ps() -> Iterator[Entry]:
    columns = ["ps", "-A", "-o", "pid=,ppid=,pgid=,state=,lstart=,comm="]
    listing = subprocess.run(columns, check=True, capture_output=True, text=True).stdout
    return map(_parse_ps, listing.splitlines())


def _parse_ps(line: str) -> Entry:
    # `lstart` is five words, and the command may hold spaces.
    pid, parent, group, state, *started, command = line.split(maxsplit=9)
    return Entry(int(pid), " ".join(started), int(parent), int(group), state[0], Path(command).name)
