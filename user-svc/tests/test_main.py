"""The command line of user-svc: it starts, migrates, or ends with one line that says why not."""

import asyncio
import base64
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from click.testing import CliRunner, Result
from msgspec.structs import fields

from common.migrations import LOCK
from common.telemetry.metrics import FOLDER
from common.testing import random_keys
from devstack.fixtures import TestPostgres, bare_environment
from devstack.ports import free_port
from devstack.up.service import Service
from user_svc.__main__ import main
from user_svc.models import metadata
from user_svc.settings import Settings

GOOD = {
    "DATABASE_URL": "postgresql://user:hush-hush@127.0.0.1:1/none",
    "REDIS_URL": "redis://:hush-hush@127.0.0.1:1/0",
    "JWT_KEYS": random_keys("first"),
    "MAIL_FOLDER": "mail",
}


def key(secret: bytes) -> str:
    """A ring of one key."""
    return f"first:{base64.urlsafe_b64encode(secret).decode()}"


PUBLISHED = bytes.fromhex("09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7")  # FastAPI's tutorial

WRONG: dict[str, tuple[dict[str, str], str]] = {
    "no keys": ({"JWT_KEYS": ""}, "JWT_KEYS is not set"),
    "no name": ({"JWT_KEYS": "hush-hush"}, "JWT_KEYS must look like kid:base64url[,kid:base64url]"),
    "no base64": ({"JWT_KEYS": "first:hush hush!"}, "JWT_KEYS holds a key first that is not base64url"),
    "a short key": (
        {"JWT_KEYS": key(secrets.token_bytes(31))},
        "JWT_KEYS holds a key first of 31 bytes; at least 32 are needed",
    ),
    "one letter": (
        {"JWT_KEYS": key(b"a" * 64)},
        "JWT_KEYS holds a key first of low entropy; make one from 32 random bytes",
    ),
    "a published key": ({"JWT_KEYS": key(PUBLISHED)}, "JWT_KEYS holds a key first that is a published example"),
    "jwt.io's secret": (
        {"JWT_KEYS": key(b"your-256-bit-secret")},
        "JWT_KEYS holds a key first that is a published example",
    ),
    "a weak second key": (
        {"JWT_KEYS": f"{random_keys('new')},{key(b'x' * 32)}"},
        "JWT_KEYS holds a key first of low entropy; make one from 32 random bytes",
    ),
    "one name twice": ({"JWT_KEYS": random_keys("first", "first")}, "JWT_KEYS names the key first twice"),
    "no database": ({"DATABASE_URL": ""}, "DATABASE_URL is not set"),
    "another database": (
        {"DATABASE_URL": "mysql://u:hush-hush@h/d"},
        "DATABASE_URL must look like postgresql://host:port",
    ),
    "no address": ({"DATABASE_URL": "hush-hush"}, "DATABASE_URL must look like postgresql://host:port"),
    "a port of letters": (
        {"DATABASE_URL": "postgresql://u:hush-hush@h:hush/d"},
        "DATABASE_URL must look like postgresql://host:port",
    ),
    "no Redis": ({"REDIS_URL": ""}, "REDIS_URL is not set"),
    "another store": ({"REDIS_URL": "http://hush-hush"}, "REDIS_URL must look like redis://host:port"),
    "any origin": (
        {"CORS_ORIGINS": "*"},
        "CORS_ORIGINS must name each origin; * is refused because answers carry credentials",
    ),
    "any origin among others": (
        {"CORS_ORIGINS": "https://a.example, *"},
        "CORS_ORIGINS must name each origin; * is refused because answers carry credentials",
    ),
    "an origin with a path": (
        {"CORS_ORIGINS": "https://a.example/hush"},
        "CORS_ORIGINS must be origins such as https://app.example.com, without a path",
    ),
    "an environment of its own": ({"ENVIRONMENT": "hush"}, "ENVIRONMENT must be one of production, development"),
    "a level of its own": ({"LOG_LEVEL": "hush"}, "LOG_LEVEL must be one of DEBUG, INFO, WARNING, ERROR"),
    "two sources": (
        {"JWT_KEYS_FILE": "/hush"},
        "JWT_KEYS and JWT_KEYS_FILE are both set",
    ),
    "two at once": ({"JWT_KEYS": "", "CORS_ORIGINS": "hush"}, ""),
}


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
    """What was asked of uvicorn, which does not run."""
    asked: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
    monkeypatch.setattr("uvicorn.run", lambda *words, **options: asked.append((words, options)))
    return asked


def invoke(*words: str, **variables: str) -> Result:
    """Run the program in this process with these variables and no others; what it sets itself ends with it."""
    names = [name for field in fields(Settings) for name in (field.name.upper(), f"{field.name.upper()}_FILE")]
    return CliRunner().invoke(main, list(words), env=dict.fromkeys([FOLDER, *names]) | variables)


@pytest.mark.parametrize(("changes", "told"), WRONG.values(), ids=WRONG)
def test_serve_refuses_a_wrong_setting(served: list[object], changes: dict[str, str], told: str) -> None:
    """Exit code 2, and one line that names the setting and never its value; nothing is served."""
    result = invoke("serve", "--port", "8001", **GOOD | changes)

    assert (result.exit_code, served) == (2, [])
    assert result.output.startswith(f"user-svc: {told}")
    assert result.output.count("\n") == 1
    assert not any(value in result.output for value in changes.values() if len(value) > 1)
    assert "hush" not in result.output


