"""CORS: the origins that were named, and no others, on every answer."""

from collections.abc import Callable

import httpx
import msgspec
import pytest
from litestar import Litestar, get

from common.auth import PUBLIC
from common.testing import client_of

Build = Callable[..., Litestar]
ORIGIN = "https://app.example.com"
STRANGERS = [
    "https://evil.example",
    "http://app.example.com",
    "https://app.example.com:8443",
    "https://app.example.com.evil.example",
    "https://evil-app.example.com",
    "https://APP.example.com",
    "https://app.example.com/",
    "null",
    "*",
    "",
]


@get("/open", opt={"auth": PUBLIC}, sync_to_thread=False)
def opened() -> dict[str, str]:
    """Anybody's."""
    return {}


async def ask(build: Build, method: str, path: str = "/open", **headers: str) -> httpx.Response:
    """One request."""
    async with client_of(build(opened)) as client:
        return await client.request(
            method, path, headers={name.replace("_", "-"): value for name, value in headers.items()}
        )


def allowing(answer: httpx.Response) -> dict[str, str]:
    """Its headers that allow something."""
    return {name: value for name, value in answer.headers.items() if name.startswith("access-control-")}


@pytest.mark.parametrize(("path", "status"), [("/open", 200), ("/nowhere", 404), ("/docs", 200)])
async def test_named_origin_may_read(build: Build, path: str, status: int) -> None:
    """Every answer, errors included, with credentials, and with the headers a client needs."""
    answer = await ask(build, "GET", path, Origin=ORIGIN)
    assert answer.status_code == status
    assert allowing(answer) == {
        "access-control-allow-origin": ORIGIN,
        "access-control-allow-credentials": "true",
        "access-control-expose-headers": "ETag, Idempotency-Replayed, Retry-After, WWW-Authenticate, X-Auth-Age, "
        "X-Auth-Source, X-Request-ID",
    }
    assert "Origin" in answer.headers["Vary"]


@pytest.mark.parametrize("origin", STRANGERS)
async def test_stranger_may_not(build: Build, origin: str) -> None:
    """Nothing is allowed, never with `*`, and caches are told that it depends on the origin."""
    for answer in (
        await ask(build, "GET", Origin=origin),
        await ask(build, "OPTIONS", Origin=origin, Access_Control_Request_Method="POST"),
    ):
        assert allowing(answer) == {}
        assert answer.headers["Vary"] == "Origin"


async def test_request_without_an_origin_is_none_of_it(build: Build) -> None:
    """Most clients are no browsers."""
    answer = await ask(build, "GET")
    assert (allowing(answer), "Vary" in answer.headers) == ({}, False)


@pytest.mark.parametrize("path", ["/open", "/nowhere", "/lists"])
async def test_preflight_is_answered_without_the_guard(build: Build, path: str) -> None:
    """A browser sends no token with it (Fetch standard, section 4.8)."""
    answer = await ask(build, "OPTIONS", path, Origin=ORIGIN, Access_Control_Request_Method="PATCH")
    assert (answer.status_code, answer.content) == (204, b"")
    assert allowing(answer) == {
        "access-control-allow-origin": ORIGIN,
        "access-control-allow-credentials": "true",
        "access-control-allow-methods": "GET, HEAD, POST, PATCH, PUT, DELETE",
        "access-control-allow-headers": "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, "
        "Last-Event-ID, "
        "X-Request-ID, traceparent",
        "access-control-max-age": "600",
    }


async def test_options_without_a_preflights_header_is_no_preflight(build: Build) -> None:
    """It is an ordinary request, and guarded like one."""
    answer = await ask(build, "OPTIONS", Origin=ORIGIN)
    assert answer.status_code == 401
    assert "access-control-allow-methods" not in answer.headers


async def test_service_without_origins_allows_none(build: Build, settings: object) -> None:
    """The default is closed."""
    app = build(opened, settings=msgspec.structs.replace(settings, cors_origins=[]))  # type: ignore[type-var]
    async with client_of(app) as client:
        assert allowing(await client.get("/open", headers={"Origin": ORIGIN})) == {}
