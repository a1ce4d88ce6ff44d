"""One of our services as a piece of the stack."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from devstack.probes import http_status
from devstack.processes import Launch, Server, StackError, wait_until

OK = 200


class Service(Server):
    """`python -m MODULE serve`, with an environment that stays the same over restarts."""

    patience = 20.0  # a service gives its open requests 10

    def __init__(self, name: str, folder: Path, port: int, workers: int) -> None:
        super().__init__(name, port, folder / f"logs/{name}.log")
        self.workers = workers
        self.environment: dict[str, str] = {}
        self._migration: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it is reached."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def module(self) -> list[str]:
        """How its program is run."""
        return [sys.executable, "-m", self.name.replace("-", "_")]

    def launch(self) -> Launch:
        """Its own server, on loopback."""
        where = ["--host", "127.0.0.1", "--port", str(self.port), "--workers", str(self.workers)]
        return Launch([*self.module, "serve", *where], env=self.environment)

    def answers(self) -> bool:
        """Whether it lives; it may do so without its database."""
        return http_status(self.port, "/health/live") == OK

    def ready(self) -> bool:
        """Whether it can serve, its database included."""
        return http_status(self.port, "/health/ready") == OK

    def wait_healthy(self, timeout: float = 20.0) -> None:
        """Return when it is ready; StackError when it only lives."""
        if not wait_until(lambda: self.ready() or not self.alive, timeout) or not self.alive:
            raise StackError(f"{self.name} lives but is not ready ({self.url}/health/ready); its log is {self.log}")

    def migrate(self) -> None:
        """Bring its database up to date; StackError with what it said when it cannot."""
        log = self.log.with_name(f"{self.name}-migrate.log")
        with log.open("wb") as output:
            launch = Launch([*self.module, "migrate"], env=self.environment)
            self._migration = launch.open(signal.SIGTERM, output.fileno())
        if code := self._migration.wait():
            end = log.read_text(errors="replace").splitlines()[-8:]
            raise StackError("\n".join([f"{self.name} migrate ended with code {code}:", *end]))

    def stop(self) -> None:
        """End it, its migration too."""
        if self._migration and self._migration.poll() is None:
            os.killpg(self._migration.pid, signal.SIGKILL)
        super().stop()