def test_every_wrong_setting_is_named_at_once() -> None:
    """Whoever sets up a service need not start it once per mistake."""
    result = invoke("serve", "--port", "8001", REDIS_URL="http://x", ARGON2_PASSES="0")

    assert [word for word in result.output.split() if word.isupper()] == [
        "DATABASE_URL",
        "REDIS_URL",
        "JWT_KEYS",
        "ARGON2_PASSES",
    ]


def test_serve_hands_the_app_to_uvicorn(served: list[tuple[tuple[Any, ...], dict[str, Any]]]) -> None:
    """Host, port and workers as asked for, the app by its name, so that each worker builds its own."""
    result = invoke("serve", "--host", "0.0.0.0", "--port", "8001", "--workers", "2", **GOOD)

    [(words, options)] = served
    assert (result.exit_code, words) == (0, ("user_svc.app:create_app",))
    assert {name: options[name] for name in ("factory", "host", "port", "workers")} == {
        "factory": True,
        "host": "0.0.0.0",
        "port": 8001,
        "workers": 2,
    }


@pytest.mark.parametrize("dsn", ["", "mysql://u:hush-hush@h/d"])
def test_migrate_refuses_a_wrong_address(dsn: str) -> None:
    """Exit code 2 and one line, before anything is connected."""
    result = invoke("migrate", DATABASE_URL=dsn)

    assert (result.exit_code, result.output.count("\n")) == (2, 1)
    assert result.output.startswith("user-svc: DATABASE_URL ")
    assert "hush" not in result.output


def test_migrate_says_when_there_is_no_database() -> None:
    """A database that cannot be reached, or lets nobody in, is one line and no traceback."""
    result = invoke("migrate", DATABASE_URL=GOOD["DATABASE_URL"])

    assert result.exit_code == 1
    assert result.output == (
        "user-svc: DATABASE_URL: the database cannot be reached right now (ConnectionRefusedError)\n"
    )


@pytest.mark.e2e
def test_the_program_ends_with_2_and_one_line() -> None:
    """`python -m user_svc serve` without its keys: the same in a real process, with nothing on standard output."""
    command = [sys.executable, "-m", "user_svc", "serve", "--port", "8001"]

    ended = subprocess.run(
        command,
        env=bare_environment(**GOOD | {"JWT_KEYS": ""}),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert (ended.returncode, ended.stdout, ended.stderr) == (2, "", "user-svc: JWT_KEYS is not set\n")


@pytest.fixture
async def empty_dsn(postgres_server: TestPostgres) -> AsyncIterator[str]:
    """A database without a table."""
    name = f"empty_{secrets.token_hex(6)}"
    yield await postgres_server.create_database(name)
    await postgres_server.drop_database(name)


async def migrate(dsn: str) -> tuple[int | None, bytes]:
    """Run `migrate` in a process of its own: its exit code, and all it said."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "user_svc", "migrate"),
        env=bare_environment(DATABASE_URL=dsn),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode, output


@pytest.mark.e2e
async def test_two_that_migrate_at_once_take_turns(empty_dsn: str) -> None:
    """Replicas that start together wait for each other and both succeed; a third run changes nothing."""
    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    held = await asyncpg.connect(empty_dsn)
    await held.fetch("SELECT pg_advisory_lock($1)", LOCK)
    both = asyncio.gather(migrate(empty_dsn), migrate(empty_dsn))
    async with asyncio.timeout(45):
        while await held.fetchval(waiting) != 2:
            pass
    await held.fetch("SELECT pg_advisory_unlock($1)", LOCK)

    ended = [*await both, await migrate(empty_dsn)]

    tables = await held.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
    await held.close()
    assert ended == [(0, b"")] * 3
    assert {table for (table,) in tables} == {"alembic_version", *metadata.tables}


@pytest.fixture
def service(settings: Settings, tmp_path: Path) -> Iterator[Service]:
    """`python -m user_svc serve`, running."""
    service = Service("user-svc", tmp_path, free_port(), workers=1)
    servers = {"DATABASE_URL": settings.database_url.reveal(), "REDIS_URL": settings.redis_url.reveal()}
    service.environment = bare_environment(**GOOD | servers)
    service.start()
    yield service
    service.stop()


@pytest.mark.e2e
async def test_a_real_process_serves_and_tells_no_secret(service: Service) -> None:
    """Register, log in, log out, SIGTERM: it ends cleanly, and its log holds no password, address or token."""
    process = service.process
    async with httpx.AsyncClient(base_url=service.url) as client:
        ann = {"email": "ann@example.com", "password": "correct horse battery"}
        registered = await client.post("/auth/register", json=ann)
        form = {"username": ann["email"], "password": ann["password"]}
        wrong = await client.post("/auth/jwt/login", data=form | {"password": "wrong horse battery"})
        login = await client.post("/auth/jwt/login", data=form)
        token = login.json()["access_token"]
        logout = await client.post("/auth/jwt/logout", headers={"Authorization": f"Bearer {token}"})
    service.stop()

    log = service.recent_log()
    assert [answer.status_code for answer in (registered, wrong, login, logout)] == [201, 400, 200, 204]
    assert process is not None
    assert (process.returncode, "Application shutdown complete" in log) == (0, True)
    assert log.count('"event":"request"') >= 4
    assert not any(secret in log for secret in ("horse", "ann@example.com", *token.split(".")[1:], "hush-hush"))
