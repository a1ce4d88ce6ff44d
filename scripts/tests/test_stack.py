"""`stack`: steering the pieces of a running `up` from another terminal."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import urlopen

import asyncpg
import pytest
import redis.asyncio

from devstack import probes, process_table
from devstack.fixtures import RunningStack, bare_environment, started_up
from devstack.processes import wait_until
from devstack.stack import NAMES

SERVICES = ("user-svc", "todo-svc")


@pytest.fixture
def steered(fake_stack: RunningStack) -> Iterator[RunningStack]:
    """The stack, restored after the test."""
    yield fake_stack
    fake_stack.restore()


def _stack(*arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "devstack", "stack", *arguments]
    return subprocess.run(
        command, env=bare_environment(**variables), capture_output=True, text=True, timeout=60, check=False
    )


def _said(stack: RunningStack, *arguments: str) -> str:
    """What a command that succeeds prints."""
    ended = _stack(f"--data={stack.data}", *arguments)
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout


def _state(stack: RunningStack, name: str) -> str:
    return str(stack.status()[name]["state"])


def test_status_in_json(fake_stack: RunningStack) -> None:
    """Exactly the agreed keys, for programs that drill a failure."""
    status = json.loads(_said(fake_stack, "status", "--json"))
    assert list(status) == ["user-svc", "todo-svc", "postgres", "redis", "mail"]
    assert set(status["user-svc"]) == set(status["todo-svc"]) == {"state", "url", "pids"}
    assert set(status["postgres"]) == {"state", "pids", "databases"}
    assert set(status["postgres"]["databases"]) == set(SERVICES)
    assert set(status["redis"]) == {"state", "pids", "url"}
    assert Path(status["mail"]) == fake_stack.data / "mail"


def test_status_for_people(fake_stack: RunningStack) -> None:
    """Every piece with its state and address, and no password."""
    said = _said(fake_stack, "status")
    assert all(name in said for name in NAMES)
    assert fake_stack.user_url in said
    assert fake_stack.status()["redis"]["url"].split(":")[2].split("@")[0] not in said


@pytest.mark.parametrize("name", NAMES)
def test_stop_and_start(steered: RunningStack, name: str) -> None:
    """Stopped: no process left; started: ready; either twice is fine and says so."""
    pids = steered.status()[name]["pids"]
    assert _said(steered, "stop", name) == f"{name} is stopped\n"
    assert not set(pids) & set(process_table.read())
    assert _state(steered, name) == "stopped"
    assert "already stopped" in _said(steered, "stop", name)
    assert _said(steered, "start", name) == f"{name} runs\n"
    assert _state(steered, name) == "running"
    assert "already running" in _said(steered, "start", name)


def test_start_with_a_variable(steered: RunningStack) -> None:
    """A service gets it from the terminal, and keeps it; only a service that does not run, and only one that is set."""
    start = (f"--data={steered.data}", "start")
    assert "todo-svc runs: stop it first" in _stack(*start, "todo-svc", "--env=SHADE", SHADE="blue").stderr
    steered.stop("todo-svc")
    assert "SHADE is not set in this terminal" in _stack(*start, "todo-svc", "--env=SHADE").stderr
    assert _stack(*start, "todo-svc", "--env=SHADE", SHADE="blue").stdout == "todo-svc runs\n"
    steered.kill("todo-svc")
    steered.start("todo-svc")
    with urlopen(f"{steered.todo_url}/environment") as answer:
        assert json.load(answer)["SHADE"] == "blue"
    steered.stop("redis")
    assert "redis takes no variables" in _stack(*start, "redis", "--env=SHADE", SHADE="blue").stderr


@pytest.mark.parametrize("name", NAMES)
def test_kill_and_start(steered: RunningStack, name: str) -> None:
    """Killed: every process gone, the piece is dead; killing it again is fine; it starts again."""
    pids = steered.status()[name]["pids"]
    assert _said(steered, "kill", name) == f"{name} is killed\n"
    assert not set(pids) & set(process_table.read())
    assert _state(steered, name) == "dead"
    assert "not running" in _said(steered, "kill", name)
    steered.start(name)
    assert _state(steered, name) == "running"


@pytest.mark.parametrize("name", NAMES)
def test_pause_and_resume(steered: RunningStack, name: str) -> None:
    """Paused: all its processes are stopped and it does not answer; resumed: it does."""
    assert _said(steered, "pause", name) == f"{name} is paused\n"
    assert _state(steered, name) == "paused"
    assert all(process_table.read()[pid].paused for pid in map(int, _said(steered, "pids", name).split()))
    assert "already paused" in _said(steered, "pause", name)
    assert "resume it" in _stack(f"--data={steered.data}", "start", name).stderr
    assert _said(steered, "resume", name) == f"{name} runs again\n"
    assert _state(steered, name) == "running"
    assert "already running" in _said(steered, "resume", name)


@pytest.mark.parametrize("verb", ["stop", "kill"])
@pytest.mark.parametrize("name", ["postgres", "user-svc"])
def test_paused_piece_can_be_ended(steered: RunningStack, name: str, verb: str) -> None:
    """No need to resume it first."""
    steered.pause(name)
    pids = steered.status()[name]["pids"]
    _said(steered, verb, name)
    assert not set(pids) & set(process_table.read())


def test_pids_are_all_processes(fake_stack: RunningStack) -> None:
    """A service's workers count too."""
    assert len(_said(fake_stack, "pids", "user-svc").split()) == 2


