"""What is taken for a refresh token, and how anything else is refused."""

from base64 import urlsafe_b64decode
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import httpx
import pytest

from common.testing import client_of
from user_svc.app import create_app
from user_svc.sessions.refresh import RefreshToken
from user_svc.sessions.schemas import TokenError
from user_svc.settings import Settings

Buried = Callable[[UUID], Awaitable[None]]
Call = Callable[..., Awaitable[httpx.Response]]
Remembered = Callable[[], Awaitable[dict[str, tuple[str, int]]]]
Rows = Callable[..., Awaitable[list[tuple[Any, ...]]]]

DAY = 24 * 3600
REFUSAL = {"error": "invalid_grant", "code": "REFRESH_BAD_TOKEN", "status": 400}
LIVE = "SELECT count(*) FROM refresh_tokens WHERE used_at IS NULL"
OPEN = "SELECT count(*) FROM sessions WHERE revoked_at IS NULL"
TABLES = "SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public'"


def bearer(token: str) -> dict[str, str]:
    """The header of a request with this token."""
    return {"Authorization": f"Bearer {token}"}


def refused(answer: httpx.Response) -> bool:
    """Whether this is the one refusal of a refresh token."""
    body: dict[str, object] = answer.json()
    return REFUSAL.items() <= body.items()


def raw(token: str) -> bytes:
    """The bits of a refresh token."""
    return urlsafe_b64decode(token + "=")


UNKNOWN = {
    "never issued": RefreshToken.new().reveal(),
    "one bit short": "A" * 42,
    "one byte long": "A" * 44,
    "stray bits": "A" * 42 + "B",
    "padded": RefreshToken.new().reveal() + "=",
    "another alphabet": "+" * 43,
    "not ASCII": "\u00e4" * 43,
    "a space": " " + RefreshToken.new().reveal(),
    "an access token": "a.b.c",
}


@pytest.mark.parametrize("token", UNKNOWN.values(), ids=UNKNOWN)
async def test_what_is_no_refresh_token_is_refused_alike(client: httpx.AsyncClient, refresh: Call, token: str) -> None:
    """Malformed and unknown give one answer, which repeats nothing of what was sent."""
    answer = await refresh(token)

    assert refused(answer)
    assert token not in answer.text
    assert client.cookies == {}


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"refresh_token": "x"}, "unsupported_grant_type"),
        ({"grant_type": "password", "refresh_token": "x"}, "unsupported_grant_type"),
        ({"grant_type": "refresh_token"}, "invalid_request"),
        ({"grant_type": "refresh_token", "refresh_token": ""}, "invalid_request"),
        ({"grant_type": "refresh_token", "refresh_token": "a" * 513}, "invalid_request"),
    ],
)
async def test_a_form_of_another_kind_is_refused_in_oauth2s_words(
    client: httpx.AsyncClient, form: dict[str, str], error: str
) -> None:
    """400 with RFC 6749's own error, section 5.2."""
    answer = await client.post("/auth/jwt/refresh", data=form)

    assert (answer.status_code, answer.json()["error"]) == (400, error)


async def test_an_outage_is_no_refusal(unconnected: Settings, refresh: Call) -> None:
    """PostgreSQL away is 503 with Retry-After: the client keeps its token and comes again."""
    async with client_of(create_app(unconnected)) as away:
        answer = await refresh(RefreshToken.new().reveal(), at=away)

    assert answer.status_code == 503
    assert "Retry-After" in answer.headers


def test_a_token_does_not_show_itself() -> None:
    """Neither `repr` nor `str` puts it into a log."""
    token = RefreshToken.new()

    assert repr(token) == str(token) == "RefreshToken(***)"


def test_a_successor_is_sealed_with_the_token_before_it() -> None:
    """Who has the one token reads the next; anybody else reads noise."""
    token, successor, stranger = (RefreshToken.new() for _ in range(3))
    sealed = token.seal(successor)

    assert token.open(sealed).reveal() == successor.reveal()
    assert stranger.open(sealed).reveal() != successor.reveal()
    assert raw(successor.reveal()) not in sealed


def test_a_token_is_read_as_it_was_shown() -> None:
    """256 bits there and back; anything else is `invalid_grant`."""
    token = RefreshToken.new()

    assert RefreshToken.parse(token.reveal()).hash == token.hash
    assert len(raw(token.reveal())) == 32
    with pytest.raises(TokenError):
        RefreshToken.parse("")
