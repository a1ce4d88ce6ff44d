"""PgBouncer, where it is installed: a pooler in transaction mode on 127.0.0.1, before a PostgreSQL of ours."""

import shutil
from pathlib import Path
from urllib.parse import urlsplit

from devstack.embedded.postgres import Postgres
from devstack.embedded.secret import write_private
from devstack.probes import postgres_answers
from devstack.processes import BARE_ENVIRONMENT, Launch, Server


class PgBouncer(Server):
    """Its clients share `size` connections to each database; it has its configuration, and its log, in `folder`."""

    def __init__(self, program: Path, folder: Path, port: int, *, before: Postgres, size: int) -> None:
        super().__init__("pgbouncer", port, folder / "pgbouncer.log")
        self._program = program
        self._folder = folder
        self._postgres = before
        self._size = size

    def through(self, dsn: str) -> str:
        """The address of a database of that PostgreSQL, by way of this."""
        return dsn.replace(f":{self._postgres.port}/", f":{self.port}/", 1)

    def prepare(self) -> None:
        """Write its configuration: it takes the logins that PostgreSQL takes."""
        super().prepare()
        login = urlsplit(self._postgres.dsn("postgres"))
        write_private(self._folder / "users.txt", f'"{login.username}" "{login.password}"\n')
        settings = {
            "listen_addr": "127.0.0.1",
            "listen_port": self.port,
            "unix_socket_dir": "",
            "auth_type": "scram-sha-256",
            "auth_file": "users.txt",
            "pool_mode": "transaction",
            "default_pool_size": self._size,
            "max_client_conn": 200,
        }
        lines = ["[databases]", f"* = host=127.0.0.1 port={self._postgres.port}", "[pgbouncer]"]
        lines += [f"{key} = {value}" for key, value in settings.items()]
        write_private(self._folder / "pgbouncer.ini", "\n".join(lines))
        self._postgres.identity.take_over(self._folder)

    def launch(self) -> Launch:
        """The program, inside its folder, as whoever PostgreSQL runs as: it refuses root, too."""
        identity = self._postgres.identity.leash
        return Launch([self._program, "pgbouncer.ini"], env=BARE_ENVIRONMENT, cwd=self._folder, identity=identity)

    def answers(self) -> bool:
        """Whether it takes logins."""
        return postgres_answers(self.port)


def installed() -> Path | None:
    """The program, if there is one; Debian's lies where only root looks."""
    found = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin")
    return Path(found) if found else None
