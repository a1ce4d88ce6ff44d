"""Login through todo-svc: form, status and body pass unchanged, and user-svc away is 503."""

from typing import Any

import httpx
import pytest

from common.auth.breaker import Breaker, State
from common.testing import FlakyTransport

PASSWORD = "correct-horse-battery"
LOGIN = "/auth/jwt/login"
FORM = "application/x-www-form-urlencoded"


async def test_a_token_from_here_is_a_token_from_there(
    todo_svc: httpx.AsyncClient, user_svc: httpx.AsyncClient, email: str
) -> None:
    """The answer is user-svc's own: same shape, and its token is good at both."""
    form = {"username": email, "password": PASSWORD}
    through, direct = await todo_svc.post(LOGIN, data=form), await user_svc.post(LOGIN, data=form)
    assert (through.status_code, direct.status_code) == (200, 200)
    assert list(through.json()) == list(direct.json())
    assert through.headers["Content-Type"] == direct.headers["Content-Type"] == "application/json"
    for token in (through.json()["access_token"], direct.json()["access_token"]):
        header = {"Authorization": f"Bearer {token}"}
        assert (await todo_svc.get("/lists", headers=header)).status_code == 200
        assert (await user_svc.get("/me", headers=header)).json()["email"] == email


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (FORM, b"username=nobody%40example.com&password=wrong-password"),
        (FORM, b"username=nobody%40example.com"),
        (FORM, b""),
        (FORM, b"grant_type=refresh_token&username=a&password=b"),
        (FORM, b"username=a&username=b&password=c"),
        (FORM, b"username=%00&password=%ff"),
        ("application/json", b'{"username": "a", "password": "b"}'),
        ("", b"username=a&password=b"),
        ("application/x-www-form-urlencoded; charset=utf-16", b"username=a&password=b"),
        ("multipart/form-data; boundary=x", b"--x--"),
    ],
)
async def test_a_refusal_passes_unchanged(
    todo_svc: httpx.AsyncClient, user_svc: httpx.AsyncClient, content_type: str, body: bytes
) -> None:
    """Whatever is wrong with the form: status, body and the headers that matter are those of user-svc, each once."""
    headers = {"Content-Type": content_type}
    through = await todo_svc.post(LOGIN, content=body, headers=headers)
    direct = await user_svc.post(LOGIN, content=body, headers=headers)
    assert (through.status_code, through.content) == (direct.status_code, direct.content)
    assert 400 <= through.status_code < 500
    for name in ("Content-Type", "Cache-Control", "WWW-Authenticate", "Retry-After", "Content-Length"):
        assert through.headers.get_list(name) == direct.headers.get_list(name)


async def test_a_wrong_password_is_said_as_oauth2_says_it(todo_svc: httpx.AsyncClient, email: str) -> None:
    """400 with FastAPI-Users' code and RFC 6749's error, through both services."""
    answer = await todo_svc.post(LOGIN, data={"username": email, "password": "wrong-password"})
    assert answer.status_code == 400
    assert (answer.json()["code"], answer.json()["error"]) == ("LOGIN_BAD_CREDENTIALS", "invalid_grant")


@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded; é".encode(), b"text/\xff"])
async def test_a_media_type_that_is_no_ascii(todo_svc: httpx.AsyncClient, content_type: bytes) -> None:
    """It goes through as the bytes it is, and user-svc refuses it: never a 500."""
    answer = await todo_svc.post(LOGIN, content=b"x=1", headers=[(b"Content-Type", content_type)])
    assert answer.status_code in (400, 415)


async def test_a_login_that_is_too_large_goes_no_further(todo_svc: httpx.AsyncClient, way: FlakyTransport) -> None:
    """413 from todo-svc itself."""
    answer = await todo_svc.post(LOGIN, content=b"x" * 100_000, headers={"Content-Type": FORM})
    assert (answer.status_code, way.asked) == (413, 0)


