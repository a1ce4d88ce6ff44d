"""The process table."""

import os
import subprocess
import sys

from devstack import process_table
from devstack.process_table import Entry, _parse_ps, _parse_stat


def _entry(pid: int, parent: int, group: int) -> Entry:
    return Entry(pid, "1", parent, group, "S", "x")


def test_name_may_hold_parentheses_and_spaces() -> None:
    """A process that calls itself `a) R 1 (b` is still read right."""
    tail = "S 7 42 42 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 99 0"
    entry = _parse_stat(f"42 (a) R 1 (b) {tail}")
    assert (entry.pid, entry.name, entry.state, entry.parent, entry.started) == (42, "a) R 1 (b", "S", 7, "99")


def test_family_is_descendants_and_group() -> None:
    """Grandchildren count, and so do members of the group whose parent is gone; others do not."""
    entries = [_entry(10, 1, 10), _entry(11, 10, 10), _entry(12, 11, 12), _entry(13, 1, 10), _entry(14, 1, 14)]
    family = process_table.family(10, {entry.pid: entry for entry in entries})
    assert {entry.pid for entry in family} == {10, 11, 12, 13}


def test_zombie_does_not_live() -> None:
    """A process that ended but was not waited for is not in the table."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert child.pid not in process_table.read()
    child.wait()


def test_where_there_is_no_proc_ps_is_read() -> None:
    """On macOS the start takes five words, the command is a path that may hold spaces."""
    entry = _parse_ps("  501     1   501 S    Mon Nov 24 06:48:00 2026     /opt/my things/postgres")
    assert (entry.pid, entry.parent, entry.group, entry.state, entry.name) == (501, 1, 501, "S", "postgres")
    assert entry.started == "Mon Nov 24 06:48:00 2026"