async def test_data_are_back_after_kill_and_start(steered: RunningStack) -> None:
    """A committed row and an acknowledged key outlive the kill of their servers, under the same addresses."""
    status = steered.status()
    dsn, url = status["postgres"]["databases"]["todo-svc"], status["redis"]["url"]
    connection = await asyncpg.connect(dsn)
    await connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    async with redis.asyncio.from_url(url) as client:
        await client.set("kept", "42")
    for name in ("postgres", "redis"):
        steered.kill(name)
        steered.start(name)
    connection.terminate()
    connection = await asyncpg.connect(dsn)
    assert await connection.fetchval("SELECT answer FROM kept") == 42
    await connection.close()
    async with redis.asyncio.from_url(url) as client:
        assert await client.get("kept") == b"42"


def test_service_starts_while_postgres_is_down(steered: RunningStack) -> None:
    """It need only live, so that a drill may begin in any order."""
    steered.stop("postgres")
    steered.kill("todo-svc")
    steered.start("todo-svc")
    assert _state(steered, "todo-svc") == "running"


def test_death_unasked_is_noticed(tmp_path: Path, fake_services: dict[str, str]) -> None:
    """`up` says it in one line, ends what the dead one left, keeps the others, and `start` brings it back."""
    with started_up(tmp_path, "--no-seed", "--workers=2", **fake_services) as process:
        stack = RunningStack(tmp_path)
        first, worker = stack.status()["todo-svc"]["pids"]
        os.kill(first, signal.SIGKILL)
        assert wait_until(lambda: worker not in process_table.read(), 5)
        assert _state(stack, "todo-svc") == "dead"
        assert _state(stack, "user-svc") == "running"
        stack.start("todo-svc")
        process.terminate()
        said = process.stdout.read() if process.stdout else ""
    assert said.count("todo-svc ended by itself: ./scripts/stack start todo-svc") == 1
    assert process.returncode == 0


def test_logs(fake_stack: RunningStack) -> None:
    """The last lines, as many as asked for."""
    said = _said(fake_stack, "logs", "postgres", "-n", "2")
    assert len(said.splitlines()) == 2
    assert all(" UTC [" in line for line in said.splitlines())


def test_logs_follow(fake_stack: RunningStack) -> None:
    """With -f new lines come as they are written, until Ctrl-C."""
    _ask(fake_stack, "/before")
    command = [sys.executable, "-m", "devstack", "stack", f"--data={fake_stack.data}", "logs", "todo-svc", "-f", "-n1"]
    with subprocess.Popen(command, env=bare_environment(), stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            assert "/before" in process.stdout.readline()
            _ask(fake_stack, "/after")
            assert "/after" in process.stdout.readline()
        finally:
            process.send_signal(signal.SIGINT)
    assert process.returncode == 130


def _ask(stack: RunningStack, path: str) -> None:
    assert probes.http_status(urlsplit(stack.todo_url).port or 0, path) == 200


def test_control_socket_is_private(fake_stack: RunningStack) -> None:
    """Nobody else may steer."""
    assert (fake_stack.data / "control.sock").stat().st_mode & 0o777 == 0o600


def test_nothing_runs(tmp_path: Path) -> None:
    """One line and code 1, with and without --data; a note of a stack that is gone is cleared away."""
    (tmp_path / "old.stack").write_text(str(tmp_path / "gone"))
    for arguments in ([f"--data={tmp_path}"], []):
        ended = _stack(*arguments, "stop", "redis", DEVSTACK_RUN=str(tmp_path))
        if arguments:
            assert ended.stderr == f"stack: no stack runs on {tmp_path}: start one with ./scripts/up\n"
        assert ended.returncode == 1
        assert ended.stderr.count("\n") == 1
    assert not list(tmp_path.glob("*.stack"))


def test_the_one_that_runs_is_found_and_two_are_told_apart(
    tmp_path: Path, fake_stack: RunningStack, fake_services: dict[str, str]
) -> None:
    """Without --data the running stack is meant; when several run they are listed."""
    run = fake_services["DEVSTACK_RUN"]
    assert fake_stack.user_url in _stack("status", DEVSTACK_RUN=run).stdout
    with started_up(tmp_path, "--no-seed", **fake_services):
        ended = _stack("status", DEVSTACK_RUN=run)
    assert ended.returncode == 1
    assert "several stacks run" in ended.stderr
    assert str(tmp_path) in ended.stderr
    assert str(fake_stack.data) in ended.stderr
