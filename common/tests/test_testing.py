"""The test kit: what other tests lean on does what it says."""

import logging
from typing import Any

import httpx
import pytest
import structlog
from litestar import get

from common.auth import KeyRing, TokenVerifier
from common.errors import InvalidToken
from common.telemetry import log
from common.testing import (
    FakeAuthenticator,
    FlakyTransport,
    a_user,
    b64,
    captured_logs,
    claims,
    client_of,
    mint_token,
    random_keys,
    session_of,
    sign,
)


def test_keys_are_random_and_good() -> None:
    """Each its own, and each passes for a production key."""
    ring = KeyRing.parse(random_keys("a", "b"))
    assert list(ring) == ["a", "b"]
    assert ring.get("a") != ring.get("b") != KeyRing.parse(random_keys("b")).get("b")


def test_minted_token_is_as_user_svc_signs_it(verifier: TokenVerifier, keys: KeyRing) -> None:
    """A change changes one claim, or takes it out; headers can be added."""
    signed = claims()
    token = mint_token(keys, **signed)
    assert verifier.verify(token) == verifier.verify(
        sign(keys, {"alg": "HS256", "typ": "at+jwt", "kid": "test"}, signed)
    )
    assert str(session_of(token)) == signed["sid"]
    for bad in (mint_token(keys, jti=...), mint_token(keys, headers={"zip": "DEF"})):
        with pytest.raises(InvalidToken):
            verifier.verify(bad)


def test_base64_is_that_of_jose() -> None:
    """Without padding, with - and _."""
    assert b64(b"\xfb\xff\xfe\xff") == "-__-_w"


async def test_fake_authenticator_knows_whom_it_admitted() -> None:
    """And nobody else."""
    auth, user = FakeAuthenticator(), a_user(is_superuser=True)
    token = auth.admit(user)
    found = await auth.authenticate(token, safe=True)
    assert (found.id, found.user, found.is_superuser) == (user.id, user, True)
    assert token != auth.admit()
    with pytest.raises(InvalidToken):
        await auth.authenticate("x", safe=True)


@get("/", opt={"auth": "public"}, sync_to_thread=False)
def root() -> str:
    """Say hello."""
    return "hello"


async def test_flaky_transport_fails_as_told(build: Any) -> None:
    """Nothing there, in working order, an error, an answer."""
    app = build(root)
    transport = FlakyTransport(app)
    async with client_of(app), httpx.AsyncClient(transport=transport, base_url="http://a.test") as client:
        assert (await client.get("/health/live")).status_code == 200
        transport.fail = httpx.ReadTimeout("slow")
        with pytest.raises(httpx.ReadTimeout):
            await client.get("/")
        transport.fail = lambda: httpx.Response(418)
        assert (await client.get("/")).status_code == 418
    assert transport.asked == 3
    assert transport.arrived.is_set()
    async with httpx.AsyncClient(transport=FlakyTransport(), base_url="http://a.test") as client:
        with pytest.raises(httpx.ConnectError):
            await client.get("/")


def test_captured_logs_end_with_the_block() -> None:
    """And leave the logging of the test run as it was."""
    root_logger = logging.getLogger()
    handlers, level = root_logger.handlers[:], root_logger.level
    with captured_logs() as logs:
        log.configure("a-service", level="DEBUG", form="json")
        structlog.get_logger().info("inside")
    structlog.get_logger().info("outside")
    assert [line["event"] for line in logs.lines] == ["inside"]
    assert (root_logger.handlers, root_logger.level) == (handlers, level)
