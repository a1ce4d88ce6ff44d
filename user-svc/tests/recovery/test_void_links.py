"""Links by mail that are void: used, too old, of another kind, or of a state that is no more."""

import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import httpx
import pytest
import time_machine

ANN = "ann@example.com"
PASSWORD = "correct horse battery"

Call = Callable[..., Coroutine[Any, Any, httpx.Response]]
Rows = Callable[..., Awaitable[list[tuple[Any, ...]]]]
Link = Callable[..., Awaitable[str]]


def bearer(token: str) -> dict[str, str]:
    """The header of a request with this token."""
    return {"Authorization": f"Bearer {token}"}


def verdict(answer: httpx.Response) -> tuple[int, str | None]:
    """The status, and the code of a problem."""
    return answer.status_code, answer.json().get("code") if answer.content else None


async def test_no_token_is_taken_for_another_kind(
    client: httpx.AsyncClient, token: str, link: Link, verify: Call, reset: Call
) -> None:
    """A mailed token opens no session and not the other door; an access token opens neither."""
    verifying = await link("/auth/request-verify-token")
    resetting = await link("/auth/forgot-password")

    for mailed in (verifying, resetting):
        assert (await client.get("/me", headers=bearer(mailed))).status_code == 401
    for foreign in (token, verifying):
        assert verdict(await reset(foreign)) == (400, "RESET_PASSWORD_BAD_TOKEN")
    for foreign in (token, resetting):
        assert verdict(await verify(foreign)) == (400, "VERIFY_USER_BAD_TOKEN")


async def test_links_end_with_their_time(token: str, link: Link, verify: Call, reset: Call) -> None:
    """A reset link works for an hour, a verify link for a day."""
    assert token
    verifying, resetting = await link("/auth/request-verify-token"), await link("/auth/forgot-password")
    with time_machine.travel(time.time() + 3601, tick=True):
        assert verdict(await reset(resetting)) == (400, "RESET_PASSWORD_BAD_TOKEN")
    with time_machine.travel(time.time() + 24 * 3600 + 1, tick=True):
        assert verdict(await verify(verifying)) == (400, "VERIFY_USER_BAD_TOKEN")
    assert (await verify(verifying)).status_code == 200


@pytest.mark.parametrize("email", ["ann@example.org", "Ann@example.com"])
async def test_links_end_with_the_state_they_would_change(
    client: httpx.AsyncClient, token: str, link: Link, verify: Call, reset: Call, *, email: str
) -> None:
    """Another address makes both void, also one of the same key: the old mailbox opens nothing any more."""
    verifying, resetting = await link("/auth/request-verify-token"), await link("/auth/forgot-password")
    change = {"email": email, "current_password": PASSWORD}

    assert (await client.patch("/users/me", json=change, headers=bearer(token))).status_code == 200

    assert verdict(await verify(verifying)) == (400, "VERIFY_USER_BAD_TOKEN")
    assert verdict(await reset(resetting)) == (400, "RESET_PASSWORD_BAD_TOKEN")


async def test_a_used_link_stays_used_when_the_address_comes_back(
    client: httpx.AsyncClient, token: str, link: Link, verify: Call
) -> None:
    """Away and back again: the address has to be verified anew."""
    used = await link("/auth/request-verify-token")
    assert (await verify(used)).status_code == 200

    for address in ("bob@example.com", ANN):
        change = {"email": address, "current_password": PASSWORD}
        assert (await client.patch("/users/me", json=change, headers=bearer(token))).status_code == 200

    assert verdict(await verify(used)) == (400, "VERIFY_USER_BAD_TOKEN")


async def test_a_used_link_does_not_undo_what_a_superuser_did(
    client: httpx.AsyncClient, token: str, link: Link, verify: Call, rows: Rows
) -> None:
    """An address taken for unverified has to be verified anew; one that stays so keeps its link."""
    [[account]] = await rows("UPDATE accounts SET is_superuser = true RETURNING id")

    async def patch(change: dict[str, bool]) -> None:
        answer = await client.patch(f"/users/{account}", json=change, headers=bearer(token))
        assert answer.status_code == 200, answer.text

    used = await link("/auth/request-verify-token")
    await patch({"is_verified": False})
    assert (await verify(used)).status_code == 200
    await patch({"is_verified": False})

    assert verdict(await verify(used)) == (400, "VERIFY_USER_BAD_TOKEN")


async def test_links_of_an_inactive_account_are_void(
    token: str, rows: Rows, link: Link, verify: Call, reset: Call
) -> None:
    """Deactivation is not undone by mail."""
    assert token
    verifying, resetting = await link("/auth/request-verify-token"), await link("/auth/forgot-password")
    await rows("UPDATE accounts SET is_active = false")

    assert verdict(await verify(verifying)) == (400, "VERIFY_USER_BAD_TOKEN")
    assert verdict(await reset(resetting)) == (400, "RESET_PASSWORD_BAD_TOKEN")


@pytest.mark.parametrize("text", ["x", "a.b.c", "\u00e9" * 40, "." * 4000, "eyJhbGciOiJub25lIn0.e30."])
async def test_garbage_is_a_bad_token(verify: Call, reset: Call, text: str) -> None:
    """Never a 5xx."""
    assert verdict(await verify(text)) == (400, "VERIFY_USER_BAD_TOKEN")
    assert verdict(await reset(text)) == (400, "RESET_PASSWORD_BAD_TOKEN")


@pytest.mark.parametrize("length", [60_000, 1_000_000])
async def test_a_huge_password_is_refused_at_once(token: str, link: Link, reset: Call, length: int) -> None:
    """422 or 413, and nothing is hashed: fifty of them take no second."""
    assert token
    mailed = await link("/auth/forgot-password")
    started = time.process_time()

    answers = {(await reset(mailed, "x" * length)).status_code for _ in range(50)}

    assert answers == {422 if length < 65_536 else 413}
    assert time.process_time() - started < 1.0
