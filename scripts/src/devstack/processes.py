"""A program in the foreground with all its processes: started on a leash, paused, killed, stopped."""

import os
import signal
import subprocess
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from devstack import leash, process_table
from devstack.process_table import Entry

POLL = 0.02
# For servers whose behaviour must not depend on the user's PGPORT, language or time zone.
BARE_ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


class StackError(Exception):
    """What went wrong, in one line for a person."""


@dataclass(frozen=True, slots=True)
class Launch:
    """What to run, where, and as whom (`--mapped`, `--nobody`: see leash)."""

    argv: Sequence[str | Path]
    env: Mapping[str, str] | None = None
    cwd: Path | None = None
    identity: Sequence[str] = ()

    def open(self, stop_signal: int, log: int) -> subprocess.Popen[bytes]:
        """Start it in a process group of its own, so that Ctrl-C reaches only us.

        The leash is tied to the calling thread, which must live on: the main one, or one of a lasting pool.
        """
        leashed = [sys.executable, "-I", "-S", leash.__file__, str(os.getpid()), str(int(stop_signal))]
        return subprocess.Popen(
            [*leashed, *self.identity, "--", *map(str, self.argv)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=self.env,
            cwd=self.cwd,
            process_group=0,
        )


class Server(ABC):
    """A program that serves until told to stop; a subclass says what to run and whether it answers."""

    stop_signal = signal.SIGTERM
    patience = 15.0  # seconds for a clean stop, then SIGKILL

    def __init__(self, name: str, port: int, log: Path) -> None:
        self.name = name
        self.port = port
        self.log = log
        self.process: subprocess.Popen[bytes] | None = None
        self.serving = False  # answered once, and nobody has asked it to end since
        self._stopped = True
        self._log_start = 0
        self._orphans = threading.Lock()

    @abstractmethod
    def launch(self) -> Launch:
        """What to run."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether it is ready to serve."""

    def prepare(self) -> None:
        """Do what must be done before it can run."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.end_leftover()
        self.end_orphans()

    def start(self, timeout: float = 60.0) -> None:
        """Run it and return when it answers."""
        self.prepare()
        self.spawn()
        self.wait_ready(timeout)

    def spawn(self) -> None:
        """Run it, and remember it for a next start that finds this process gone but not that one."""
        with self.log.open("ab") as log:
            self._log_start = log.tell()
            self.process = self.launch().open(self.stop_signal, log.fileno())
        self._stopped = False
        entry = process_table.read().get(self.process.pid)
        self._record.write_text(f"{entry.pid} {entry.started}" if entry else "")

    def wait_ready(self, timeout: float = 60.0) -> None:
        """Return when it answers; StackError when it ends first or takes too long."""
        answered = wait_until(lambda: not self.alive or self.answers(), timeout)
        if not self.alive:
            raise StackError(self.failure())
        if not answered:
            self.kill()
            raise StackError(f"{self.name} did not answer within {timeout:.0f} seconds; its log is {self.log}")
        self.serving = True

    def failure(self) -> str:
        """Why it ended, for a person."""
        lines = self.recent_log().splitlines()[-8:]
        return "\n".join([f"{self.name} did not start; the end of its log {self.log}:", *lines])

    def recent_log(self) -> str:
        """What it wrote since its last start."""
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")

    @property
    def alive(self) -> bool:
        """Whether its first process runs (or is paused)."""
        process = self.process
        return process is not None and process.poll() is None

    @property
    def state(self) -> str:
        """running, paused, stopped (as asked) or dead (killed, or ended by itself)."""
        process = self.process
        if process is None or process.poll() is not None:
            return "stopped" if self._stopped else "dead"
        entry = process_table.read().get(process.pid)
        return "paused" if entry and entry.paused else "running"

    def pids(self) -> list[int]:
        """All its processes, children and workers too."""
        return sorted(entry.pid for entry in self._family())

    def pause(self) -> None:
        """SIGSTOP to every process, until no new one turns up."""
        stopped: set[Entry] = set()
        while fresh := {entry for entry in self._family() if not entry.paused and entry not in stopped}:
            send(fresh, signal.SIGSTOP)
            stopped |= fresh

    def resume(self) -> None:
        """SIGCONT to every process."""
        send(self._family(), signal.SIGCONT)

    def stop(self) -> None:
        """End it cleanly, paused or not; return when all its processes are gone."""
        self.serving = False
        family = self._family()
        if (process := self.process) and self.alive:
            process.send_signal(self.stop_signal)
            send(family, signal.SIGCONT)
            wait_until(lambda: not self.alive, self.patience)
        self._end(family)
        self._stopped = True

    def kill(self) -> None:
        """SIGKILL to every process; return when all are gone."""
        self.serving = False
        self._end(self._family())

    def end_orphans(self) -> None:
        """End what a first process that died left behind; may be called while it is started again."""
        with self._orphans:
            if not self.alive:
                self._end(self._family())

    def _family(self) -> set[Entry]:
        process = self.process
        return process_table.family(process.pid, process_table.read()) if process else set()

    def _end(self, family: set[Entry]) -> None:
        """Kill what is left of it and what it forked meanwhile; forget its pid, soon another's."""
        while living := (family & set(process_table.read().values())) | self._family():
            send(living, signal.SIGKILL)
            family |= living
            time.sleep(POLL / 2)
            _ = self.alive  # reaps it: a zombie's group can still be found
        if process := self.process:
            process.wait()
            self.process = None
        self._record.unlink(missing_ok=True)

    @property
    def _record(self) -> Path:
        return self.log.with_suffix(".pid")

    def end_leftover(self) -> None:
        """End what an earlier run left, where nothing ties a child to its parent or where it was paused."""
        if self.process or not self._record.exists():
            return
        pid, _, started = self._record.read_text().partition(" ")
        table = process_table.read()
        entry = table.get(int(pid or 0))
        if entry and entry.started == started:
            self._end(process_table.family(entry.pid, table))


def send(processes: set[Entry], number: signal.Signals) -> None:
    """Signal each, oldest first; one that is gone already is fine."""
    for entry in sorted(processes, key=lambda entry: entry.pid):
        try:
            os.kill(entry.pid, number)
        except ProcessLookupError:
            continue


def wait_until(condition: Callable[[], bool], timeout: float) -> bool:
    """Poll until it holds; False when it did not within `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL)
    return True
