"""A client that a generator makes of what the services say about themselves works against them."""

import importlib
from pathlib import Path

import httpx
import pytest

from devstack.check import clients
from devstack.fixtures import RunningStack
from devstack.places import ROOT


@pytest.mark.e2e
@pytest.mark.xdist_group("stack")
def test_the_page_works(stack: RunningStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """docs/clients.md registers, logs in, makes a list and sees it, with clients made of what is served."""
    for service, url in (("user-svc", stack.user_url), ("todo-svc", stack.todo_url)):
        document = httpx.get(f"{url}/openapi.json").json()
        assert clients.make(service, document, tmp_path) == []
    (tmp_path / "example.py").write_text(clients.example(ROOT))
    monkeypatch.syspath_prepend(tmp_path)
    walk = importlib.import_module("example").walk
    assert walk(stack.user_url, stack.todo_url) == ["Groceries"]


def test_what_cannot_be_said_is_found(tmp_path: Path) -> None:
    """A schema that the generator would leave out."""
    answer = {"200": {"description": "", "content": {"application/json": {"schema": {"$ref": "#/nowhere"}}}}}
    document = {
        "openapi": "3.1.0",
        "info": {"title": "x", "version": "1"},
        "paths": {"/x": {"get": {"operationId": "x", "responses": answer}}},
    }
    assert "todo-svc: " in clients.make("todo-svc", document, tmp_path)[0]
