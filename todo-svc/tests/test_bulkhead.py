"""One owner's changes keep no more than a few of the connections that everybody needs."""

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest

from common.auth import Principal
from common.auth.principal import Source
from todo_svc import bulkhead
from todo_svc.bulkhead import WRITES, Bulkhead


class Slow:
    """An application whose answers wait, and which knows how many requests are in it."""

    def __init__(self) -> None:
        self.inside: list[UUID] = []
        self.may_answer = asyncio.Event()

    async def __call__(self, scope: Any, _receive: object, send: Callable[..., Any]) -> None:
        """Wait, answer."""
        self.inside.append(scope["user"].id)
        await self.may_answer.wait()
        self.inside.remove(scope["user"].id)
        await send({"type": "http.response.start", "status": 204, "headers": []})


async def ask(layer: Bulkhead, owner: UUID, method: str = "POST") -> int:
    """The status of a request of this owner's."""
    statuses: list[int] = []

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    user = Principal(owner, uuid4(), Source.MEMORY, 0.0)
    scope: Any = {"type": "http", "method": method, "path": "/", "headers": [], "user": user}
    await layer(scope, None, send)  # type: ignore[arg-type]
    return statuses[0]


async def test_an_owner_has_few_places() -> None:
    """More changes wait outside; reads do not, nor do other owners; and all are answered in the end."""
    ann, bob, app = uuid4(), uuid4(), Slow()
    layer = Bulkhead(app)
    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(ask(layer, ann)) for _ in range(20)]
        asked += [group.create_task(ask(layer, bob)), group.create_task(ask(layer, ann, "GET"))]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert (app.inside.count(ann), app.inside.count(bob)) == (WRITES + 1, 1)
        app.may_answer.set()
    assert {task.result() for task in asked} == {204}
    assert layer._places == {}


async def test_who_waits_for_too_long_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """503, and the place of somebody who left is the next one's."""
    monkeypatch.setattr(bulkhead, "PATIENCE", 0.02)
    ann, app = uuid4(), Slow()
    layer = Bulkhead(app)
    first = [asyncio.create_task(ask(layer, ann)) for _ in range(WRITES)]
    await asyncio.sleep(0)
    assert await ask(layer, ann) == 503
    first[0].cancel()
    await asyncio.wait(first[:1])
    app.may_answer.set()
    assert await ask(layer, ann) == 204
    assert [await task for task in first[1:]] == [204] * (WRITES - 1)
    assert layer._places == {}
