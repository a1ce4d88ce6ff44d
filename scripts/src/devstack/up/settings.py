"""What `up` takes from the environment, and makes up for the services where the environment is silent."""

import base64
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from devstack.embedded.secret import kept_secret
from devstack.processes import StackError
from devstack.up.options import Options

DEMO_EMAIL, DEMO_PASSWORD = "demo@example.com", "correct-horse-battery"
DATABASES = {"user-svc": "user_svc", "todo-svc": "todo_svc"}
OWN_DATABASE = {"user-svc": "USER_DATABASE_URL", "todo-svc": "TODO_DATABASE_URL"}
MANY = "60000"  # everybody here has the same address: a seed of thousands of accounts, too
# What `up` reads itself, and replaces for each service; a pooler would be another database's.
TAKEN = ("DATABASE_URL", "DATABASE_POOLER", "DATABASE_DIRECT_URL", "REDIS_URL", *OWN_DATABASE.values())


def given(name: str) -> str | None:
    """The variable's value, or the content of the file that NAME_FILE names."""
    if value := os.environ.get(name):
        return value
    if not (file := os.environ.get(f"{name}_FILE")):
        return None
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise StackError(f"{name}_FILE names {file}, which cannot be read: {error.strerror}") from error


def database_urls(server: str) -> dict[str, str]:
    """Each service's database: the one named for it, else the one of its own name on the server."""
    return {
        service: plain(given(OWN_DATABASE[service]) or on_server(server, database))
        for service, database in DATABASES.items()
    }


def on_server(server: str, database: str) -> str:
    """The address of another database of the same server."""
    return urlunsplit(urlsplit(server)._replace(path=f"/{database}"))


def plain(url: str) -> str:
    """The address without a driver's name in its scheme."""
    scheme, separator, rest = url.partition("://")
    return f"{scheme.partition('+')[0]}{separator}{rest}"


def service_environment(options: Options, folder: Path, database_url: str, redis_url: str) -> dict[str, str]:
    """This process' environment, completed: nothing that is set is overruled."""
    inherited = {name: value for name, value in os.environ.items() if name.removesuffix("_FILE") not in TAKEN}
    silent = {
        name: value
        for name, value in _made_up(options, folder, inherited).items()
        if name not in inherited and f"{name}_FILE" not in inherited
    }
    return inherited | silent | {"DATABASE_URL": database_url, "REDIS_URL": redis_url}


def _made_up(options: Options, folder: Path, inherited: Mapping[str, str]) -> dict[str, str]:
    ports = (options.user_port, options.todo_port)
    made_up = {
        "ENVIRONMENT": "development",
        "JWT_KEYS": kept_secret(folder / "jwt-key", _new_key),
        "CORS_ORIGINS": ",".join(f"http://{host}:{port}" for host in ("127.0.0.1", "localhost") for port in ports),
        "LOG_FORMAT": "json",
        "MAIL_FOLDER": str(folder / "mail"),
        "PUBLIC_URL": f"http://127.0.0.1:{options.user_port}",
        "USER_SVC_URL": f"http://127.0.0.1:{options.user_port}",
        "TRUSTED_PROXIES": "127.0.0.0/8,::1/128",  # the service that passes logins on
    }
    if inherited.get("ENVIRONMENT", "development") == "development":
        made_up["DOCS_LOGIN"] = f"{DEMO_EMAIL}:{DEMO_PASSWORD}"
        made_up["THROTTLE_ADDRESS_PER_MINUTE"] = MANY
    return made_up


def _new_key() -> str:
    return "dev:" + base64.urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip("=")


def plain_address(url: str) -> str:
    """Host and port of an address, or several of them, without its user and password."""
    return urlsplit(url).netloc.rpartition("@")[2]
