"""A PostgreSQL cluster: made once, started in the foreground on 127.0.0.1 with a password."""

import asyncio
import shutil
import signal
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncpg

from devstack import process_table
from devstack.embedded import identity as identities
from devstack.embedded.identity import Identity
from devstack.embedded.secret import kept_secret
from devstack.probes import postgres_answers
from devstack.processes import BARE_ENVIRONMENT, Launch, Server, StackError, wait_until

USER = "app"
SERVICES = "services"
MAJOR = "18"
INITDB = (
    f"--username={USER}",
    "--auth=scram-sha-256",
    "--encoding=UTF8",
    "--no-sync",
    "--no-instructions",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    f"--locale={'C.UTF-8' if sys.platform == 'linux' else 'C'}",
)
# A test's data need not outlive the machine's power; they do outlive a kill.
FLEETING = (
    "fsync=off",
    "full_page_writes=off",
    "wal_level=minimal",
    "max_wal_senders=0",
)
OLD_DATABASES = "SELECT datname FROM pg_database WHERE NOT datistemplate AND datname <> 'postgres'"
HAND_OVER = f"""
DO $$ DECLARE item record; BEGIN
    FOR item IN SELECT c.oid::regclass AS name FROM pg_class c
                WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' LOOP
        EXECUTE 'ALTER TABLE ' || item.name || ' OWNER TO {SERVICES}';
    END LOOP;
    FOR item IN SELECT p.oid::regprocedure AS name FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace LOOP
        EXECUTE 'ALTER FUNCTION ' || item.name || ' OWNER TO {SERVICES}';
    END LOOP;
END $$
"""  # noqa: S608 - our own name
LEFT_BEHIND = "shared memory block"
REASONS = ("PANIC:", "FATAL:", "ERROR:", "LOG:  could not", "postgres: ", "initdb: error:", "this system ")


