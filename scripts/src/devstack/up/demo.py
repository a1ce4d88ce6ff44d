"""The demo user and its first list, made over HTTP like any client's."""

import http.client
import json
from typing import Any
from urllib.parse import urlencode

from devstack.up.report import say
from devstack.up.settings import DEMO_EMAIL, DEMO_PASSWORD

LIST = {"title": "Move to the new flat", "description": "Made by ./scripts/up; edit it, delete it"}
TODOS = (
    {"content": "Book the van", "priority": "high"},
    {"content": "Label the boxes", "priority": "medium", "description": "By room, and what breaks"},
    {"content": "Hand over the keys", "priority": "low"},
)
CREATED, CONFLICT, OK = 201, 409, 200


class RefusedError(Exception):
    """A service answered otherwise than hoped."""


def seed(user_port: int, todo_port: int) -> None:
    """Register the demo user, give it a list if it has none; a stack where that fails still runs."""
    try:
        _seed(user_port, todo_port)
    except (RefusedError, OSError, http.client.HTTPException, ValueError, KeyError) as error:
        say(f"the demo user was not made: {error}")


def _seed(user_port: int, todo_port: int) -> None:
    account = {"email": DEMO_EMAIL, "password": DEMO_PASSWORD}
    _call(user_port, "/auth/register", (CREATED, CONFLICT), body=account)
    form = urlencode({"username": DEMO_EMAIL, "password": DEMO_PASSWORD})
    token = _call(todo_port, "/auth/jwt/login", (OK,), form=form)["access_token"]
    if not _call(todo_port, "/lists", (OK,), token)["items"]:
        made = _call(todo_port, "/lists", (CREATED,), token, body=LIST)
        for todo in TODOS:
            _call(todo_port, f"/lists/{made['id']}/todos", (CREATED,), token, body=todo)


def _call(
    port: int,
    path: str,
    fine: tuple[int, ...],
    token: str | None = None,
    *,
    body: dict[str, str] | None = None,
    form: str | None = None,
) -> Any:
    kind = "application/x-www-form-urlencoded" if form else "application/json"
    headers = {"Content-Type": kind} | ({"Authorization": f"Bearer {token}"} if token else {})
    content = json.dumps(body) if body else form
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("POST" if content else "GET", path, content, headers)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status not in fine:
            raise RefusedError(f"{path} answered {answer.status}")
        return json.loads(text)
    finally:
        connection.close()
