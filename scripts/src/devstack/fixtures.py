"""pytest plugin: one real PostgreSQL and Valkey per worker, a database per call, a whole stack on demand."""

import asyncio
import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from devstack import control
from devstack.embedded import Postgres, Valkey
from devstack.embedded.postgres import SERVICES
from devstack.ports import free_port
from devstack.processes import StackError
from devstack.up.service import Service

DatabaseFactory = Callable[[str], Awaitable[str]]
MEMORY, PROC = Path("/dev/shm"), Path("/proc")  # noqa: S108 - Linux
OURS = "gatehouse_tests-"
PLENTY = 2**30  # bytes
READY = "ready\n"
PATIENCE = 40  # seconds: every piece may take its own 15 to end
KEPT_VARIABLES = ("PATH", "HOME", "LANG", "TMPDIR", "VIRTUAL_ENV")
KEPT_PREFIXES = ("PYTHON", "COV", "UV_", "LC_")
# Logins that cost little, as many as a test likes.
QUICK_LOGINS = {"ARGON2_MEMORY_KIB": "8", "ARGON2_PASSES": "1", "THROTTLE_ACCOUNT_PER_MINUTE": "0"}


def bare_environment(**variables: str) -> dict[str, str]:
    """This process' environment without the developer's own settings of the services, plus `variables`."""
    kept = {
        name: value for name, value in os.environ.items() if name in KEPT_VARIABLES or name.startswith(KEPT_PREFIXES)
    }
    return kept | variables


class TestPostgres(Postgres):
    """A PostgreSQL whose databases come and go with the tests."""

    __test__ = False

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, free_port(), durable=False)
        self._migrated: set[str] = set()

    async def create_database(self, name: str, template: str | None = None) -> str:
        """Make a database, a copy of `template` if named; return its DSN."""
        copied = f' TEMPLATE "{template}" STRATEGY FILE_COPY' if template else ""
        await self._execute(f'CREATE DATABASE "{name}" OWNER {SERVICES}{copied}')
        return self.dsn(name)

    async def drop_database(self, name: str) -> None:
        """Remove a database, whoever is still connected."""
        await self._execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    async def template(self, service: str) -> str:
        """The name of a database migrated by the service's own `migrate`, made on first use."""
        name = f"template_{service}"
        if service not in self._migrated:
            await self.drop_database(name)
            await asyncio.to_thread(migrate, service, await self.create_database(name))
            self._migrated.add(service)
        return name

    async def _execute(self, statement: str) -> None:
        await self._as_admin("postgres", statement)


class RunningStack:
    """A whole stack started by `up`, steered over its control socket."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.user_url: str = self.status()["user-svc"]["url"]
        self.todo_url: str = self.status()["todo-svc"]["url"]

    def status(self) -> dict[str, Any]:
        """What `stack status --json` says."""
        return dict(control.ask(self.data, "status"))

    def start(self, name: str) -> None:
        """Bring a piece up; return when it is ready."""
        control.ask(self.data, "start", name)

    def stop(self, name: str) -> None:
        """End a piece cleanly; return when it is gone."""
        control.ask(self.data, "stop", name)

    def kill(self, name: str) -> None:
        """SIGKILL a piece; return when it is gone."""
        control.ask(self.data, "kill", name)

    def pause(self, name: str) -> None:
        """Freeze a piece."""
        control.ask(self.data, "pause", name)

    def resume(self, name: str) -> None:
        """Thaw a piece."""
        control.ask(self.data, "resume", name)

    def another_todo_svc(self, folder: Path, *, workers: int = 1, user_url: str | None = None) -> Service:
        """One more todo-svc on the stack's servers, not yet started; it may look for user-svc elsewhere."""
        status = self.status()
        service = Service("todo-svc", folder, free_port(), workers)
        service.environment = bare_environment(
            ENVIRONMENT="development",
            DATABASE_URL=status["postgres"]["databases"]["todo-svc"],
            REDIS_URL=status["redis"]["url"],
            JWT_KEYS=self.keys,
            USER_SVC_URL=user_url or self.user_url,
        )
        return service

    @property
    def keys(self) -> str:
        """Its JWT_KEYS."""
        return (self.data / "jwt-key").read_text().strip()

    def restore(self) -> None:
        """Have every piece running again."""
        for name, piece in self.status().items():
            if name == "mail":
                continue
            if piece["state"] == "paused":
                self.resume(name)
            self.start(name)


