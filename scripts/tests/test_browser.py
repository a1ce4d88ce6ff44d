"""The documentation page in a real browser."""

import base64
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from devstack.browser import Tab, installed
from devstack.fixtures import RunningStack
from devstack.up import demo
from devstack.up.settings import DEMO_EMAIL, DEMO_PASSWORD

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("stack")]


def button(words: str) -> str:
    """The first shown button that says so."""
    return f"[...document.querySelectorAll('button')].find(b => b.offsetParent && b.innerText.includes({words!r}))"


@pytest.fixture
def tab(tmp_path: Path) -> Iterator[Tab]:
    """A page of the browser that is installed here."""
    if (program := installed()) is None:
        pytest.skip("no Chromium is installed here")
    with Tab.opened(program, tmp_path / "profile") as opened:
        yield opened


def test_log_in_and_ask(tab: Tab, stack: RunningStack) -> None:
    """Authorize, send a guarded request, see 200 and the todo; nothing complains, and no other host is asked."""
    prepare(stack)
    tab.go(f"{stack.todo_url}/docs")
    tab.click(button("Authorize"))
    login = tab.wait(lambda event: answered(event, "/auth/jwt/login"))
    assert login["params"]["response"]["status"] == 200
    tab.evaluate("location.hash = '#tag/todos/GET/todos'")
    tab.click_until(button("(get /todos)"), button("Send get request"))
    tab.click(button("Send get request"))
    asked = tab.wait(lambda event: answered(event, "/todos"))
    assert asked["params"]["response"]["status"] == 200
    for words in ("200 OK", "Buy milk"):
        assert tab.until(f"document.body.innerText.includes({words!r})")
    if folder := os.environ.get("SCREENSHOTS"):
        picture = base64.b64decode(tab.send("Page.captureScreenshot")["data"])
        Path(folder, "docs.png").write_bytes(picture)
    assert complaints(tab.events) == []
    assert {host for event in tab.events for host in asked_hosts(event)} == {stack.todo_url}


def prepare(stack: RunningStack) -> None:
    """The demo login exists, with what `up` gives it, and has a todo of ours."""
    demo.seed(urlsplit(stack.user_url).port or 0, urlsplit(stack.todo_url).port or 0)
    with httpx.Client() as client:
        form = {"username": DEMO_EMAIL, "password": DEMO_PASSWORD}
        token = client.post(f"{stack.todo_url}/auth/jwt/login", data=form).json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        made = client.post(f"{stack.todo_url}/lists", json={"title": "Groceries"}).json()
        client.post(f"{stack.todo_url}/lists/{made['id']}/todos", json={"content": "Buy milk"}).raise_for_status()


def answered(event: dict[str, Any], path: str) -> bool:
    """Whether it is the answer to a request of this path."""
    if event.get("method") != "Network.responseReceived":
        return False
    return httpx.URL(event["params"]["response"]["url"]).path == path


def asked_hosts(event: dict[str, Any]) -> list[str]:
    """Where a request went; what has no host is in the page itself."""
    if event.get("method") != "Network.requestWillBeSent":
        return []
    url = httpx.URL(event["params"]["request"]["url"])
    return [f"{url.scheme}://{url.netloc.decode()}"] if url.host else []


def complaints(events: list[dict[str, Any]]) -> list[Any]:
    """What went wrong in the page, its policy's refusals included."""
    return [
        event["params"]
        for event in events
        if event.get("method") == "Runtime.exceptionThrown"
        or (event.get("method") == "Runtime.consoleAPICalled" and event["params"]["type"] == "error")
        or (event.get("method") == "Log.entryAdded" and event["params"]["entry"]["level"] == "error")
    ]
