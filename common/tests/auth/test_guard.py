"""The guard: closed unless a route is opened by name, one bearer token, and an answer that says who vouched."""

import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any
from uuid import uuid4

import httpx
import pytest
from litestar import Litestar, Request, get, head, post
from litestar.params import JSONBody
from msgspec import Struct

from common.auth import PUBLIC, AuthenticatedRequest, Principal, Source
from common.auth.guard import bearer
from common.errors import InvalidToken, NotFound, Unauthorized, Unavailable
from common.http.strict import StrictBody
from common.testing import FakeAuthenticator, a_user, client_of

Build = Callable[..., Litestar]
TOKEN = "a.b-c_d.e"


class Judge:
    """Remembers what it was asked, and decides as told."""

    def __init__(self, decision: Principal | Exception) -> None:
        self.decision = decision
        self.asked: list[tuple[str, bool]] = []

    def recall(self, authorization: bytes) -> Principal | None:  # noqa: ARG002 - the protocol's
        """Nothing is remembered."""
        return None

    async def authenticate(self, token: str, *, safe: bool, fresh: bool = False) -> Principal:  # noqa: ARG002 - the protocol's
        """See `common.auth.Authenticator`."""
        self.asked.append((token, safe))
        if isinstance(self.decision, Exception):
            raise self.decision
        return self.decision


def principal(source: Source = Source.REDIS, age: float = 0.0) -> Principal:
    """Somebody."""
    return Principal(uuid4(), uuid4(), source, time.time() - age, a_user())


@pytest.fixture
def judge() -> Judge:
    """Lets everybody in."""
    return Judge(principal())


@get("/mine", sync_to_thread=False)
def mine(request: AuthenticatedRequest) -> dict[str, str]:
    """Who is asking."""
    return {"id": str(request.user.id)}


@head("/head", sync_to_thread=False)
def only_head() -> None:
    """Nothing."""


class Body(Struct):
    """A body."""

    title: str


@post("/mine", dto=StrictBody[Body], return_dto=None, sync_to_thread=False)
def write(data: JSONBody[Body]) -> dict[str, str]:
    """Write."""
    return {"title": data.title}


@get("/open", opt={"auth": PUBLIC}, sync_to_thread=False)
def opened(request: Request[Any, Any, Any]) -> dict[str, bool]:
    """Anybody's."""
    return {"anonymous": request.scope.get("user") is None}


@get("/gone", sync_to_thread=False)
def gone() -> None:
    """Raise what a handler may raise."""
    raise NotFound("there is no such thing")


async def ask(app: Litestar, path: str, *authorization: str, method: str = "GET", **options: Any) -> httpx.Response:
    """One request with these Authorization headers."""
    headers = [("Authorization", value) for value in authorization] + options.pop("more", [])
    async with client_of(app) as client:
        return await client.request(method, path, headers=headers, **options)


@pytest.mark.parametrize(
    "value",
    [
        f"Bearer {TOKEN}",
        f"bearer {TOKEN}",
        f"BEARER {TOKEN}",
        f"bEaReR {TOKEN}",
        f"Bearer    {TOKEN}",
        f"Bearer {TOKEN}  ",
    ],
)
async def test_scheme_in_any_case(build: Build, judge: Judge, value: str) -> None:
    """The scheme is no matter of case (RFC 9110 section 11.1); the token arrives as it was sent."""
    answer = await ask(build(mine, auth=judge), "/mine", value)
    assert answer.status_code == 200
    assert judge.asked == [(TOKEN, True)]


@pytest.mark.parametrize(
    "values",
    [
        (),
        ("",),
        ("Bearer",),
        ("Bearer ",),
        (TOKEN,),
        (f"Bearer{TOKEN}",),
        (f"Bearer\t{TOKEN}",),
        (f"Basic {TOKEN}",),
        (f"Token {TOKEN}",),
        (f"Bearer {TOKEN} {TOKEN}",),
        (f"Bearer {TOKEN},",),
        (f"Bearer {TOKEN},Bearer {TOKEN}",),
        (f"Bearer {TOKEN}, Basic x",),
        (f"Bearer Bearer {TOKEN}",),
        (f"Bearer {TOKEN}", f"Bearer {TOKEN}"),
        (f"Bearer {TOKEN}", "Basic x"),
        ("Basic x", f"Bearer {TOKEN}"),
    ],
)
async def test_anything_but_one_bearer_token(build: Build, judge: Judge, values: tuple[str, ...]) -> None:
    """None, two, another scheme, a list: 401 with a bare challenge (RFC 6750 section 3.1), and nobody is asked."""
    answer = await ask(build(mine, auth=judge), "/mine", *values)
    assert (answer.status_code, answer.json()["code"]) == (401, "NOT_AUTHENTICATED")
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert judge.asked == []


def test_bytes_that_are_no_text_are_a_token_nobody_knows() -> None:
    """Whatever bytes come, no error comes of reading them."""
    assert bearer([(b"authorization", b"Bearer \xff\xc3\xa9")]) == "\xff\xc3\xa9"
    with pytest.raises(Unauthorized):
        bearer([(b"authorization", b"Bearer a\nb")])


