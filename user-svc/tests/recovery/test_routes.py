"""Links by mail: what they allow, once, and to whom."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from email.message import EmailMessage
from typing import Any

import asyncpg
import httpx
import pytest
from msgspec.structs import replace
from redis.asyncio import Redis

from common.testing import client_of
from user_svc.app import create_app
from user_svc.settings import Settings

ANN = "ann@example.com"
PASSWORD = "correct horse battery"
OTHER = "another horse battery"
REQUESTS = ("/auth/request-verify-token", "/auth/forgot-password")

WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
OPEN = "INSERT INTO sessions (id, account_id, expires_at) VALUES (gen_random_uuid(), $1, now() + interval '1 hour')"

Call = Callable[..., Coroutine[Any, Any, httpx.Response]]
Rows = Callable[..., Awaitable[list[tuple[Any, ...]]]]
Letters = Callable[..., Awaitable[list[EmailMessage]]]
Link = Callable[..., Awaitable[str]]


def bearer(token: str) -> dict[str, str]:
    """The header of a request with this token."""
    return {"Authorization": f"Bearer {token}"}


def verdict(answer: httpx.Response) -> tuple[int, str | None]:
    """The status, and the code of a problem."""
    return answer.status_code, answer.json().get("code") if answer.content else None


@pytest.mark.parametrize("route", REQUESTS)
async def test_a_request_is_answered_alike_for_all(client: httpx.AsyncClient, register: Call, route: str) -> None:
    """Known, unknown and impossible addresses get the same status, body and headers."""
    await register()

    answers = [await client.post(route, json={"email": email}) for email in (ANN, "bob@example.com", "no address")]

    own = {"x-request-id"}
    seen = [
        (answer.status_code, answer.content, {name: text for name, text in answer.headers.items() if name not in own})
        for answer in answers
    ]
    assert seen[0][0] == 202
    assert seen == [seen[0]] * 3


async def test_mails_go_to_those_they_are_for(
    client: httpx.AsyncClient, register: Call, rows: Rows, letters: Letters, delivered: Callable[[], Awaitable[None]]
) -> None:
    """None to nobody, to who is inactive, or to verify who is verified; the outbox is emptied of all of them."""
    for name in ("ann", "bob", "eve"):
        await register(f"{name}@example.com")
    await rows("UPDATE accounts SET is_active = false WHERE email_key = 'bob@example.com'")
    await rows("UPDATE accounts SET is_verified = true WHERE email_key = 'eve@example.com'")

    for route in REQUESTS:
        for name in ("ann", "bob", "eve", "nobody"):
            await client.post(route, json={"email": f"{name}@example.com"})

    sent = {(letter["To"], letter["Subject"]) for letter in await letters(3)}
    await delivered()
    assert sent == {
        (ANN, "Confirm your e-mail address"),
        (ANN, "Set a new password"),
        ("eve@example.com", "Set a new password"),
    }
    assert len(await letters(3)) == 3


async def test_a_link_verifies_the_address_once(
    client: httpx.AsyncClient, token: str, link: Link, verify: Call
) -> None:
    """200 with the user as it now is; a second use says that it is verified already."""
    mailed = await link("/auth/request-verify-token")

    answer = await verify(mailed)

    me = await client.get("/me", headers=bearer(token))
    assert (answer.status_code, answer.json()) == (200, me.json())
    assert me.json()["is_verified"] is True
    assert verdict(await verify(mailed)) == (400, "VERIFY_USER_ALREADY_VERIFIED")


async def test_a_verified_address_is_told_to_other_services(
    token: str, link: Link, verify: Call, settings: Settings
) -> None:
    """Redis soon holds the new profile of the session, whatever it remembered before."""
    async with Redis.from_url(settings.redis_url.reveal()) as redis:
        [remembered] = await redis.keys("standing:*-*")
        assert b'"is_verified":false' in (await redis.get(remembered) or b"")

        assert token
        assert (await verify(await link("/auth/request-verify-token"))).status_code == 200

        end = time.monotonic() + 5
        while b'"is_verified":true' not in (await redis.get(remembered) or b""):
            assert time.monotonic() < end, "nobody was told"
            await asyncio.sleep(0.01)


async def test_a_link_sets_a_new_password_once(token: str, login: Call, link: Link, reset: Call) -> None:
    """204; the old password is dead, the new one works, and the link does not work again."""
    assert token
    mailed = await link("/auth/forgot-password")

    assert (await reset(mailed)).status_code == 204

    assert (await login()).status_code == 400
    assert (await login(password=OTHER)).status_code == 200
    assert verdict(await reset(mailed, "yet another horse")) == (400, "RESET_PASSWORD_BAD_TOKEN")
    assert (await login(password=OTHER)).status_code == 200


async def test_a_reset_ends_all_sessions(
    client: httpx.AsyncClient, token: str, login: Call, link: Link, reset: Call
) -> None:
    """Access and refresh tokens of before are dead; those of a login in the same second are not."""
    before = (await login()).json()

    assert (await reset(await link("/auth/forgot-password"))).status_code == 204
    after = (await login(password=OTHER)).json()

    statuses = [
        (await client.get("/me", headers=bearer(access))).status_code
        for access in (token, before["access_token"], after["access_token"])
    ]
    form = {"grant_type": "refresh_token", "refresh_token": before["refresh_token"]}
    assert statuses == [401, 401, 200]
    assert (await client.post("/auth/jwt/refresh", data=form)).status_code == 400


async def test_a_reset_ends_a_session_that_is_being_opened(
    client: httpx.AsyncClient, token: str, settings: Settings, link: Link, reset: Call
) -> None:
    """A login with the old password that commits while the reset waits for it is not missed."""
    mailed = await link("/auth/forgot-password")
    other = await asyncpg.connect(settings.database_url.reveal())
    try:
        async with other.transaction():
            account = await other.fetchval("SELECT id FROM accounts FOR UPDATE")
            resetting = asyncio.create_task(reset(mailed))
            end = time.monotonic() + 5
            while not await other.fetchval(WAITING):
                assert time.monotonic() < end, "the reset does not wait for the login"
                await asyncio.sleep(0.01)
            await other.execute(OPEN, account)
        assert (await resetting).status_code == 204
        assert await other.fetchval("SELECT count(*) FROM sessions WHERE revoked_at IS NULL") == 0
    finally:
        await other.close()
    assert (await client.get("/me", headers=bearer(token))).status_code == 401


async def test_of_two_resets_at_once_one_holds(token: str, login: Call, link: Link, reset: Call) -> None:
    """The link is used up by the change itself, not by a note beside it."""
    assert token
    mailed = await link("/auth/forgot-password")

    answers = await asyncio.gather(*(reset(mailed, f"the horse number {number}") for number in range(5)))

    [winner] = [number for number, answer in enumerate(answers) if answer.status_code == 204]
    assert sorted(answer.status_code for answer in answers) == [204, 400, 400, 400, 400]
    assert (await login(password=f"the horse number {winner}")).status_code == 200


async def test_a_refused_password_leaves_the_link_usable(token: str, link: Link, reset: Call) -> None:
    """422 with the reason; the next try with the same link works."""
    assert token
    mailed = await link("/auth/forgot-password")

    refused = await reset(mailed, "password1")

    assert verdict(refused) == (422, "RESET_PASSWORD_INVALID_PASSWORD")
    assert "guessed" in refused.json()["reason"]
    assert (await reset(mailed)).status_code == 204


async def test_without_a_mailer_mails_wait(settings: Settings, rows: Rows, letters: Letters) -> None:
    """What was asked for while nothing could send it leaves as soon as a process can."""
    async with client_of(create_app(replace(settings, mail_folder=None))) as client:
        await client.post("/auth/register", json={"email": ANN, "password": PASSWORD})
        await client.post("/auth/forgot-password", json={"email": ANN})
    assert len(await rows("SELECT FROM outbox WHERE topic = 'mail'")) == 1

    async with client_of(create_app(settings)):
        [letter] = await letters(1)

    assert letter["To"] == ANN
