"""GET /events: changes as they are made, without a gap or a repeat, for as long as the caller may see them."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, contextmanager
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest
from litestar import Litestar
from redis.asyncio import Redis

from common.testing import FakeAuthenticator, eventually
from devstack.embedded import Valkey
from todo_svc.app import create_app
from todo_svc.settings import Settings
from todo_svc.sync import feeds
from todo_svc.sync.bell import CHANNEL
from todo_svc.sync.queries import ChangeQueries

Json = dict[str, Any]
Sql = Callable[..., Awaitable[list[asyncpg.Record]]]
Listen = Callable[..., AbstractAsyncContextManager[Any]]

NEVER = 1000.0  # seconds


def caller(app: Litestar, token: str) -> httpx.AsyncClient:
    """A client of one of several processes."""
    transport = httpx.ASGITransport(app)  # type: ignore[arg-type]
    return httpx.AsyncClient(
        transport=transport, base_url="http://service.test", headers={"Authorization": f"Bearer {token}"}
    )


async def test_a_change_is_told_at_once(
    app: Litestar, ann: httpx.AsyncClient, milk: Json, token: str, listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As sync would show it, under the same number; what was before is not told."""
    monkeypatch.setattr(feeds, "POLL_DEAF", NEVER)
    async with listen(app, token) as listener:
        assert (listener.status, listener.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        assert listener.headers["x-accel-buffering"] == "no"
        await ann.patch(f"/todos/{milk['id']}", json={"content": "Oat milk"})
        event = await listener.next()
        [change] = (await ann.get("/sync", params={"since": "2"})).json()["items"]
        assert event == {"id": 3, "event": "todo", "data": change}
        assert (await ann.delete(f"/lists/{milk['list_id']}")).status_code == 204
        ended = [await listener.next(), await listener.next()]
        assert {(event["event"], event["data"]["deleted"]) for event in ended} == {("list", True), ("todo", True)}


async def test_where_a_stream_begins(app: Litestar, milk: Json, token: str, listen: Listen) -> None:
    """The first thing that comes is the number to go on from, should the connection break before a change."""
    async with listen(app, token) as listener:
        assert listener.body == b"retry: 2000\nid: 2\n\n"
        assert milk["version"] == 1


async def test_it_goes_on_behind_the_last_event(app: Litestar, milk: Json, token: str, listen: Listen) -> None:
    """`Last-Event-ID`, or `next` of sync, is where it goes on."""
    async with listen(app, token, "1") as listener:
        assert (await listener.next())["data"]["todo"] == milk


async def test_no_gap_and_no_repeat(
    app: Litestar, ann: httpx.AsyncClient, groceries: Json, token: str, listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever comes and goes while others write has every change in the end, each number once and in order."""
    monkeypatch.setattr(feeds, "KEPT", 5)
    path = f"/lists/{groceries['id']}/todos"

    async def write(number: int) -> None:
        for step in range(6):
            todo = (await ann.post(path, json={"content": f"{number}.{step}"})).json()
            if step % 2:
                await ann.patch(f"/todos/{todo['id']}", json={"completed": True})
            if step == 3:
                await ann.delete(f"/todos/{todo['id']}")

    writing = asyncio.gather(*(write(number) for number in range(5)))
    replica: Json = {}
    last, final = 1, 1 + 5 * (6 + 3 + 1)
    while last < final:
        async with listen(app, token, str(last)) as listener:
            for _ in range(7):
                event = await listener.next()
                assert event["id"] > last
                last, change = event["id"], event["data"]
                replica[change["id"]] = change["todo"]
                if last == final:
                    break
    await writing
    shown = (await ann.get("/todos", params={"limit": 100})).json()["items"]
    assert {key: todo for key, todo in replica.items() if todo} == {todo["id"]: todo for todo in shown}


async def test_a_client_that_takes_nothing(
    app: Litestar, ann: httpx.AsyncClient, groceries: Json, token: str, listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is gathered for it; once it takes again it has every number."""
    monkeypatch.setattr(feeds, "KEPT", 3)
    async with listen(app, token) as listener, listen(app, token) as other:
        listener.open_.clear()
        for number in range(10):
            await ann.post(f"/lists/{groceries['id']}/todos", json={"content": str(number)})
        assert [(await other.next())["id"] for _ in range(10)] == list(range(2, 12))
        assert listener.waiting() == 0
        listener.open_.set()
        assert [(await listener.next())["id"] for _ in range(10)] == list(range(2, 12))


async def test_a_client_that_leaves_without_having_taken(
    app: Litestar, ann: httpx.AsyncClient, milk: Json, token: str, listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its place is free again, in the middle of a chunk as well."""
    monkeypatch.setattr(feeds, "STREAMS", 1)
    async with listen(app, token) as listener:
        listener.open_.clear()
        await ann.patch(f"/todos/{milk['id']}", json={"content": "Oat milk"})
    async with listen(app, token) as listener:
        assert listener.status == 200


async def test_owners_are_apart(
    app: Litestar, ann: httpx.AsyncClient, bob: httpx.AsyncClient, token: str, listen: Listen
) -> None:
    """Nobody hears of anybody else's changes."""
    async with listen(app, token) as listener:
        await bob.post("/lists", json={"title": "Bob's"})
        await ann.post("/lists", json={"title": "Ann's"})
        assert (await listener.next())["data"]["list"]["title"] == "Ann's"
        assert listener.waiting() == 0


async def test_nobody(app: Litestar, listen: Listen) -> None:
    """Guarded as any route."""
    async with listen(app, None) as listener:
        assert (listener.status, listener.headers["www-authenticate"]) == (401, "Bearer")


async def test_where_it_cannot_go_on(
    app: Litestar, ann_id: UUID, milk: Json, sql: Sql, token: str, listen: Listen
) -> None:
    """410 where something may be missing, as sync says; 422 for what is no number."""
    await sql("UPDATE owners SET horizon = $2 WHERE owner_id = $1", ann_id, milk["version"] + 1)
    for since, status in (("1", 410), ("3", 410), ("x", 422), ("-1", 422), ("2", 200)):
        async with listen(app, token, since) as listener:
            assert listener.status == status


async def test_too_many_streams(app: Litestar, token: str, listen: Listen, monkeypatch: pytest.MonkeyPatch) -> None:
    """429 with Retry-After past so many of one account; one that ends makes room."""
    monkeypatch.setattr(feeds, "STREAMS", 2)
    async with AsyncExitStack() as stack:
        for _ in range(2):
            await stack.enter_async_context(listen(app, token))
        async with listen(app, token) as listener:
            assert (listener.status, "retry-after" in listener.headers) == (429, True)
    async with listen(app, token) as listener:
        assert listener.status == 200


async def test_too_many_streams_at_once(
    app: Litestar, token: str, listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many come in the same moment: so many are let in, and every other is 429 with Retry-After."""
    monkeypatch.setattr(feeds, "STREAMS", 2)
    async with AsyncExitStack() as stack:
        listeners = await asyncio.gather(*(stack.enter_async_context(listen(app, token)) for _ in range(6)))
        assert sorted(listener.status for listener in listeners) == [200] * 2 + [429] * 4
        for listener in listeners:
            assert listener.over.is_set() == ("retry-after" in listener.headers) == (listener.status == 429)
    async with listen(app, token) as listener:
        assert listener.status == 200


async def test_a_stream_that_comes_while_the_process_ends(
    *, settings: Settings, authenticator: FakeAuthenticator, running: Callable[[Litestar], Any], token: str,
    listen: Listen, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """503 with Retry-After, and not an answer that ends at once."""
    farewells: list[Callable[[], None]] = []

    @contextmanager
    def on_shutdown(call: Callable[[], None]) -> Iterator[None]:
        farewells.append(call)
        yield

    monkeypatch.setattr(feeds, "on_shutdown", on_shutdown)
    async with running(create_app(settings, auth=authenticator)) as app, listen(app, token) as before:
        farewells[0]()
        await before.over.wait()
        async with listen(app, token) as late:
            assert (late.status, late.headers["retry-after"]) == (503, "1")


async def test_one_reader_for_all_streams(
    app: Litestar, ann: httpx.AsyncClient, token: str, listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL is asked once for a change, however many of the owner's streams are told of it."""
    monkeypatch.setattr(feeds, "POLL_DEAF", NEVER)
    asked = 0
    after = ChangeQueries.after

    async def counted(*arguments: Any) -> Any:
        nonlocal asked
        asked += 1
        return await after(*arguments)

    async with AsyncExitStack() as stack:
        listeners = [await stack.enter_async_context(listen(app, token)) for _ in range(5)]
        monkeypatch.setattr(ChangeQueries, "after", counted)
        await ann.post("/lists", json={"title": "One"})
        assert [(await listener.next())["id"] for listener in listeners] == [1] * 5
    assert asked == 1


async def test_silence_is_filled(app: Litestar, token: str, listen: Listen, monkeypatch: pytest.MonkeyPatch) -> None:
    """A comment now and then keeps proxies from taking the connection for dead."""
    monkeypatch.setattr(feeds, "QUIET", 0.02)
    async with listen(app, token) as listener:
        await eventually(lambda: listener.comments >= 2)


async def test_another_process(
    processes: list[Litestar], token: str, listen: Listen, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is written in one is told by the other, by Redis alone; nobody listens there once no stream is left."""
    monkeypatch.setattr(feeds, "POLL", NEVER)
    here, there = processes
    async with Redis.from_url(redis_url) as redis:

        async def heard_by(count: int) -> bool:
            return bool(await redis.pubsub_numsub(CHANNEL) == [(CHANNEL.encode(), count)])

        async with listen(there, token) as listener, caller(here, token) as ann:
            await eventually(lambda: heard_by(1))
            for title in ("One", "Two"):
                await ann.post("/lists", json={"title": title})
                assert (await listener.next(2))["data"]["list"]["title"] == title
        await eventually(lambda: heard_by(0))


async def test_another_process_while_redis_is_away(
    processes: list[Litestar], token: str, listen: Listen, valkey_server: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL is looked at every second instead; the writer notices nothing."""
    monkeypatch.setattr(feeds, "POLL", NEVER)
    monkeypatch.setattr(feeds, "POLL_DEAF", 0.2)
    here, there = processes
    async with listen(there, token) as listener, caller(here, token) as ann:
        valkey_server.kill()
        try:
            for title in ("One", "Two", "Three"):
                assert (await ann.post("/lists", json={"title": title})).status_code == 201
                assert (await listener.next(3))["data"]["list"]["title"] == title
        finally:
            valkey_server.start()


async def test_the_end_of_the_service(
    settings: Settings, authenticator: FakeAuthenticator, running: Callable[[Litestar], Any], token: str, listen: Listen
) -> None:
    """Streams end with it."""
    async with AsyncExitStack() as stack:
        async with running(create_app(settings, auth=authenticator)) as app:
            listener = await stack.enter_async_context(listen(app, token))
            assert listener.status == 200
        async with asyncio.timeout(2):
            await listener.over.wait()