class Postgres(Server):
    """The cluster in `folder`/postgres; it survives any kill, unless made `durable=False`."""

    stop_signal = signal.SIGINT  # fast shutdown
    patience = 60.0

    def __init__(
        self,
        folder: Path,
        port: int,
        *,
        durable: bool = True,
        log: Path | None = None,
        identity: Identity | None = None,
    ) -> None:
        super().__init__("postgres", port, log or folder / "logs/postgres.log")
        self.folder = folder
        self.cluster = folder / "postgres"
        self.durable = durable
        self.identity = identity or identities.choose()
        self._password = ""

    def dsn(self, database: str) -> str:
        """The address of one database for a service, with the password: not for logs.

        As in production its user is no superuser, whom row-level security would not hold; it may create databases.
        """
        return self._dsn(SERVICES, database)

    def admin_dsn(self, database: str) -> str:
        """The address for the superuser."""
        return self._dsn(USER, database)

    def prepare(self) -> None:
        """Make the cluster when there is none; refuse one that cannot work, in words."""
        super().prepare()
        if self.cluster.exists():
            self._check_cluster()
            self._password = kept_secret(self._password_file)
        else:
            self._password = kept_secret(self._password_file)
            self._make_cluster()
        self.identity.take_over(self.cluster)
        self._drop_stale_lock()

    def launch(self) -> Launch:
        """The postmaster, on TCP only: a socket's path has no room for a long folder."""
        settings = [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            *(() if self.durable else FLEETING),
        ]
        options = [option for setting in settings for option in ("-c", setting)]
        data = self.identity.data_path(self.cluster)
        return Launch(
            [self.identity.binaries / "postgres", "-D", data, "-p", str(self.port), *options],
            cwd=self.cluster,
            env=BARE_ENVIRONMENT,
            identity=self.identity.leash,
        )

    def answers(self) -> bool:
        """Whether it takes logins."""
        return postgres_answers(self.port)

    def wait_ready(self, timeout: float = 60.0) -> None:
        """As for every server; after a killed postmaster, try again until its children have noticed."""
        try:
            super().wait_ready(timeout)
        except StackError:
            if LEFT_BEHIND not in self.recent_log() or timeout <= 0:
                raise
            wait_until(lambda: False, 0.2)
            self.spawn()
            self.wait_ready(timeout - 1)
        if not self._role_made.exists():
            with ThreadPoolExecutor(1) as thread:  # whoever starts a server may have a loop running
                thread.submit(asyncio.run, self._make_role()).result()
            self._role_made.touch()

    def failure(self) -> str:
        """PostgreSQL's own reason."""
        return f"postgres did not start: {_reason(self.recent_log())} (its log is {self.log})"

    def _dsn(self, user: str, database: str) -> str:
        return f"postgresql://{user}:{self._password}@127.0.0.1:{self.port}/{database}"

    async def _make_role(self) -> None:
        await self._as_admin("postgres", f"DROP ROLE IF EXISTS {SERVICES}")
        await self._as_admin("postgres", f"CREATE ROLE {SERVICES} LOGIN CREATEDB PASSWORD '{self._password}'")
        for database in await self._as_admin("postgres", OLD_DATABASES):  # of the time when services were superusers
            await self._as_admin("postgres", f'ALTER DATABASE "{database[0]}" OWNER TO {SERVICES}')
            await self._as_admin(database[0], HAND_OVER)

    async def _as_admin(self, database: str, statement: str) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self.admin_dsn(database))
        try:
            return list(await connection.fetch(statement))
        finally:
            await connection.close()

    @property
    def _role_made(self) -> Path:
        return self.folder / "postgres.role"

    @property
    def _password_file(self) -> Path:
        return self.folder / "postgres.password"

    def _check_cluster(self) -> None:
        version = self.cluster / "PG_VERSION"
        if not version.exists():
            raise StackError(f"{self.cluster} holds no PostgreSQL data: move it away, or choose another --data folder")
        if (found := version.read_text(encoding="ascii", errors="replace").strip()) != MAJOR:
            raise StackError(
                f"{self.cluster} was written by PostgreSQL {found!r}, this is {MAJOR}:"
                " move it away, or choose another --data folder"
            )
        if not self._password_file.exists():
            raise StackError(
                f"{self._password_file} is missing: put it back, or move {self.cluster} away to start anew"
            )

    def _make_cluster(self) -> None:
        """Run initdb beside the place, then move: an interrupted one leaves nothing to trip on."""
        draft = self.cluster.with_name("postgres.new")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700, parents=True)
        self.identity.take_over(draft)
        # In the system's temporary folder, where the identity can read it.
        with tempfile.NamedTemporaryFile("w", encoding="ascii") as password, self.log.open("ab") as log:
            password.write(self._password)
            password.flush()
            self.identity.take_over(Path(password.name))
            start = log.tell()
            code = self._initdb(draft, password.name).open(signal.SIGKILL, log.fileno()).wait()
        if code:
            said = self.log.read_bytes()[start:].decode(errors="replace")
            raise StackError(f"the PostgreSQL data folder could not be made: {_reason(said)} (see {self.log})")
        self._role_made.unlink(missing_ok=True)
        draft.rename(self.cluster)

    def _initdb(self, folder: Path, password_file: str) -> Launch:
        data = self.identity.data_path(folder)
        return Launch(
            [self.identity.binaries / "initdb", "-D", data, f"--pwfile={password_file}", *INITDB],
            cwd=folder,
            env=BARE_ENVIRONMENT,
            identity=self.identity.leash,
        )

    def _drop_stale_lock(self) -> None:
        """PostgreSQL takes any process with the pid of its lock file for itself, even after a reboot."""
        lock = self.cluster / "postmaster.pid"
        if lock.exists():
            first = lock.read_text(encoding="utf-8", errors="replace").split("\n", 1)[0]
            owner = process_table.read().get(int(first)) if first.isdigit() else None
            if owner is None or not owner.name.startswith("postgres"):
                lock.unlink()


def superuser(dsn: str) -> str:
    """A service's address for the superuser instead, who has the same password."""
    return dsn.replace(f"://{SERVICES}:", f"://{USER}:", 1)


def _reason(log: str) -> str:
    lines = [line for line in log.splitlines() if any(reason in line for reason in REASONS)]
    text = lines[-1] if lines else "it said nothing"
    return text.partition("] ")[2] or text
