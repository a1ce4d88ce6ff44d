"""`up`: what it starts, what it refuses, what it leaves behind."""

import asyncio
import contextlib
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import asyncpg
import pytest

from devstack import process_table
from devstack.fixtures import RunningStack, TestPostgres, bare_environment, started_up
from devstack.ports import free_port
from devstack.processes import StackError, wait_until
from devstack.up.options import parse

Variables = dict[str, str]


def _up(*options: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Run an `up` that is expected to end by itself."""
    command = [sys.executable, "-m", "devstack", "up", "--no-seed", *options]
    return subprocess.run(
        command, env=bare_environment(**variables), capture_output=True, text=True, timeout=30, check=False
    )


def _free_ports() -> list[str]:
    return [f"--{name}-port={free_port()}" for name in ("user", "todo", "postgres", "redis")]


@pytest.fixture
def own_server(postgres_server: TestPostgres) -> Iterator[TestPostgres]:
    """A PostgreSQL of the user's own, without databases of ours before and after."""

    async def tidy() -> None:
        for name in ("user_svc", "todo_svc"):
            await postgres_server.drop_database(name)

    asyncio.run(tidy())
    yield postgres_server
    asyncio.run(tidy())


def _environment_of(url: str) -> Variables:
    with urlopen(f"{url}/environment") as answer:
        told: Variables = json.load(answer)
    return told


@contextlib.contextmanager
def _nothing_left(data: Path) -> Iterator[None]:
    """After the block no process names the data folder or runs in it."""
    yield
    assert wait_until(lambda: not _living_in(data), 10), _living_in(data)


def _living_in(data: Path) -> set[int]:
    found = set()
    for pid in process_table.read():
        with contextlib.suppress(OSError):
            if str(data) in f"{Path(f'/proc/{pid}/fd/1').readlink()} {Path(f'/proc/{pid}/cwd').readlink()}":
                found.add(pid)
    return found


def test_starts_everything_and_ends_cleanly(tmp_path: Path, fake_services: Variables) -> None:
    """All pieces run when it says `ready`; SIGTERM ends all, code 0, and the data folder is as private as can be."""
    with _nothing_left(tmp_path), started_up(tmp_path, "--no-seed", **fake_services) as process:
        status = RunningStack(tmp_path).status()
        assert {piece["state"] for name, piece in status.items() if name != "mail"} == {"running"}
        assert len(_living_in(tmp_path)) > 4
    assert process.returncode == 0
    assert (tmp_path / "jwt-key").stat().st_mode & 0o777 == 0o600
    assert not (tmp_path / "control.sock").exists()


def test_killed_with_9_leaves_nothing_and_starts_again(tmp_path: Path, fake_services: Variables) -> None:
    """Servers and services with their workers end with the supervisor; the next `up` on the data just works."""
    with _nothing_left(tmp_path), started_up(tmp_path, "--no-seed", "--workers=2", **fake_services) as process:
        process.kill()
    with started_up(tmp_path, "--no-seed", **fake_services) as process:
        pass
    assert process.returncode == 0


def test_frozen_pieces_of_a_killed_up_are_ended_by_the_next(tmp_path: Path, fake_services: Variables) -> None:
    """A paused process cannot heed the end of its parent: the next start sees to it."""
    with started_up(tmp_path, "--no-seed", **fake_services) as process:
        stack = RunningStack(tmp_path)
        for name in ("postgres", "redis", "user-svc"):
            stack.pause(name)
        process.kill()
    with _nothing_left(tmp_path), started_up(tmp_path, "--no-seed", **fake_services):
        pass


def test_key_stays_the_same_and_is_never_shown(tmp_path: Path, fake_services: Variables) -> None:
    """The development key is made once; neither key nor passwords are printed."""
    keys = []
    for _ in range(2):
        with started_up(tmp_path, "--no-seed", **fake_services) as process:
            told = _environment_of(RunningStack(tmp_path).user_url)
            keys.append(told["JWT_KEYS"])
            process.terminate()
            said = process.stdout.read() if process.stdout else ""
        assert keys[0].partition(":")[2] not in said
    assert keys[0] == keys[1]
    assert keys[0].startswith("dev:")


def test_environment_wins(tmp_path: Path, fake_services: Variables) -> None:
    """What is set is passed on as it is; the rest is made up, the databases always."""
    own = {"JWT_KEYS": "mine:abc", "CORS_ORIGINS": "https://a.example", "LOG_LEVEL": "DEBUG", "EXTRA": "1"}
    with started_up(tmp_path, "--no-seed", **fake_services, **own):
        told = _environment_of(RunningStack(tmp_path).todo_url)
    assert {name: told[name] for name in own} == own
    assert told["ENVIRONMENT"] == "development"
    assert told["DATABASE_URL"].endswith("/todo_svc")
    assert told["MAIL_FOLDER"] == str(tmp_path / "mail")


def test_taken_port(tmp_path: Path, fake_services: Variables) -> None:
    """One line with the port, who wanted it and the option; nothing was started."""
    with socket.create_server(("127.0.0.1", 0)) as listener, _nothing_left(tmp_path):
        port = listener.getsockname()[1]
        ended = _up(f"--data={tmp_path}", *_free_ports(), f"--todo-port={port}", **fake_services)
    assert ended.returncode == 1
    assert ended.stderr == f"up: port {port}, which todo-svc wants, is taken: choose another with --todo-port\n"
    assert not (tmp_path / "postgres").exists()


def test_same_port_twice(tmp_path: Path, fake_services: Variables) -> None:
    """Two pieces on one port is refused before anything starts."""
    port = free_port()
    ended = _up(f"--data={tmp_path}", *_free_ports(), f"--user-port={port}", f"--todo-port={port}", **fake_services)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert f"cannot both have port {port}" in ended.stderr


def test_second_up_on_the_same_data(tmp_path: Path, fake_services: Variables) -> None:
    """It says who is there already, and the first goes on."""
    with started_up(tmp_path, "--no-seed", **fake_services) as first:
        ended = _up(f"--data={tmp_path}", *_free_ports(), **fake_services)
        assert ended.returncode == 1
        assert f"another `up` (pid {first.pid}) runs on {tmp_path}" in ended.stderr
        assert RunningStack(tmp_path).status()["postgres"]["state"] == "running"


@pytest.mark.parametrize("step", ["migrate", "serve"])
def test_service_that_fails_to_come_up(tmp_path: Path, fake_services: Variables, step: str) -> None:
    """What it said last is shown, everything else is stopped, code 1."""
    with _nothing_left(tmp_path):
        ended = _up(f"--data={tmp_path}", *_free_ports(), **fake_services, FAKE_FAILURE=step)
    assert ended.returncode == 1
    assert f"fake failure of {step}" in ended.stderr
    assert "ready" not in ended.stdout


def test_folder_of_other_things_is_not_used(tmp_path: Path) -> None:
    """A folder that holds somebody's files is left alone."""
    (tmp_path / "letter.txt").write_text("dear")
    ended = _up(f"--data={tmp_path}")
    assert ended.returncode == 1
    assert ended.stderr == f"up: {tmp_path} holds other things: choose an empty folder with --data\n"


def test_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """One line, no traceback."""
    (tmp_path / "file").touch()
    ended = _up(f"--data={tmp_path}/file/data")
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"up: cannot write to {tmp_path}/file/data (Not a directory)")