def migrate(service: str, dsn: str) -> None:
    """Run the service's own `migrate` on an empty database."""
    environment = bare_environment(
        ENVIRONMENT="development",
        DATABASE_URL=dsn,
        REDIS_URL="redis://127.0.0.1:1/0",
        JWT_KEYS=f"test:{secrets.token_urlsafe(32)}",
        USER_SVC_URL="http://127.0.0.1:1",
    )
    command = [sys.executable, "-m", service, "migrate"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=50, check=False)
    if done.returncode:
        raise StackError(f"{service} migrate ended with {done.returncode}:\n{done.stdout}{done.stderr}")


@contextlib.contextmanager
def quick_folder(factory: pytest.TempPathFactory, name: str) -> Iterator[Path]:
    """A folder in memory where there is plenty: databases that come and go by the hundred are slow on a disk."""
    if not MEMORY.is_dir() or shutil.disk_usage(MEMORY).free < PLENTY:
        yield factory.mktemp(name)
        return
    for left in MEMORY.glob(f"{OURS}*"):  # by a test run that was killed
        if not (PROC / left.name.split("-")[1]).exists():
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=MEMORY, prefix=f"{OURS}{os.getpid()}-{name}-") as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestPostgres]:
    """The worker's PostgreSQL; a test that stops or pauses it starts or resumes it."""
    with quick_folder(tmp_path_factory, "postgres") as folder:
        server = TestPostgres(folder)
        server.start()
        yield server
        server.stop()


@pytest.fixture(scope="session")
def valkey_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """The worker's Valkey; a test that stops or pauses it starts or resumes it."""
    server = Valkey(tmp_path_factory.mktemp("valkey"), free_port(), durable=False)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def redis_url(valkey_server: Valkey) -> str:
    """The address of an empty Valkey."""
    valkey_server.resume()
    if not valkey_server.alive:
        valkey_server.start()
    valkey_server.flush()
    return valkey_server.url


@pytest.fixture
async def database(postgres_server: TestPostgres) -> AsyncIterator[DatabaseFactory]:
    """A factory: awaited with "user_svc", it gives the DSN of a fresh database with that service's tables."""
    made: list[str] = []

    async def make(service: str) -> str:
        made.append(f"{service}_{secrets.token_hex(6)}")
        return await postgres_server.create_database(made[-1], template=await postgres_server.template(service))

    yield make
    postgres_server.resume()
    if not postgres_server.alive:
        postgres_server.start()
    for name in made:
        await postgres_server.drop_database(name)


@contextlib.contextmanager
def started_up(data: Path, *options: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """Run `up` on free ports until the block ends; enter the block when it says `ready`."""
    ports = [f"--{name}-port={free_port()}" for name in ("user", "todo", "postgres", "redis")]
    command = [sys.executable, "-m", "devstack", "up", f"--data={data}", *ports, *options]
    environment = bare_environment(**{"DEVSTACK_RUN": str(data / "run"), "PYTHONFAULTHANDLER": "1", **variables})
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            said = list(_until_ready(process.stdout or ()))
            if said[-1:] != [READY]:
                raise StackError("up did not start:\n" + "".join(said))
            yield process
        finally:
            process.terminate()
            _await_end(process)


def _await_end(process: "subprocess.Popen[str]") -> None:
    """Return when it has ended; one that hangs says where (PYTHONFAULTHANDLER) and fails the test."""
    try:
        process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)
        said, _ = process.communicate()
        raise StackError(f"up did not end within {PATIENCE} seconds:\n{said}") from None


def _until_ready(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        yield line
        if line == READY:
            return


@contextlib.contextmanager
def started(*services: Service) -> Iterator[None]:
    """Run these side by side until the block ends; enter the block when all are ready."""
    try:
        for service in services:
            service.prepare()
            service.spawn()
        for service in services:
            service.wait_ready()
            service.wait_healthy()
        yield
    finally:
        for service in services:
            service.kill()


@pytest.fixture(scope="session")
def running_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """A real `up` on free ports, for the whole session; tests take `stack`, and are of the xdist group `stack`."""
    with (
        quick_folder(tmp_path_factory, "stack") as data,
        started_up(data, "--no-seed", **QUICK_LOGINS) as process,
    ):
        yield RunningStack(data)
    if process.returncode:
        pytest.fail(f"up ended with code {process.returncode}")


@pytest.fixture
def stack(running_stack: RunningStack) -> Iterator[RunningStack]:
    """The running stack; whatever the test did to its pieces is undone after it."""
    yield running_stack
    running_stack.restore()
