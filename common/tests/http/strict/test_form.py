"""Forms: read as OAuth2 clients send them, and refused in the route's own words."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from litestar import Litestar, Request, post

from common.auth import PUBLIC
from common.errors import ServiceError
from common.http.strict import form
from common.testing import client_of

Build = Callable[..., Litestar]
FORM = "application/x-www-form-urlencoded"


class Refused(ServiceError):
    """A route's own error."""

    status = 400
    code = "REFUSED"


@post("/form", opt={"auth": PUBLIC})
async def take_form(request: Request[Any, Any, Any]) -> dict[str, str]:
    """A route with a form."""
    return await form(request, refuse=Refused)


async def send(build: Build, content: bytes, content_type: str | None) -> httpx.Response:
    """One POST."""
    headers = {"Content-Type": content_type} if content_type else {}
    async with client_of(build(take_form)) as client:
        return await client.post("/form", content=content, headers=headers)


@pytest.mark.parametrize(
    ("content", "fields"),
    [
        (b"username=ann%40example.com&password=a+b%26c", {"username": "ann@example.com", "password": "a b&c"}),
        (b"username=", {"username": ""}),
        (b"", {}),
        (b"name=gr%C3%BC%C3%9Fe", {"name": "grüße"}),
    ],
)
async def test_form_is_read(build: Build, content: bytes, fields: dict[str, str]) -> None:
    """As OAuth2 clients send it."""
    assert (await send(build, content, f"{FORM};charset=UTF-8")).json() == fields


@pytest.mark.parametrize(
    "content",
    [b"a=1&a=2", b"a=%00", b"%00=a", b"a=%FF", b"a=\xff", b"a=%ED%A0%80", b"&".join(b"%d=1" % n for n in range(17))],
)
async def test_odd_form_is_the_routes_own_refusal(build: Build, content: bytes) -> None:
    """A field twice (RFC 6749 section 3.1), what is no UTF-8, NUL, too many: refused in the route's words."""
    answer = await send(build, content, FORM)
    assert (answer.status_code, answer.json()["code"]) == (400, "REFUSED")


@pytest.mark.parametrize(
    "content_type", [None, "application/json", "multipart/form-data; boundary=x", f"{FORM};charset=latin-1"]
)
async def test_form_that_does_not_say_so_is_415(build: Build, content_type: str | None) -> None:
    """Only what calls itself a form is read as one."""
    assert (await send(build, b"a=1", content_type)).status_code == 415
