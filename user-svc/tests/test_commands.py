"""`user-svc users`: what an operator does at the command line, one line for every error."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import httpx
import pytest
from click.testing import CliRunner, Result
from msgspec.structs import fields

from common.testing import random_keys, session_of
from user_svc.__main__ import main
from user_svc.settings import Settings

ANN = "ann@example.com"
PASSWORD = "correct horse battery"

Run = Callable[..., Awaitable[Result]]
Rows = Callable[..., Awaitable[list[tuple[Any, ...]]]]
Call = Callable[..., Awaitable[httpx.Response]]

FLAGS = "SELECT email, is_active, is_superuser, is_verified FROM accounts ORDER BY created_at, id"


def invoke(*words: str, line: str = "", **variables: str) -> Result:
    """Run the program with these variables and no others; `line` is its standard input, which is no terminal."""
    names = [name for field in fields(Settings) for name in (field.name.upper(), f"{field.name.upper()}_FILE")]
    return CliRunner().invoke(main, ["users", *words], input=line, env=dict.fromkeys(names) | variables)


@pytest.fixture
def users(settings: Settings) -> Run:
    """Run `user-svc users` on the test's database, in a thread: it has an event loop of its own."""
    variables = {
        "ENVIRONMENT": "development",
        "DATABASE_URL": settings.database_url.reveal(),
        "REDIS_URL": settings.redis_url.reveal(),
        "JWT_KEYS": random_keys(),
        "ARGON2_MEMORY_KIB": "8",
        "ARGON2_PASSES": "1",
    }

    async def run(*words: str, line: str = "") -> Result:
        return await asyncio.to_thread(invoke, *words, line=line, **variables)

    return run


