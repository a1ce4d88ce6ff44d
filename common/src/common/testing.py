"""For tests of services: tokens, authenticators that are fed, transports that fail. No product code imports it."""

import asyncio
import base64
import hmac
import io
import json
import logging
import secrets
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, redirect_stderr
from inspect import isawaitable
from typing import Any, Self
from unittest.mock import patch
from uuid import UUID, uuid4

import httpx
import jwt
import structlog
from litestar import Litestar
from litestar.types import ASGIApp

from common.auth.keys import KeyRing
from common.auth.principal import Principal, Source
from common.auth.tokens import ALGORITHM, TYPE
from common.dto import User
from common.errors import InvalidToken
from common.telemetry import log

ISSUER = "user-svc"
AUDIENCE = "gatehouse"


def random_keys(*kids: str) -> str:
    """A value for `JWT_KEYS` with one random key per name."""
    return ",".join(f"{kid}:{base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()}" for kid in kids or ("test",))


def claims(**changes: Any) -> dict[str, Any]:
    """The claims of a good access token; a change to `...` takes one out."""
    now = int(time.time())
    good = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": str(uuid4()),
        "sid": str(uuid4()),
        "jti": str(uuid4()),
        "iat": now,
        "exp": now + 600,
    }
    return {name: value for name, value in (good | changes).items() if value is not ...}


def mint_token(keys: KeyRing, *, headers: Mapping[str, Any] | None = None, **changes: Any) -> str:
    """A token signed with the ring's first key, as user-svc would sign it but for `headers` and `changes`."""
    kid, key = keys.signing
    return jwt.encode(claims(**changes), key, algorithm=ALGORITHM, headers={"typ": TYPE, "kid": kid, **(headers or {})})


def b64(raw: bytes) -> str:
    """Base64url without padding, as JOSE writes it (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def sign(keys: KeyRing, header: Mapping[str, Any] | bytes, payload: Mapping[str, Any] | bytes) -> str:
    """A token signed with the ring's first key whatever it holds: PyJWT, which `mint_token` asks, would object."""
    parts = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, payload)]
    text = ".".join(b64(part) for part in parts)
    return f"{text}.{b64(hmac.digest(keys.signing[1], text.encode(), 'sha256'))}"


def a_user(**changes: Any) -> User:
    """Somebody in good standing."""
    fields: dict[str, Any] = {
        "id": uuid4(),
        "email": "ann@example.com",
        "is_active": True,
        "is_superuser": False,
        "is_verified": False,
    }
    return User(**(fields | changes))


class FakeAuthenticator:
    """Knows the tokens it was given, and no others: the guard in front of it stays the real one."""

    def __init__(self) -> None:
        self.principals: dict[str, Principal] = {}

    def admit(self, user: User | None = None) -> str:
        """A new token for this user."""
        user = user or a_user()
        token = secrets.token_urlsafe()
        self.principals[token] = Principal(user.id, uuid4(), Source.USER_SVC, time.time(), user)
        return token

    def recall(self, authorization: bytes) -> Principal | None:  # noqa: ARG002 - the protocol's
        """Nothing is remembered."""
        return None

    async def authenticate(self, token: str, *, safe: bool, fresh: bool = False) -> Principal:  # noqa: ARG002 - the protocol's
        """See `common.auth.Authenticator`."""
        try:
            return self.principals[token]
        except KeyError:
            raise InvalidToken("malformed", "the access token is not known") from None


class FlakyTransport(httpx.AsyncBaseTransport):
    """A way to a service that can be broken: `fail` is an error to raise, an answer to give, or None for working order.

    `asked` counts the requests that came, `arrived` is set by the first; while `held` is an event that is not set, they
    wait.
    """

    def __init__(self, app: ASGIApp | None = None) -> None:
        self.inner = httpx.ASGITransport(app) if app else None  # type: ignore[arg-type]
        self.fail: Exception | Callable[[], httpx.Response] | None = None
        self.held: asyncio.Event | None = None
        self.arrived = asyncio.Event()
        self.asked = 0

    @classmethod
    def answering(cls, answer: Callable[[], httpx.Response]) -> Self:
        """A service that always gives this answer."""
        transport = cls()
        transport.fail = answer
        return transport

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Fail as told, or pass on."""
        self.asked += 1
        self.arrived.set()
        if self.held is not None:
            await self.held.wait()
        if isinstance(self.fail, Exception):
            raise self.fail
        if self.fail is not None:
            return self.fail()
        if self.inner is None:
            raise httpx.ConnectError("nothing is there")
        return await self.inner.handle_async_request(request)


@asynccontextmanager
async def client_of(app: Litestar, *, token: str | None = None) -> AsyncIterator[httpx.AsyncClient]:
    """A running service's client, in this very event loop; with a token it is the caller of each request."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)  # type: ignore[arg-type]
    async with (
        app.lifespan(),
        httpx.AsyncClient(transport=transport, base_url="http://service.test", headers=headers) as client,
    ):
        yield client


async def eventually(condition: Callable[[], object], seconds: float = 10.0) -> None:
    """Wait until it holds, which may take an await to know, but not longer than a busy machine needs."""
    async with asyncio.timeout(seconds):
        while not (await met if isawaitable(met := condition()) else met):  # noqa: ASYNC110 - another process' doing
            await asyncio.sleep(0.002)


class Logs:
    """What was logged, as text and as the lines of JSON it is made of."""

    def __init__(self) -> None:
        self.stream = io.StringIO()

    @property
    def text(self) -> str:
        """All of it."""
        return self.stream.getvalue()

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Each line's members, where the format is JSON."""
        return [json.loads(line) for line in self.text.split("\n")[:-1]]


@contextmanager
def captured_logs() -> Iterator[Logs]:
    """Whatever `common.telemetry.log.configure` sends to standard error; the configuration ends with the block."""
    logs, root, configure = Logs(), logging.getLogger(), log.configure
    handlers, level = root.handlers[:], root.level

    def redirected(*words: Any, **options: Any) -> None:
        with redirect_stderr(logs.stream):
            configure(*words, **options)

    try:
        with patch.object(log, "configure", redirected), patch.object(log, "stream", lambda: logs.stream):
            _forget_loggers()
            yield logs
    finally:
        structlog.reset_defaults()
        _forget_loggers()
        root.handlers[:] = handlers
        root.setLevel(level)


def _forget_loggers() -> None:
    """A module's logger keeps the stream of its first use for good; a test needs it to look anew."""
    for module in list(sys.modules.values()):
        logger = vars(module).get("_log")
        if type(logger).__module__.startswith("structlog"):
            vars(logger).pop("bind", None)


def session_of(token: str) -> UUID:
    """The session a token belongs to, unverified."""
    return UUID(jwt.decode(token, options={"verify_signature": False})["sid"])
