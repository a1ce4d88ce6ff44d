"""The four pieces: what runs, what is somebody else's, and what each is called on."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devstack import ports
from devstack.embedded import Postgres, Valkey
from devstack.processes import Server, StackError
from devstack.up.options import Options
from devstack.up.service import Service
from devstack.up.settings import OWN_DATABASE, database_urls, given, service_environment


@dataclass(slots=True)
class Pieces:
    """The stack's parts; `postgres` or `redis` is None where the environment names a server of the user's."""

    options: Options
    folder: Path
    postgres: Postgres | None
    redis: Valkey | None
    services: tuple[Service, Service]

    @property
    def servers(self) -> dict[str, Server]:
        """Our own processes by name, in the order they depend on each other."""
        return {piece.name: piece for piece in (self.postgres, self.redis, *self.services) if piece}

    @property
    def database_server(self) -> str:
        """The server on which the services' databases are."""
        return self.postgres.dsn("postgres") if self.postgres else given("DATABASE_URL") or ""

    @property
    def redis_url(self) -> str:
        """The Redis both services use."""
        return self.redis.url if self.redis else given("REDIS_URL") or ""

    @property
    def mail_folder(self) -> Path | None:
        """Where user-svc's mails become files, once the services have their environment."""
        folder = self.services[0].environment.get("MAIL_FOLDER")
        return Path(folder) if folder else None

    def settle(self) -> None:
        """Give each service its environment, once the servers' addresses are known."""
        urls = database_urls(self.database_server)
        for service in self.services:
            service.environment = service_environment(self.options, self.folder, urls[service.name], self.redis_url)

    def check_ports(self) -> None:
        """Refuse before anything starts."""
        seen: dict[int, str] = {}
        for name, server in self.servers.items():
            port = server.port
            option = f"--{name.removesuffix('-svc')}-port"
            if port in seen:
                raise StackError(f"{name} and {seen[port]} cannot both have port {port}: choose another with {option}")
            seen[port] = name
            if reason := ports.refusal(port):
                raise StackError(f"port {port}, which {name} wants, {reason}: choose another with {option}")

    def status(self) -> dict[str, Any]:
        """What `stack status --json` says."""
        answer: dict[str, Any] = {
            service.name: {"state": service.state, "url": service.url, "pids": service.pids()}
            for service in self.services
        }
        databases = {service.name: service.environment.get("DATABASE_URL") for service in self.services}
        answer["postgres"] = {**_process(self.postgres), "databases": databases}
        answer["redis"] = {**_process(self.redis), "url": self.redis_url}
        answer["mail"] = str(self.mail_folder) if self.mail_folder else None
        return answer


def build(options: Options, folder: Path) -> Pieces:
    """Decide which servers are ours to run."""
    external = given("DATABASE_URL") or all(given(name) for name in OWN_DATABASE.values())
    return Pieces(
        options,
        folder,
        None if external else Postgres(folder, options.postgres_port),
        None if given("REDIS_URL") else Valkey(folder, options.redis_port),
        (
            Service("user-svc", folder, options.user_port, options.workers),
            Service("todo-svc", folder, options.todo_port, options.workers),
        ),
    )


def _process(server: Server | None) -> dict[str, Any]:
    return {"state": server.state, "pids": server.pids()} if server else {"state": "external", "pids": []}
