"""Login, over HTTP."""

import asyncio
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import UUID

import argon2
import httpx
import jwt
import pytest
from argon2 import PasswordHasher, extract_parameters
from msgspec.structs import replace

from common.testing import client_of, session_of
from user_svc.app import create_app
from user_svc.sessions.refresh import RefreshToken
from user_svc.settings import Settings

Call = Callable[..., Awaitable[httpx.Response]]
Rows = Callable[..., Awaitable[list[tuple[Any, ...]]]]

ANN = "ann@example.com"
PASSWORD = "correct horse battery"


class CountingHasher:
    """Counts what really ran: the hashes made, and the parameters of each hash that was verified."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.made = 0
        self.verified: list[tuple[int, int, int]] = []
        verify, make = PasswordHasher.verify, PasswordHasher.hash

        def counted(hasher: PasswordHasher, password_hash: str, password: str) -> bool:
            found = extract_parameters(password_hash)
            self.verified.append((found.time_cost, found.memory_cost, found.parallelism))
            return verify(hasher, password_hash, password)

        def counted_too(hasher: PasswordHasher, password: str) -> str:
            self.made += 1
            return make(hasher, password)

        monkeypatch.setattr(PasswordHasher, "verify", counted)
        monkeypatch.setattr(PasswordHasher, "hash", counted_too)


def bearer(token: str) -> dict[str, str]:
    """The header of a request with this token."""
    return {"Authorization": f"Bearer {token}"}


def without_id(answer: httpx.Response) -> dict[str, str]:
    """The headers but for the one that differs from request to request."""
    return {name: value for name, value in answer.headers.items() if name != "x-request-id"}


async def first(count: int, tasks: Sequence[asyncio.Future[httpx.Response]]) -> list[httpx.Response]:
    """The answers that came first; the other tasks go on."""
    async with asyncio.timeout(5):
        while sum(task.done() for task in tasks) < count:
            await asyncio.wait([task for task in tasks if not task.done()], return_when=asyncio.FIRST_COMPLETED)
    return [task.result() for task in tasks if task.done()]


async def test_a_login_answers_a_token_and_stores_a_session(login: Call, register: Call, rows: Rows) -> None:
    """200 as RFC 6749 section 5.1 has it, and a session of thirty days in PostgreSQL that the token names."""
    user = (await register()).json()

    answer = await login()

    body = answer.json()
    token, refresh_token = body.pop("access_token"), body.pop("refresh_token")
    [(session, account, seconds, revoked)] = await rows(
        "SELECT id, account_id, extract(epoch FROM expires_at - created_at)::float8, revoked_at FROM sessions"
    )
    assert answer.status_code == 200
    assert body == {"token_type": "bearer", "expires_in": 600}
    assert answer.headers["Cache-Control"] == "no-store"
    assert (session, account, revoked) == (session_of(token), UUID(user["id"]), None)
    known = RefreshToken.parse(refresh_token).hash
    assert await rows("SELECT session_id FROM refresh_tokens WHERE token_hash = $1", known) == [(session,)]
    assert seconds == pytest.approx(30 * 24 * 3600, abs=5)


async def test_a_token_holds_nothing_personal(token: str, client: httpx.AsyncClient) -> None:
    """Seven claims and no more: whoever finds a token learns neither address nor role."""
    user = (await client.get("/me", headers=bearer(token))).json()

    claims = jwt.decode(token, options={"verify_signature": False})

    assert set(claims) == {"iss", "aud", "sub", "sid", "jti", "iat", "exp"}
    assert claims["sub"] == user["id"]
    assert jwt.get_unverified_header(token) == {"alg": "HS256", "typ": "at+jwt", "kid": "first"}


@pytest.mark.parametrize(
    "typed", ["ANN@Example.com", " ann@example.com ", "\uff41nn@example.com", "ann@example\u3002com"]
)
async def test_an_address_logs_in_however_it_is_spelt(register: Call, login: Call, typed: str) -> None:
    """Case, a keyboard's stray space and full-width letters do not lock anybody out."""
    await register()

    assert (await login(typed)).status_code == 200


