"""Libraries that know OAuth2 and nothing of us: their password and refresh grants work as they come."""

from collections.abc import Awaitable, Callable

import httpx
import pytest
from authlib.integrations.base_client.errors import OAuthError  # type: ignore[import-untyped]
from authlib.integrations.httpx_client import AsyncOAuth2Client  # type: ignore[import-untyped]
from oauthlib.oauth2 import InvalidGrantError, LegacyApplicationClient  # type: ignore[import-untyped]

Call = Callable[..., Awaitable[httpx.Response]]

ANN = "ann@example.com"
PASSWORD = "correct horse battery"
LOGIN, REFRESH = "/auth/jwt/login", "/auth/jwt/refresh"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture(autouse=True)
async def _ann(register: Call) -> None:
    """Ann has an account."""
    assert (await register()).status_code == 201


@pytest.fixture
def authlib(client: httpx.AsyncClient) -> AsyncOAuth2Client:
    """Authlib's client of the app; the settings are those of a public client."""
    return AsyncOAuth2Client(
        "browser", token_endpoint_auth_method="none", transport=client._transport, base_url="https://service.test"
    )


async def test_authlib_logs_in_asks_and_renews(authlib: AsyncOAuth2Client) -> None:
    """Password grant, a guarded request, refresh grant, and another request with what that brought."""
    async with authlib:
        first = dict(await authlib.fetch_token(LOGIN, username=ANN, password=PASSWORD))
        me = await authlib.get("/me")
        second = dict(await authlib.refresh_token(REFRESH))
        again = await authlib.get("/me")

    assert [me.json()["email"], again.json()["email"]] == [ANN, ANN]
    assert first["refresh_token"] != second["refresh_token"]
    assert first["access_token"] != second["access_token"]


async def test_authlib_renews_by_itself(authlib: AsyncOAuth2Client) -> None:
    """With its `token_endpoint` set, a request after `expires_in` is preceded by a refresh."""
    authlib.metadata["token_endpoint"] = REFRESH
    async with authlib:
        first = await authlib.fetch_token(LOGIN, username=ANN, password=PASSWORD)
        authlib.token["expires_at"] = 1
        me = await authlib.get("/me")

        assert me.json()["email"] == ANN
        assert authlib.token["refresh_token"] != first["refresh_token"]


async def test_authlib_understands_a_refusal(authlib: AsyncOAuth2Client) -> None:
    """It raises its own error, with RFC 6749's name for it."""
    async with authlib:
        with pytest.raises(OAuthError, match="invalid_grant"):
            await authlib.fetch_token(LOGIN, username=ANN, password="wrong")


async def test_oauthlib_logs_in_and_renews(client: httpx.AsyncClient) -> None:
    """It makes the requests and reads the answers; httpx only carries them."""
    oauth = LegacyApplicationClient("browser")
    form = oauth.prepare_request_body(ANN, PASSWORD, include_client_id=True)
    first = oauth.parse_request_body_response((await client.post(LOGIN, content=form, headers=FORM)).text)

    url, headers, form = oauth.prepare_refresh_token_request("https://service.test" + REFRESH)
    second = oauth.parse_request_body_response((await client.post(url, content=form, headers=headers)).text)
    url, headers, _ = oauth.add_token("https://service.test/me")
    me = await client.get(url, headers=headers)

    assert me.json()["email"] == ANN
    assert first["refresh_token"] != second["refresh_token"]


async def test_oauthlib_understands_a_refusal(client: httpx.AsyncClient) -> None:
    """Its own class for `invalid_grant`."""
    oauth = LegacyApplicationClient("browser")
    answer = await client.post(LOGIN, content=oauth.prepare_request_body(ANN, "wrong"), headers=FORM)

    with pytest.raises(InvalidGrantError):
        oauth.parse_request_body_response(answer.text)