@pytest.mark.parametrize(
    "failure",
    [
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("slow"),
        httpx.RemoteProtocolError("cut off"),
        httpx.PoolTimeout(""),
    ],
)
async def test_user_svc_away(todo_svc: httpx.AsyncClient, way: FlakyTransport, email: str, failure: Exception) -> None:
    """503 with Retry-After and nothing of the inside; back as soon as user-svc is."""
    way.fail = failure
    form = {"username": email, "password": PASSWORD}
    answer = await todo_svc.post(LOGIN, data=form)
    assert (answer.status_code, answer.json()["code"]) == (503, "UNAVAILABLE")
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert PASSWORD not in answer.text
    way.fail = None
    assert (await todo_svc.post(LOGIN, data=form)).status_code == 200


async def test_nobody_queues_for_a_user_svc_that_is_away(todo_svc: httpx.AsyncClient, way: FlakyTransport) -> None:
    """After five failures it is left alone for a while: 503 at once."""
    way.fail = httpx.ReadTimeout("slow")
    answers = [await todo_svc.post(LOGIN, data={"username": "a", "password": "b"}) for _ in range(7)]
    assert {answer.status_code for answer in answers} == {503}
    assert all(int(answer.headers["Retry-After"]) > 0 for answer in answers)
    assert way.asked < 7


async def test_a_fault_of_ours_does_not_close_the_way_for_good(
    todo_svc: httpx.AsyncClient, way: FlakyTransport, email: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one request that is let through after a rest fails as nobody foresaw: the next one may still try."""
    monkeypatch.setattr(Breaker, "_open", lambda breaker: breaker._enter(State.OPEN))
    form = {"username": email, "password": PASSWORD}
    way.fail = httpx.ReadTimeout("slow")
    for _ in range(5):
        assert (await todo_svc.post(LOGIN, data=form)).status_code == 503
    way.fail = KeyError("ours")
    assert (await todo_svc.post(LOGIN, data=form)).status_code == 500
    way.fail = None
    assert (await todo_svc.post(LOGIN, data=form)).status_code == 200


async def test_every_forwarded_line_is_passed_on(
    todo_svc: httpx.AsyncClient, way: FlakyTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In their order, and the peer behind them: nobody's word stands in the place of a proxy's."""
    seen: list[str] = []

    async def note(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["X-Forwarded-For"])
        return httpx.Response(400)

    monkeypatch.setattr(way, "handle_async_request", note)
    lines = [("Content-Type", FORM), ("X-Forwarded-For", "8.8.8.8"), ("X-Forwarded-For", "203.0.113.51, 10.0.0.1")]
    await todo_svc.post(LOGIN, content=b"username=a&password=b", headers=lines)
    assert seen == ["8.8.8.8, 203.0.113.51, 10.0.0.1, 127.0.0.1"]


async def test_user_svcs_own_503_passes_with_its_retry_after(todo_svc: httpx.AsyncClient, way: FlakyTransport) -> None:
    """An answer is an answer, also one that asks for patience; what is the hop's own stays behind."""

    def busy() -> httpx.Response:
        headers = {"Retry-After": "7", "Set-Cookie": "a=b", "Server": "x", "Content-Type": "application/problem+json"}
        return httpx.Response(503, headers=headers, content=b'{"code": "BUSY"}')

    way.fail = busy
    answer = await todo_svc.post(LOGIN, data={"username": "a", "password": "b"})
    assert (answer.status_code, answer.content, answer.headers["Retry-After"]) == (503, b'{"code": "BUSY"}', "7")
    assert not {"set-cookie", "server"} & set(answer.headers)


async def test_the_request_id_goes_along(todo_svc: httpx.AsyncClient, way: FlakyTransport) -> None:
    """The two logs tell one story."""
    seen: dict[str, Any] = {}
    passed_on = way.handle_async_request

    async def listen(request: httpx.Request) -> httpx.Response:
        seen.update(request.headers)
        return await passed_on(request)

    way.handle_async_request = listen  # type: ignore[method-assign]
    answer = await todo_svc.post(LOGIN, data={"username": "a", "password": "b"}, headers={"X-Request-ID": "story-0001"})
    assert seen["x-request-id"] == answer.headers["X-Request-ID"] == "story-0001"


async def test_login_asks_for_no_token(todo_svc: httpx.AsyncClient) -> None:
    """The one open route besides health and documentation; a bad token beside it does not matter."""
    answer = await todo_svc.post(LOGIN, data={"username": "a", "password": "b"}, headers={"Authorization": "Bearer x"})
    assert answer.status_code == 400