def test_ephemeral_leaves_no_folder(tmp_path: Path, fake_services: Variables) -> None:
    """Its temporary folder is gone when it has ended."""
    environment = bare_environment(**fake_services, TMPDIR=str(tmp_path))
    command = [sys.executable, "-m", "devstack", "up", "--no-seed", "--ephemeral", *_free_ports()]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert "ready\n" in iter(process.stdout.readline, "")
        assert list(tmp_path.glob("gatehouse-*/postgres"))
        process.send_signal(signal.SIGINT)
    assert process.returncode == 0
    assert not list(tmp_path.glob("gatehouse-*/postgres*"))


async def test_external_server(tmp_path: Path, fake_services: Variables, own_server: TestPostgres) -> None:
    """DATABASE_URL's server is used, given the databases it lacks, and left running."""
    url = own_server.dsn("postgres")
    with started_up(tmp_path, "--no-seed", **fake_services, DATABASE_URL=url, REDIS_URL="redis://127.0.0.1:1/0"):
        status = RunningStack(tmp_path).status()
        assert status["postgres"]["state"] == status["redis"]["state"] == "external"
        assert status["postgres"]["databases"]["user-svc"] == own_server.dsn("user_svc")
        assert _environment_of(status["user-svc"]["url"])["REDIS_URL"] == "redis://127.0.0.1:1/0"
        with pytest.raises(StackError, match="postgres is external"):
            RunningStack(tmp_path).stop("postgres")
    connection = await asyncpg.connect(own_server.dsn("todo_svc"))
    await connection.close()
    assert not (tmp_path / "postgres").exists()


async def test_own_database_of_one_service_wins(
    tmp_path: Path, fake_services: Variables, own_server: TestPostgres
) -> None:
    """USER_DATABASE_URL is used exactly; only the other service's database is created."""
    servers = {"DATABASE_URL": own_server.dsn("postgres"), "USER_DATABASE_URL": "postgresql://elsewhere/mine"}
    with started_up(tmp_path, "--no-seed", **fake_services, **servers):
        databases = RunningStack(tmp_path).status()["postgres"]["databases"]
    assert databases == {"user-svc": "postgresql://elsewhere/mine", "todo-svc": own_server.dsn("todo_svc")}
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        await asyncpg.connect(own_server.dsn("user_svc"))


async def test_no_right_to_create(tmp_path: Path, fake_services: Variables, own_server: TestPostgres) -> None:
    """One line that names the databases to create and the variables to set, without the password."""
    await own_server._execute("CREATE ROLE small LOGIN PASSWORD 'very-secret'")
    url = f"postgresql://small:very-secret@127.0.0.1:{own_server.port}/postgres"
    ended = _up(f"--data={tmp_path}", *_free_ports(), **fake_services, DATABASE_URL=url)
    assert ended.returncode == 1
    assert "create user_svc and todo_svc there, or set USER_DATABASE_URL and TODO_DATABASE_URL" in ended.stderr
    assert "very-secret" not in ended.stderr + ended.stdout
    await own_server._execute("DROP ROLE small")


def test_external_server_that_is_not_there(tmp_path: Path, fake_services: Variables) -> None:
    """One line that names the variable."""
    url = f"postgresql://me:very-secret@127.0.0.1:{free_port()}/x"
    ended = _up(f"--data={tmp_path}", *_free_ports(), **fake_services, DATABASE_URL=url)
    assert ended.returncode == 1
    assert ended.stderr.startswith("up: cannot connect to the PostgreSQL that DATABASE_URL names: ")
    assert "very-secret" not in ended.stderr


@pytest.mark.parametrize("options", [["--user-port=0"], ["--workers=0"], ["--data=x", "--ephemeral"], ["more"]])
def test_wrong_option(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong option ends with code 2 and the usage."""
    with pytest.raises(SystemExit) as ended:
        parse(options)
    assert ended.value.code == 2
    assert "usage: ./scripts/up" in capsys.readouterr().err
