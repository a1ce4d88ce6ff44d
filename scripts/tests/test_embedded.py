"""Embedded servers: they start, keep what they answered for, and say clearly why not."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncpg
import pytest
import redis

from devstack import probes, process_table
from devstack.embedded import Postgres, Valkey, identity
from devstack.embedded.postgres import LEFT_BEHIND, SERVICES
from devstack.fixtures import TestPostgres
from devstack.ports import free_port
from devstack.processes import StackError, send, wait_until


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[Postgres]:
    """A cluster of its own, durable as for `up`."""
    server = Postgres(tmp_path, free_port())
    server.start()
    yield server
    server.stop()


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[Valkey]:
    """A Valkey of its own, durable as for `up`."""
    server = Valkey(tmp_path, free_port())
    server.start()
    yield server
    server.stop()


async def _asked(dsn: str, statement: str) -> object:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


def _run(server: Postgres, statement: str, database: str = "postgres") -> object:
    """Ask one value, on a superuser's connection of its own."""
    return asyncio.run(_asked(server.admin_dsn(database), statement))


def test_rows_survive_a_restart(postgres: Postgres) -> None:
    """What was written is there after stop and start."""
    _run(postgres, "CREATE TABLE kept AS SELECT 42 AS answer")
    postgres.stop()
    postgres.start()
    assert _run(postgres, "SELECT answer FROM kept") == 42


def test_services_have_a_plain_role(postgres: Postgres) -> None:
    """No superuser, nothing that row-level security does not hold; it may make databases."""
    flags = "rolsuper::int, rolbypassrls::int, rolcreaterole::int, rolreplication::int, rolcreatedb::int"
    assert _run(postgres, f"SELECT ARRAY[{flags}] FROM pg_roles WHERE rolname = '{SERVICES}'") == [0, 0, 0, 0, 1]


def test_an_old_data_folder_is_handed_over(postgres: Postgres) -> None:
    """Of the time when services were superusers: their databases, tables and functions are the plain role's now."""
    _run(postgres, "CREATE DATABASE old")
    _run(postgres, "CREATE TABLE kept AS SELECT 42 AS answer", "old")
    _run(postgres, "CREATE FUNCTION two() RETURNS int LANGUAGE sql AS 'SELECT 2'", "old")
    postgres.stop()
    (postgres.folder / "postgres.role").unlink()
    postgres.start()
    dsn = postgres.dsn("old")
    assert asyncio.run(_asked(dsn, "UPDATE kept SET answer = answer + two() RETURNING answer")) == 44
    assert asyncio.run(_asked(dsn, "ALTER TABLE kept ADD COLUMN more int")) is None


def test_rows_survive_a_kill_of_everything(postgres: Postgres) -> None:
    """A committed row outlives SIGKILL to all processes; the lock file they left stops nobody."""
    _run(postgres, "CREATE TABLE kept AS SELECT 42 AS answer")
    postgres.kill()
    assert (postgres.cluster / "postmaster.pid").exists()
    postgres.start()
    assert _run(postgres, "SELECT answer FROM kept") == 42


def test_starts_at_once_after_its_postmaster_alone_was_killed(postgres: Postgres) -> None:
    """Children that have not yet noticed do not make the next start fail."""
    assert postgres.process
    family = process_table.family(postgres.process.pid, process_table.read())
    children = {entry for entry in family if entry.pid != postgres.process.pid}
    send(children, signal.SIGSTOP)
    postgres.process.kill()
    assert wait_until(lambda: not postgres.alive, 5)
    with ThreadPoolExecutor(1) as starter:
        start = starter.submit(postgres.start)
        assert wait_until(lambda: LEFT_BEHIND in postgres.recent_log(), 5)
        send(children, signal.SIGCONT)
        start.result()
        assert _run(postgres, "SELECT 1") == 1
        postgres.stop()  # it was tied to the thread that ends here


def test_lock_file_with_the_pid_of_a_stranger(postgres: Postgres) -> None:
    """After a reboot the old pid may be anybody's: the server starts all the same."""
    lock = postgres.cluster / "postmaster.pid"
    content = lock.read_text()
    postgres.stop()
    with subprocess.Popen(["sleep", "60"]) as stranger:
        lock.write_text(content.replace(content.split("\n", 1)[0], str(stranger.pid), 1))
        try:
            postgres.start()
        finally:
            stranger.kill()
    assert _run(postgres, "SELECT 1") == 1


def test_long_folder(tmp_path: Path) -> None:
    """A folder of 150 characters more is no obstacle: no socket's path depends on it."""
    server = Postgres(tmp_path / ("long" * 38), free_port(), durable=False)
    server.start()
    assert _run(server, "SELECT 1") == 1
    server.stop()


