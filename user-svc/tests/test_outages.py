"""What is left of user-svc when PostgreSQL or Redis stops, hangs or refuses, and how it comes back."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from common import connection, outbox, pool, unit_of_work
from common.auth import KeyRing
from common.testing import client_of, mint_token, random_keys
from devstack.embedded import Valkey
from devstack.fixtures import TestPostgres
from user_svc.app import create_app
from user_svc.settings import Settings

Call = Callable[..., Awaitable[httpx.Response]]
Rows = Callable[..., Awaitable[list[tuple[Any, ...]]]]
Remembered = Callable[[], Awaitable[dict[str, tuple[str, int]]]]
AskAll = Callable[[], Awaitable[dict[str, httpx.Response]]]

WORKING = {"register": 201, "login": 200, "me": 200, "logout": 204, "ready": 200}
FUNCTION = "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''secret''; END'"
TRIGGER = """
CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON {}
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()
"""


def bearer(token: str) -> dict[str, str]:
    """The header of a request with this token."""
    return {"Authorization": f"Bearer {token}"}


def statuses(answers: dict[str, httpx.Response]) -> dict[str, int]:
    """The status of each answer."""
    return {name: answer.status_code for name, answer in answers.items()}


@pytest.fixture
async def ask_all(client: httpx.AsyncClient, token: str, register: Call, login: Call) -> AskAll:
    """Ask every route that needs PostgreSQL, all at once; it logs one of Ann's two sessions out."""
    other = (await login()).json()["access_token"]

    async def ask_all() -> dict[str, httpx.Response]:
        asked = {
            "register": register("bob@example.com"),
            "login": login(),
            "me": client.get("/me", headers=bearer(token)),
            "logout": client.post("/auth/jwt/logout", headers=bearer(other)),
            "ready": client.get("/health/ready"),
        }
        return dict(zip(asked, await asyncio.gather(*asked.values()), strict=True))

    return ask_all


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits for seconds waits for fractions of one."""
    for name, seconds in {"CONNECT": 0.5, "STATEMENT": 1.0}.items():
        monkeypatch.setattr(connection, name, seconds)
    for module in (pool, unit_of_work):
        monkeypatch.setattr(module, "WAIT", 0.5)
    monkeypatch.setattr(outbox, "LAST_TRY", 0.1)


def assert_unavailable(answers: dict[str, httpx.Response]) -> None:
    """Each is 503 in the shape of every error, with a time to come back and nothing of the inside."""
    assert statuses(answers) == dict.fromkeys(answers, 503)
    for answer in answers.values():
        problem = answer.json()
        assert answer.headers["content-type"] == "application/problem+json"
        assert int(answer.headers["Retry-After"]) > 0
        assert (problem["code"], problem["detail"]) == ("UNAVAILABLE", "the database cannot be reached right now")
        assert problem["request_id"] == answer.headers["X-Request-ID"]


async def until_back(client: httpx.AsyncClient) -> None:
    """The same process is ready again within five seconds."""
    async with asyncio.timeout(5):
        while (await client.get("/health/ready")).status_code != 200:
            pass


async def test_a_stopped_postgresql_is_503_until_it_is_back(
    client: httpx.AsyncClient, ask_all: AskAll, postgres_server: TestPostgres, rows: Rows
) -> None:
    """503 with Retry-After on every route that needs it; after its return all work again, with no restart of ours."""
    postgres_server.stop()
    try:
        assert_unavailable(await ask_all())
    finally:
        postgres_server.start()
    await until_back(client)

    assert await rows("SELECT email FROM accounts") == [("ann@example.com",)]
    assert statuses(await ask_all()) == WORKING


@pytest.mark.usefixtures("impatient")
async def test_a_hanging_postgresql_is_503_in_bounded_time(
    client: httpx.AsyncClient, token: str, ask_all: AskAll, postgres_server: TestPostgres
) -> None:
    """Frozen it holds nobody up for long, and be they more than the pool has connections; thawed, it is used again."""
    await asyncio.gather(*(client.get("/me", headers=bearer(token)) for _ in range(20)))
    postgres_server.pause()
    try:
        async with asyncio.timeout(4):
            crowd = asyncio.gather(*(client.get("/me", headers=bearer(token)) for _ in range(20)))
            answers, others = await ask_all(), await crowd
    finally:
        postgres_server.resume()
    await until_back(client)

    assert_unavailable(answers)
    assert {answer.status_code for answer in others} == {503}
    assert (await client.get("/me", headers=bearer(token))).status_code == 200


async def test_connections_that_were_cut_are_made_anew(ask_all: AskAll, register: Call, rows: Rows) -> None:
    """A failover cuts every connection; the next requests do not notice."""
    await register("carol@example.com")
    ours = "FROM pg_stat_activity WHERE application_name = 'user-svc'"
    assert len(await rows(f"SELECT pg_terminate_backend(pid) {ours}")) > 1
    async with asyncio.timeout(5):
        while await rows(f"SELECT pid {ours}"):
            pass

    assert statuses(await ask_all()) == WORKING


@pytest.mark.parametrize(("table", "asked"), [("accounts", "register"), ("sessions", "login")])
async def test_a_failing_commit_is_no_success(
    register: Call, login: Call, rows: Rows, remembered: Remembered, table: str, asked: str
) -> None:
    """What PostgreSQL refuses at COMMIT is not answered with 2xx, stores nothing, and tells nothing of the inside."""
    await register()
    await rows(FUNCTION)
    await rows(TRIGGER.format(table))

    answer = await {"register": lambda: register("bob@example.com"), "login": login}[asked]()

    assert answer.status_code == 500
    assert answer.json()["detail"] == "something went wrong on our side"
    assert answer.json()["request_id"] == answer.headers["X-Request-ID"]
    assert "secret" not in answer.text
    assert await rows("SELECT email FROM accounts") == [("ann@example.com",)]
    assert await rows("SELECT * FROM sessions") == []
    assert await remembered() == {}


async def test_without_postgresql_what_does_not_need_it_goes_on(unconnected: Settings) -> None:
    """It starts, lives, shows its documents, and refuses a forgery as such; only readiness says what is missing."""
    forged = mint_token(KeyRing.parse(random_keys("first")))
    paths = ("/health/live", "/openapi.json", "/docs", "/metrics", "/me", "/nowhere", "/health/ready")

    async with client_of(create_app(unconnected)) as client:
        answers = {path: await client.get(path, headers=bearer(forged)) for path in paths}

    assert list(statuses(answers).values()) == [200, 200, 200, 200, 401, 404, 503]


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("outage", [Valkey.stop, Valkey.pause], ids=["stopped", "hanging"])
async def test_without_redis_everything_works(
    outage: Callable[[Valkey], None], ask_all: AskAll, valkey_server: Valkey, rows: Rows
) -> None:
    """Login, `/me` and logout go on in bounded time, and a logout holds: Redis is no truth, only news of it."""
    outage(valkey_server)

    async with asyncio.timeout(5):
        answers = await ask_all()

    assert statuses(answers) == WORKING
    assert await rows("SELECT count(*) FROM sessions WHERE revoked_at IS NOT NULL") == [(1,)]


@pytest.mark.usefixtures("token")
async def test_redis_is_told_again_when_it_is_back(login: Call, valkey_server: Valkey, remembered: Remembered) -> None:
    """After a restart of Redis the next login primes its session, with no restart of ours."""
    valkey_server.stop()
    assert (await login()).status_code == 200
    valkey_server.start()

    await login()

    assert len(await remembered()) == 1
