"""todo-svc as it is wired, with the real user-svc in the same process: guard, fallbacks, operations, documentation."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from litestar import Litestar
from msgspec import to_builtins

from common.auth import KeyRing
from common.settings import load
from common.testing import FlakyTransport, a_user, captured_logs, mint_token, random_keys, session_of
from todo_svc.app import create_app
from todo_svc.settings import Settings

Json = dict[str, Any]
SOURCES = {"memory", "redis", "user-svc", "proof", "blind"}


async def test_from_login_to_a_todo(todo_svc: httpx.AsyncClient, bearer: dict[str, str]) -> None:
    """The walk of the README: each answer says who vouched, and how old that knowledge is."""
    made = await todo_svc.post("/lists", json={"title": "Groceries"}, headers=bearer)
    todo = await todo_svc.post(f"/lists/{made.json()['id']}/todos", json={"content": "Milk"}, headers=bearer)
    page = await todo_svc.get("/todos", headers=bearer)
    assert (made.status_code, todo.status_code, page.json()["items"]) == (201, 201, [todo.json()])
    for answer in (made, todo, page):
        assert answer.headers["X-Auth-Source"] in SOURCES - {"proof", "blind"}
        assert int(answer.headers["X-Auth-Age"]) >= 0


async def test_the_owner_is_the_tokens_subject(
    todo_svc: httpx.AsyncClient, user_svc: httpx.AsyncClient, bearer: dict[str, str], sql: Any
) -> None:
    """What `/me` calls `id` is whose row it becomes."""
    me = (await user_svc.get("/me", headers=bearer)).json()
    made = (await todo_svc.post("/lists", json={"title": "Mine"}, headers=bearer)).json()
    [row] = await sql("SELECT owner_id FROM lists WHERE id = $1", made["id"])
    assert str(row["owner_id"]) == me["id"]


async def test_user_svc_away(todo_svc: httpx.AsyncClient, bearer: dict[str, str], way: FlakyTransport) -> None:
    """A good token keeps working, to read and to write."""
    way.fail = httpx.ConnectError("refused")
    assert (await todo_svc.get("/lists", headers=bearer)).status_code == 200
    assert (await todo_svc.post("/lists", json={"title": "x"}, headers=bearer)).status_code == 201


@pytest.mark.parametrize("answer", [500, 502, 403, 404, 429, 302, 204])
async def test_an_odd_answer_of_user_svc_is_no_logout(
    todo_svc: httpx.AsyncClient,
    pair_variables: dict[str, str],
    way: FlakyTransport,
    redis_url: str,
    answer: int,
) -> None:
    """A token nobody has seen yet, and a user-svc that talks nonsense: the signature carries the request."""
    assert redis_url
    user = a_user()
    way.fail = lambda: httpx.Response(answer, json=to_builtins(user))
    token = mint_token(KeyRing.parse(pair_variables["JWT_KEYS"]), sub=str(user.id))
    said = await todo_svc.get("/lists", headers={"Authorization": f"Bearer {token}"})
    assert said.status_code == 200
    assert said.headers["X-Auth-Source"] in {"proof", "blind"}


async def test_user_svc_refuses(todo_svc: httpx.AsyncClient, pair_variables: dict[str, str]) -> None:
    """Well signed, but of a session that user-svc does not know: 401."""
    token = mint_token(KeyRing.parse(pair_variables["JWT_KEYS"]))
    answer = await todo_svc.get("/lists", headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.json()["code"]) == (401, "INVALID_TOKEN")


async def test_a_forged_token_asks_nobody(todo_svc: httpx.AsyncClient, way: FlakyTransport) -> None:
    """Signed with another secret: 401 without a question to user-svc."""
    token = mint_token(KeyRing.parse(random_keys()))
    answer = await todo_svc.get("/lists", headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.headers["X-Auth-Source"], way.asked) == (401, "proof", 0)


async def test_keys_rotate_without_anybody_noticing(
    pair_variables: dict[str, str], way: FlakyTransport, bearer: dict[str, str], running: Callable[[Litestar], Any]
) -> None:
    """A todo-svc with a new first key still takes the tokens of the old one, and drops them with it."""
    old, new = pair_variables["JWT_KEYS"], random_keys("next")
    statuses = []
    for keys in (f"{new},{old}", f"{old},{new}", new):
        app = create_app(load(Settings, pair_variables | {"JWT_KEYS": keys}), transport=way)
        transport = httpx.ASGITransport(app)  # type: ignore[arg-type]
        async with running(app), httpx.AsyncClient(transport=transport, base_url="http://todo.test") as client:
            statuses.append((await client.get("/lists", headers=bearer)).status_code)
    assert statuses == [200, 200, 401]


async def test_sessions_are_told_apart(todo_svc: httpx.AsyncClient, user_svc: httpx.AsyncClient, email: str) -> None:
    """Logging out of one leaves the other."""
    form = {"username": email, "password": "correct-horse-battery"}
    tokens = [(await todo_svc.post("/auth/jwt/login", data=form)).json()["access_token"] for _ in range(2)]
    assert session_of(tokens[0]) != session_of(tokens[1])
    headers = [{"Authorization": f"Bearer {token}"} for token in tokens]
    assert (await user_svc.post("/auth/jwt/logout", headers=headers[0])).status_code == 204
    assert [(await todo_svc.get("/lists", headers=header)).status_code for header in headers] == [401, 200]


async def test_what_is_open(nobody: httpx.AsyncClient) -> None:
    """Health, metrics and documentation answer without a token."""
    for path in ("/health/live", "/health/ready", "/metrics", "/docs", "/openapi.json"):
        assert (await nobody.get(path)).status_code == 200, path


async def test_what_is_not_there(nobody: httpx.AsyncClient, ann: httpx.AsyncClient) -> None:
    """404 problem+json, with or without a token."""
    for caller in (nobody, ann):
        answer = await caller.get("/nothing")
        assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")
        assert answer.headers["Content-Type"] == "application/problem+json"


def test_the_environment_is_read_when_the_app_is_made(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not at import: without its settings it ends with code 2 and one line, with them it is there."""
    for name in variables:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SystemExit) as ending:
        create_app()
    assert ending.value.code == 2
    assert capsys.readouterr().err.startswith("todo-svc: DATABASE_URL is not set; ")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with captured_logs():  # else later tests would write to what `capsys` has closed by then
        assert create_app().openapi_config is not None