def test_root_without_namespaces_becomes_nobody(tmp_path: Path) -> None:
    """Inside a closed folder, the server runs as nobody; the next run may be by namespace again."""
    tmp_path.chmod(0o700)
    server = Postgres(tmp_path, free_port(), durable=False, identity=identity.as_nobody())
    if os.geteuid() != 0:  # only root can become somebody else
        with pytest.raises(StackError, match="refuses nobody"):
            server.start()
        return
    server.start()
    _run(server, "CREATE TABLE kept AS SELECT 42 AS answer")
    assert Path(f"/proc/{server.pids()[0]}").stat().st_uid == server.cluster.stat().st_uid != 0
    assert tmp_path.stat().st_mode & 0o777 == 0o700
    server.stop()
    other = Postgres(tmp_path, free_port(), durable=False)
    other.start()
    assert _run(other, "SELECT answer FROM kept") == 42
    other.stop()


def test_password_is_needed_and_nobody_elses_to_read(postgres: Postgres, valkey: Valkey) -> None:
    """Without it neither server lets anybody in; it stands in files of mode 0600 and in no argument."""
    with pytest.raises(asyncpg.InvalidPasswordError):
        asyncio.run(asyncpg.connect(postgres.dsn("postgres"), password="guess"))
    assert probes._ask("127.0.0.1", valkey.port, b"GET x\r\n").startswith(b"-NOAUTH")
    for name in ("postgres.password", "redis.password", "redis/valkey.conf"):
        assert (postgres.folder / name).stat().st_mode & 0o777 == 0o600
    arguments = [Path(f"/proc/{server.pids()[0]}/cmdline").read_text() for server in (postgres, valkey)]
    assert not any(valkey._password in text or postgres._password in text for text in arguments)


def test_valkey_keeps_its_data_through_a_kill(valkey: Valkey) -> None:
    """What it answered OK to is there after SIGKILL and start."""
    with redis.Redis.from_url(valkey.url) as client:
        client.set("kept", "42")
    valkey.kill()
    valkey.start()
    with redis.Redis.from_url(valkey.url) as client:
        assert client.get("kept") == b"42"


def test_data_of_another_major_version(postgres: Postgres) -> None:
    """Named with both versions and what to do, before anything is touched."""
    postgres.stop()
    (postgres.cluster / "PG_VERSION").write_text("16\n")
    with pytest.raises(StackError, match=r"was written by PostgreSQL '16', this is 18: move it away"):
        postgres.start()


def test_folder_that_is_no_cluster(tmp_path: Path) -> None:
    """A folder of that name with other things in it is not touched."""
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres/letter.txt").write_text("dear")
    with pytest.raises(StackError, match="holds no PostgreSQL data"):
        Postgres(tmp_path, free_port()).start()
    assert (tmp_path / "postgres/letter.txt").read_text() == "dear"


def test_corrupt_cluster_is_one_line(postgres: Postgres) -> None:
    """PostgreSQL's own reason, in one line, with the log to read."""
    postgres.stop()
    (postgres.cluster / "global/pg_control").write_bytes(b"rubbish")
    with pytest.raises(StackError, match=r"postgres did not start: .*pg_control.*its log is") as caught:
        postgres.start()
    assert "\n" not in str(caught.value)


def test_interrupted_initdb_is_no_obstacle(tmp_path: Path) -> None:
    """What a killed initdb left is replaced by a whole cluster."""
    (tmp_path / "postgres.new").mkdir()
    (tmp_path / "postgres.new/PG_VERSION").write_text("18\n")
    server = Postgres(tmp_path, free_port(), durable=False)
    server.start()
    server.stop()
    assert not (tmp_path / "postgres.new").exists()


def test_killed_parent_leaves_no_server(tmp_path: Path) -> None:
    """PostgreSQL and Valkey end when the program that started them is killed with -9, and end cleanly."""
    program = (
        "import sys, pathlib; from devstack.embedded import Postgres, Valkey; folder = pathlib.Path(sys.argv[1]);"
        "servers = Postgres(folder, int(sys.argv[2])), Valkey(folder, int(sys.argv[3]));"
        "[server.start() for server in servers];"
        "print(*(pid for server in servers for pid in server.pids()), flush=True); input()"
    )
    command = [sys.executable, "-c", program, str(tmp_path), str(free_port()), str(free_port())]
    parent = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    pids = set(map(int, parent.stdout.readline().split()))
    assert len(pids) > 5
    parent.kill()
    parent.communicate()
    assert wait_until(lambda: not pids & set(process_table.read()), 10)
    assert not (tmp_path / "postgres/postmaster.pid").exists()


async def test_fixture_database_comes_and_goes(postgres_server: TestPostgres) -> None:
    """A database is copied from its template with the rows, and dropped though somebody is connected."""
    template = await asyncpg.connect(await postgres_server.create_database("original"))
    await template.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    await template.close()
    copy = await asyncpg.connect(await postgres_server.create_database("copy", template="original"))
    assert await copy.fetchval("SELECT answer FROM kept") == 42
    for name in ("original", "copy"):
        await postgres_server.drop_database(name)
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        await asyncpg.connect(postgres_server.dsn("copy"))
    copy.terminate()


def test_fixture_redis_is_empty(redis_url: str, valkey_server: Valkey) -> None:
    """Flushing forgets every key."""
    with redis.Redis.from_url(redis_url) as client:
        client.set("kept", "42")
        valkey_server.flush()
        assert client.dbsize() == 0