async def test_the_first_superuser(users: Run, rows: Rows, client: httpx.AsyncClient, login: Call) -> None:
    """`create --superuser` takes the password from standard input; the account can log in and administrate."""
    result = await users("create", ANN, "--superuser", line=f"{PASSWORD}\n")

    assert result.exit_code == 0
    assert result.output.split()[1:] == [ANN, "superuser", "verified"]
    assert await rows(FLAGS) == [(ANN, True, True, True)]
    token = (await login(ANN)).json()["access_token"]
    answer = await client.get("/users", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200


async def test_a_plain_account(users: Run, rows: Rows) -> None:
    """Without `--superuser` an account has no power, and the password is never shown."""
    result = await users("create", ANN, line=f"{PASSWORD}\r\n")

    assert (result.exit_code, PASSWORD in result.output) == (0, False)
    assert await rows(FLAGS) == [(ANN, True, False, False)]


@pytest.mark.parametrize(
    ("words", "line", "told"),
    [
        (("create", ANN), f"{PASSWORD}\n", "this address has an account"),
        (("create", "bob@example.com"), "short\n", "password"),
        (("create", "bob@example.com"), "", "password"),
        (("create", "nonsense"), f"{PASSWORD}\n", "e-mail address"),
        (("promote", "bob@example.com"), "", "there is no such user"),
        (("demote", "bob@example.com"), "", "there is no such user"),
        (("deactivate", "bob@example.com"), "", "there is no such user"),
        (("delete", "bob@example.com", "--yes"), "", "there is no such user"),
        (("sessions", "bob@example.com"), "", "there is no such user"),
    ],
)
async def test_errors_are_one_line(users: Run, rows: Rows, words: tuple[str, ...], line: str, told: str) -> None:
    """What cannot be done ends with code 1 and one line that says why; nothing is changed."""
    await users("create", ANN, line=f"{PASSWORD}\n")
    result = await users(*words, line=line)

    assert (result.exit_code, result.output.count("\n")) == (1, 1)
    assert result.output.startswith("Error: ")
    assert told in result.output
    assert await rows(FLAGS) == [(ANN, True, False, False)]


def test_no_database_is_one_line() -> None:
    """Where PostgreSQL is away, that is what is said."""
    variables = {"DATABASE_URL": "postgresql://u:hush-hush@127.0.0.1:1/none", "REDIS_URL": "redis://127.0.0.1:1/0"}
    result = invoke("list", ENVIRONMENT="development", JWT_KEYS=random_keys(), **variables)

    assert (result.exit_code, result.output) == (1, "Error: the database cannot be reached right now\n")


def test_a_missing_setting_is_one_line() -> None:
    """Without settings: exit code 2, and the names of what is missing."""
    result = invoke("list")

    assert (result.exit_code, result.output.count("\n")) == (2, 1)
    assert result.output.startswith("user-svc: DATABASE_URL is not set")


async def test_promote_and_demote(users: Run, rows: Rows) -> None:
    """Power is given and taken by address; the audit says that it was at the command line."""
    await users("create", ANN, line=f"{PASSWORD}\n")
    await users("create", "root@example.com", "--superuser", line=f"{PASSWORD}\n")

    assert "superuser" in (await users("promote", "ANN@example.com")).output
    assert (await rows(FLAGS))[0] == (ANN, True, True, False)
    assert "superuser" not in (await users("demote", ANN)).output
    assert (await rows(FLAGS))[0] == (ANN, True, False, False)
    audit = "SELECT actor, actor_id, action, details::text FROM audit ORDER BY at DESC LIMIT 2"
    assert await rows(audit) == [
        ("cli", None, "user.change", '{"is_superuser": false}'),
        ("cli", None, "user.change", '{"is_superuser": true}'),
    ]


@pytest.mark.parametrize("words", [("demote",), ("deactivate",), ("delete", "--yes")])
async def test_the_last_superuser_stays(users: Run, rows: Rows, words: tuple[str, ...]) -> None:
    """Not even an operator leaves the service without a superuser."""
    await users("create", ANN, "--superuser", line=f"{PASSWORD}\n")
    result = await users(*words, ANN)

    assert (result.exit_code, result.output) == (1, "Error: this is the last superuser\n")
    assert await rows(FLAGS) == [(ANN, True, True, True)]


async def test_deactivate_ends_sessions(users: Run, rows: Rows, client: httpx.AsyncClient, token: str) -> None:
    """A closed account's token is dead with the next request, and a tombstone says so to other services."""
    result = await users("deactivate", ANN)
    answer = await client.get("/me", headers={"Authorization": f"Bearer {token}"})

    assert (result.exit_code, result.output.split()[1:]) == (0, [ANN, "inactive"])
    assert answer.status_code == 401
    assert await rows("SELECT session_id FROM tombstones") == [(session_of(token),)]


async def test_delete_asks_first(users: Run, rows: Rows) -> None:
    """Without `--yes` the answer decides; then the account is gone, and its deletion recorded."""
    made: str = (await users("create", ANN, line=f"{PASSWORD}\n")).output.split()[0]

    assert (await users("delete", ANN, line="n\n")).exit_code == 1
    assert len(await rows(FLAGS)) == 1
    deleted = await users("delete", ANN, line="y\n")
    assert deleted.output.endswith(f"deleted {made}\n")
    assert await rows(FLAGS) == []
    assert await rows("SELECT account_id FROM erasures") == [(UUID(made),)]


async def test_list(users: Run) -> None:
    """Every account on a line, the oldest first; `--email` narrows it, wildcards taken literally."""
    for name in ("ann", "bob"):
        await users("create", f"{name}@example.com", line=f"{PASSWORD}\n")

    listed = (await users("list")).output.splitlines()
    assert [line.split()[1] for line in listed] == [ANN, "bob@example.com"]
    assert (await users("list", "--email", "BOB@")).output.splitlines() == listed[1:]
    assert (await users("list", "--email", "%")).output == ""


async def test_a_user_agent_does_nothing_to_the_terminal(users: Run, token: str, rows: Rows) -> None:
    """Whatever a client calls itself, the operator's terminal is told of it and not by it."""
    assert token
    await rows("UPDATE sessions SET user_agent = U&'curl\\009b2J\\001b[2J 8.5'")

    assert "curl?2J?[2J 8.5\n" in (await users("sessions", ANN)).output


async def test_sessions(users: Run, token: str) -> None:
    """An account's open sessions, by their ids; no token is shown."""
    result = await users("sessions", ANN)

    assert (result.exit_code, result.output.count("\n")) == (0, 1)
    assert result.output.split()[0] == str(session_of(token))
    assert token not in result.output