async def test_a_domain_logs_in_in_the_form_it_was_registered_in(register: Call, login: Call) -> None:
    """An internationalised domain is one domain in both of its forms (RFC 5891)."""
    ascii_form, unicode_form = "ann@xn--bcher-kva.example", "ann@b\u00fccher.example"
    await register(ascii_form)

    assert [(await login(typed)).status_code for typed in (ascii_form, unicode_form)] == [200, 200]


async def test_refused_logins_look_all_alike(register: Call, login: Call, rows: Rows) -> None:
    """Unknown, wrong and inactive: the same status, headers and body, so that nobody learns who has an account."""
    await register()
    await register("bob@example.com")
    await rows("UPDATE accounts SET is_active = false WHERE email_key = 'bob@example.com'")

    unknown, wrong, inactive = (
        await login("nobody@example.com"),
        await login(password="wrong horse battery"),
        await login("bob@example.com"),
    )

    assert unknown.status_code == 400
    assert unknown.json() == {
        "type": "about:blank",
        "title": "Bad Request",
        "status": 400,
        "detail": "the address or the password is wrong",
        "instance": "/auth/jwt/login",
        "code": "LOGIN_BAD_CREDENTIALS",
        "error": "invalid_grant",
        "error_description": "the address or the password is wrong",
    }
    for other in (wrong, inactive):
        assert (other.status_code, other.content) == (unknown.status_code, unknown.content)
        assert without_id(other) == without_id(unknown)
    assert await rows("SELECT * FROM sessions") == []


async def test_an_unknown_address_costs_as_much_as_a_known_one(
    settings: Settings, register: Call, login: Call, monkeypatch: pytest.MonkeyPatch, rows: Rows
) -> None:
    """Each refused login, the first included, verifies one hash of today's parameters: the time tells nothing."""
    await register()
    await register("bob@example.com")
    await rows("UPDATE accounts SET is_active = false WHERE email_key = 'bob@example.com'")
    hasher = CountingHasher(monkeypatch)

    for username, password in [("nobody@example.com", PASSWORD), (ANN, "wrong horse"), ("bob@example.com", PASSWORD)]:
        assert (await login(username, password)).status_code == 400

    parameters = (settings.argon2_passes, settings.argon2_memory_kib, settings.argon2_lanes)
    assert (hasher.verified, hasher.made) == ([parameters] * 3, 0)


async def test_a_login_brings_an_old_hash_up_to_date(
    settings: Settings, register: Call, login: Call, rows: Rows
) -> None:
    """When the parameters rise, the next login stores a new hash of the same password; then nothing changes again."""
    await register()
    [(old,)] = await rows("SELECT password_hash FROM accounts")

    async with client_of(create_app(replace(settings, argon2_passes=3, argon2_memory_kib=16))) as stricter:
        refused = await login(password="wrong horse battery", at=stricter)
        [(unchanged,)] = await rows("SELECT password_hash FROM accounts")
        first = await login(at=stricter)
        [(new,)] = await rows("SELECT password_hash FROM accounts")
        second = await login(at=stricter)
        [(kept,)] = await rows("SELECT password_hash FROM accounts")

    assert [answer.status_code for answer in (refused, first, second)] == [400, 200, 200]
    assert unchanged == old
    assert (extract_parameters(new).time_cost, extract_parameters(new).memory_cost) == (3, 16)
    assert kept == new


async def test_logins_leave_the_event_loop_free_and_the_queue_short(
    settings: Settings, login: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While every place is taken other routes answer, and a login too many is 503 with Retry-After, at once."""
    opened = threading.Event()

    def gated(*_: object) -> bool:
        assert opened.wait(10), "the event loop is held up"
        raise argon2.exceptions.VerifyMismatchError

    monkeypatch.setattr(PasswordHasher, "verify", gated)
    async with client_of(create_app(replace(settings, password_threads=1, password_queue=3))) as small:
        logins = [asyncio.ensure_future(login(at=small)) for _ in range(10)]
        refused = await first(6, logins)
        live = await small.get("/health/live")
        me = await small.get("/me")
        opened.set()
        answers = await asyncio.gather(*logins)

    assert [answer.status_code for answer in (live, me)] == [200, 401]
    assert Counter(answer.status_code for answer in answers) == {503: 6, 400: 4}
    assert {answer.headers["Retry-After"] for answer in refused} == {"2"}
    assert {answer.headers["content-type"] for answer in refused} == {"application/problem+json"}