async def test_token_elsewhere_does_not_count(build: Build, judge: Judge) -> None:
    """A query parameter or a cookie ends up in logs and is sent by browsers unasked (RFC 9700 section 4.3.2)."""
    answer = await ask(
        build(mine, auth=judge), f"/mine?access_token={TOKEN}", more=[("Cookie", f"Authorization=Bearer {TOKEN}")]
    )
    assert answer.status_code == 401
    assert judge.asked == []


async def test_guarded_is_the_default(build: Build, auth: FakeAuthenticator) -> None:
    """A route that says nothing is closed; one opened by name is open, with or without a token."""
    app = build(mine, opened)
    token = auth.admit()
    assert (await ask(app, "/mine")).status_code == 401
    assert (await ask(app, "/mine", f"Bearer {token}")).status_code == 200
    assert (await ask(app, "/open")).json() == {"anonymous": True}
    assert (await ask(app, "/open", "Bearer nonsense")).json() == {"anonymous": True}


@pytest.mark.parametrize("value", ["PUBLIC", "Public", "Fresh", True, 1, None, "", "none", "no"])
def test_no_other_word_is_taken(build: Build, value: Any) -> None:
    """A slip in `opt` opens nothing, and makes nothing less than FRESH: the service does not start."""

    @get("/slip", opt={"auth": value}, sync_to_thread=False)
    def slip() -> None:
        """Nothing."""

    with pytest.raises(ValueError, match="/slip asks for"):
        build(slip)


async def test_principal_reaches_the_handler(build: Build, auth: FakeAuthenticator) -> None:
    """`request.user` is the verified caller."""
    user = a_user()
    answer = await ask(build(mine), "/mine", f"Bearer {auth.admit(user)}")
    assert answer.json() == {"id": str(user.id)}


@pytest.mark.parametrize(
    ("method", "path", "safe"),
    [("GET", "/mine", True), ("HEAD", "/head", True), ("OPTIONS", "/mine", True), ("POST", "/mine", False)],
)
async def test_only_safe_methods_are_called_safe(
    build: Build, judge: Judge, method: str, path: str, safe: bool
) -> None:
    """What may pass while nobody can judge depends on it (RFC 9110 section 9.2.1)."""
    await ask(build(mine, write, only_head, auth=judge), path, f"Bearer {TOKEN}", method=method, json={"title": "x"})
    assert judge.asked == [(TOKEN, safe)]


@pytest.mark.parametrize("source", list(Source))
async def test_answer_says_who_vouched(build: Build, source: Source) -> None:
    """`X-Auth-Source` and `X-Auth-Age`, in whole seconds, on every answer."""
    answer = await ask(build(mine, auth=Judge(principal(source, age=7.9))), "/mine", f"Bearer {TOKEN}")
    assert (answer.headers["X-Auth-Source"], answer.headers["X-Auth-Age"]) == (str(source), "7")


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/gone", 404), ("POST", "/mine", 422)])
async def test_errors_say_who_vouched_too(build: Build, judge: Judge, method: str, path: str, status: int) -> None:
    """An error of the handler is an answer to a verified caller."""
    app = build(mine, write, gone, auth=judge)
    answer = await ask(app, path, f"Bearer {TOKEN}", method=method, json={"title": 5})
    assert (answer.status_code, answer.headers["X-Auth-Source"]) == (status, "redis")


async def test_open_routes_vouch_for_nobody(build: Build, judge: Judge) -> None:
    """No caller was judged, so nothing is said of one."""
    answer = await ask(build(opened, auth=judge), "/open", f"Bearer {TOKEN}")
    assert not {"x-auth-source", "x-auth-age"} & set(answer.headers)


@pytest.mark.parametrize(
    ("decision", "status", "headers"),
    [
        (
            InvalidToken("expired", "the access token expired"),
            401,
            {
                "WWW-Authenticate": 'Bearer error="invalid_token", error_description="the access token expired"',
                "X-Auth-Source": "proof",
            },
        ),
        (InvalidToken("revoked", "it ended", source="redis"), 401, {"X-Auth-Source": "redis"}),
        (Unavailable("nobody can judge", retry_after=2), 503, {"Retry-After": "2"}),
    ],
)
async def test_refusal_and_outage_look_different(
    build: Build, decision: Exception, status: int, headers: Mapping[str, str]
) -> None:
    """401 where a token was judged bad, 503 with Retry-After where nobody could judge."""
    answer = await ask(build(mine, auth=Judge(decision)), "/mine", f"Bearer {TOKEN}")
    assert answer.status_code == status
    assert headers.items() <= {name: answer.headers.get(name) for name in headers}.items()
    assert ("WWW-Authenticate" in answer.headers) == (status == 401)


async def test_refused_body_is_not_read(build: Build) -> None:
    """A stranger cannot make the service read, let alone parse, what it sends."""
    read: list[bytes] = []

    async def body() -> AsyncIterator[bytes]:
        read.append(b"{")
        yield b"{"

    answer = await ask(build(write), "/mine", method="POST", content=body())
    assert answer.status_code == 401
    assert read == []


async def test_strange_paths_need_no_token(build: Build, judge: Judge) -> None:
    """There is nothing to guard behind a path or a method that does not exist."""
    app = build(mine, auth=judge)
    assert (await ask(app, "/nowhere")).status_code == 404
    assert (await ask(app, "/mine", method="DELETE")).status_code == 405
    assert judge.asked == []
