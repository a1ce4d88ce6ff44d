"""A program with all its processes: started, paused, killed, stopped."""

import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from devstack import process_table
from devstack.ports import free_port
from devstack.processes import Launch, Server, StackError, wait_until

CHILD = "import time; time.sleep(600)"
OBEDIENT = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {CHILD!r}]); print('up', flush=True); "
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); "


class Script(Server):
    """Runs a line of Python; it answers once it has printed `up`."""

    def __init__(self, folder: Path, line: str) -> None:
        super().__init__("script", free_port(), folder / "script.log")
        self.line = line

    def launch(self) -> Launch:
        return Launch([sys.executable, "-c", self.line])

    def answers(self) -> bool:
        return "up" in self.recent_log()


def _two_processes(server: Server) -> bool:
    return len(server.pids()) == 2


def test_stop_ends_children_too(tmp_path: Path) -> None:
    """A clean stop leaves no process, though only the first was told."""
    server = Script(tmp_path, OBEDIENT + CHILD)
    server.start()
    assert wait_until(lambda: _two_processes(server), 5)
    pids = server.pids()
    server.stop()
    assert server.state == "stopped"
    assert not set(pids) & set(process_table.read())


def test_pause_and_resume_reach_every_process(tmp_path: Path) -> None:
    """Paused: all stopped; resumed: none."""
    server = Script(tmp_path, OBEDIENT + CHILD)
    server.start()
    assert wait_until(lambda: _two_processes(server), 5)
    server.pause()
    assert server.state == "paused"
    assert all(process_table.read()[pid].paused for pid in server.pids())
    server.resume()
    assert server.state == "running"
    assert not any(process_table.read()[pid].paused for pid in server.pids())
    server.kill()


@pytest.mark.parametrize(("end", "state"), [(Server.stop, "stopped"), (Server.kill, "dead")])
def test_paused_one_can_be_ended(tmp_path: Path, end: Callable[[Server], None], state: str) -> None:
    """Neither stop nor kill needs it to be resumed first."""
    server = Script(tmp_path, OBEDIENT + CHILD)
    server.start()
    server.pause()
    pids = server.pids()
    end(server)
    assert server.state == state
    assert not set(pids) & set(process_table.read())


def test_stubborn_one_is_killed(tmp_path: Path) -> None:
    """A program that ignores the stop signal ends all the same, when patience is over."""
    server = Script(tmp_path, STUBBORN + CHILD)
    server.patience = 0.2
    server.start()
    server.stop()
    assert server.state == "stopped"


def test_failed_start_shows_the_log(tmp_path: Path) -> None:
    """What it said before it ended is in the error, and only of this start."""
    (tmp_path / "script.log").write_text("of an earlier run\n")
    with pytest.raises(StackError, match="no such setting") as caught:
        Script(tmp_path, "import sys; sys.exit('no such setting')").start()
    assert "earlier" not in str(caught.value)


def test_slow_start_is_given_up(tmp_path: Path) -> None:
    """One that never answers is killed and named."""
    server = Script(tmp_path, CHILD)
    with pytest.raises(StackError, match="script did not answer within"):
        server.start(timeout=0.2)
    assert server.pids() == []


def test_leftover_of_a_lost_run_is_ended_at_the_next_start(tmp_path: Path) -> None:
    """A new object on the same log finds the processes the old one had, and no others."""
    lost = Script(tmp_path, OBEDIENT + CHILD)
    lost.start()
    assert wait_until(lambda: _two_processes(lost), 5)
    pids = lost.pids()
    server = Script(tmp_path, OBEDIENT + CHILD)
    server.start()
    assert not set(pids) & set(process_table.read())
    server.stop()
    assert lost.process
    lost.process.wait()


def test_reused_pid_is_not_ended(tmp_path: Path) -> None:
    """A process that merely has the recorded pid, started at another time, stays."""
    stranger = subprocess.Popen([sys.executable, "-c", CHILD])
    (tmp_path / "script.pid").write_text(f"{stranger.pid} 1")
    server = Script(tmp_path, OBEDIENT + CHILD)
    server.start()
    server.stop()
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()


def test_killed_parent_takes_its_children_along() -> None:
    """Nothing outlives a supervisor that was killed with -9."""
    supervisor = f"""
        import sys, time
        from devstack.processes import Launch
        line = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
        Launch([sys.executable, "-c", line]).open({int(signal.SIGTERM)}, 1)
        time.sleep(600)
    """
    command = [sys.executable, "-c", textwrap.dedent(supervisor)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        child = int(parent.stdout.readline())
        parent.kill()
    assert wait_until(lambda: child not in process_table.read(), 5)
