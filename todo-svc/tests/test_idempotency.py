"""Idempotency-Key at todo-svc: a request that comes again makes nothing again."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest

from common.idempotency import _TAKE

Json = dict[str, Any]
Sql = Callable[..., Awaitable[list[asyncpg.Record]]]

COUNT = "SELECT count(*)::int FROM lists WHERE owner_id = $1"
KEPT = "SELECT key, status FROM idempotency_keys WHERE scope = $1::uuid::text"


def key() -> dict[str, str]:
    """A header with a key that nobody has used."""
    return {"Idempotency-Key": str(uuid4())}


async def count(sql: Sql, owner: UUID) -> int:
    """How many lists there are of this owner's."""
    return int((await sql(COUNT, owner))[0][0])


async def test_a_repeat_gets_the_first_answer(ann: httpx.AsyncClient, ann_id: UUID, sql: Sql) -> None:
    """Status, tag and body byte for byte, marked as given again; there is one row, also after it was changed."""
    headers = key()
    first = await ann.post("/lists", json={"title": "Once"}, headers=headers)
    assert (first.status_code, "idempotency-replayed" in first.headers) == (201, False)
    await ann.patch(f"/lists/{first.json()['id']}", json={"title": "Changed"})
    again = await ann.post("/lists", json={"title": "Once"}, headers=headers)

    assert (again.status_code, again.content, again.headers.get("etag")) == (
        201,
        first.content,
        first.headers.get("etag"),
    )
    assert (again.headers["idempotency-replayed"], again.headers["content-type"]) == ("true", "application/json")
    assert await count(sql, ann_id) == 1


async def test_a_todo_is_made_once(ann: httpx.AsyncClient, groceries: Json) -> None:
    """The same for the other thing that can be made."""
    headers, path = key(), f"/lists/{groceries['id']}/todos"
    first, again = [await ann.post(path, json={"content": "Milk"}, headers=headers) for _ in range(2)]
    assert (first.status_code, again.content) == (201, first.content)
    assert [todo["id"] for todo in (await ann.get(path)).json()["items"]] == [first.json()["id"]]


async def test_a_batch_is_done_once(ann: httpx.AsyncClient, groceries: Json) -> None:
    """All of it in the transaction of its answer, though it takes a transaction of its own."""
    headers = key()
    operations = [{"op": "create", "list_id": groceries["id"], "content": "x" * 900} for _ in range(100)]
    first, again = [await ann.post("/todos/batch", json={"operations": operations}, headers=headers) for _ in range(2)]
    assert (first.status_code, again.status_code, again.content) == (200, 200, first.content)
    assert len(first.request.content) > 64 * 1024
    assert (await ann.get("/sync", params={"limit": 500})).json()["next"] == "101"


@pytest.mark.parametrize("other", ["body", "path"])
async def test_the_key_of_another_request(ann: httpx.AsyncClient, groceries: Json, other: str) -> None:
    """422 `IDEMPOTENCY_KEY_REUSED`; nothing is made."""
    headers, path = key(), f"/lists/{groceries['id']}/todos"
    body = {"content": "Milk"}
    assert (await ann.post(path, json=body, headers=headers)).status_code == 201
    if other == "body":
        body = {"content": "Bread"}
    else:
        path = f"/lists/{(await ann.post('/lists', json={'title': 'Other'})).json()['id']}/todos"
    answer = await ann.post(path, json=body, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")
    assert len((await ann.get("/todos")).json()["items"]) == 1


async def test_many_at_once(ann: httpx.AsyncClient, ann_id: UUID, sql: Sql) -> None:
    """Of twenty with one key one makes the row; the others get its answer, or are told that it is under way."""
    headers = key()
    answers = await asyncio.gather(*(ann.post("/lists", json={"title": "One"}, headers=headers) for _ in range(20)))

    assert await count(sql, ann_id) == 1
    assert Counter(answer.status_code for answer in answers).keys() <= {201, 409}
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} <= {"IDEMPOTENCY_KEY_IN_USE"}
    made = [answer for answer in answers if answer.status_code == 201]
    assert {answer.content for answer in made} == {made[0].content}
    assert ["idempotency-replayed" in answer.headers for answer in made].count(False) == 1


async def test_one_under_way(ann: httpx.AsyncClient, ann_id: UUID, sql: Sql, admin_dsn: str) -> None:
    """409 with Retry-After while the first is not done, without waiting for it; then it is done as if new."""
    headers = key()
    other = await asyncpg.connect(admin_dsn)
    try:
        async with other.transaction():
            assert await other.fetchval(_TAKE, str(ann_id), headers["Idempotency-Key"])
            answer = await ann.post("/lists", json={"title": "Wait"}, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (409, "IDEMPOTENCY_KEY_IN_USE")
            assert int(answer.headers["retry-after"]) >= 1
            assert await count(sql, ann_id) == 0
    finally:
        await other.close()
    assert (await ann.post("/lists", json={"title": "Wait"}, headers=headers)).status_code == 201


async def test_a_crash_between_the_write_and_its_commit(
    ann: httpx.AsyncClient, ann_id: UUID, sql: Sql, admin_dsn: str
) -> None:
    """Neither the row nor the key is left, the caller is told to try again, and the next try makes it."""
    headers = key()
    holder = await asyncpg.connect(admin_dsn)
    try:
        async with holder.transaction():  # the record of the answer waits for this, the row is written by then
            await holder.execute(
                "INSERT INTO idempotency_keys (scope, key, fingerprint, status, body) VALUES ($1, $2, '', 201, '')",
                str(ann_id),
                headers["Idempotency-Key"],
            )
            trying = asyncio.ensure_future(ann.post("/lists", json={"title": "Crash"}, headers=headers))
            await _killed(sql, holder.get_server_pid())
            answer = await trying
            assert (answer.status_code, answer.json()["code"]) == (503, "UNAVAILABLE")
            raise _UndoneError
    except _UndoneError:
        pass
    finally:
        await holder.close()
    assert (await count(sql, ann_id), await sql(KEPT, ann_id)) == (0, [])

    answer = await ann.post("/lists", json={"title": "Crash"}, headers=headers)
    assert (answer.status_code, "idempotency-replayed" in answer.headers) == (201, False)


class _UndoneError(Exception):
    """Rolls back."""


async def _killed(sql: Sql, holder: int) -> None:
    """End the connection that waits for the holder's."""
    async with asyncio.timeout(5):
        while not await sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE $1 = ANY (pg_blocking_pids(pid))", holder
        ):
            pass


async def test_a_failure_is_not_kept(ann: httpx.AsyncClient, ann_id: UUID, sql: Sql) -> None:
    """A refused request can be made good under the same key, whatever its body was."""
    headers = key()
    taken = await ann.post("/lists", json={"title": "Taken"})
    refused = [
        await ann.post("/lists", json=body, headers=headers) for body in ({"title": ""}, {"title": "Taken"}, {"x": 1})
    ]
    assert [answer.status_code for answer in refused] == [422, 409, 422]
    assert refused[1].json()["code"] == "LIST_TITLE_TAKEN"
    assert await sql(KEPT, ann_id) == []
    assert (await ann.post("/lists", json={"title": "Free"}, headers=headers)).status_code == 201
    assert (taken.status_code, await count(sql, ann_id)) == (201, 2)


async def test_owners_are_apart(ann: httpx.AsyncClient, bob: httpx.AsyncClient) -> None:
    """The same key of two people is two keys."""
    headers = key()
    hers, his = [await who.post("/lists", json={"title": "Ours"}, headers=headers) for who in (ann, bob)]
    assert (hers.status_code, his.status_code) == (201, 201)
    assert hers.json()["id"] != his.json()["id"]
    assert "idempotency-replayed" not in his.headers


async def test_a_key_lasts_a_day(ann: httpx.AsyncClient, ann_id: UUID, sql: Sql) -> None:
    """After it the same key is a new one, also where the old one has not been cleared away."""
    headers = key()
    assert (await ann.post("/lists", json={"title": "Old"}, headers=headers)).status_code == 201
    await sql(
        "UPDATE idempotency_keys SET created_at = now() - interval '24 hours 1 second' WHERE scope = $1::uuid::text",
        ann_id,
    )
    answer = await ann.post("/lists", json={"title": "New"}, headers=headers)
    assert (answer.status_code, answer.json()["title"]) == (201, "New")


@pytest.mark.parametrize("given", ["", "two words", "x" * 256, "caf\u00e9"])
async def test_what_is_no_key(ann: httpx.AsyncClient, ann_id: UUID, sql: Sql, given: str) -> None:
    """422 that names the header, and nothing is made."""
    answer = await ann.post(
        "/lists", json={"title": "x"}, headers=httpx.Headers([(b"Idempotency-Key", given.encode())])
    )
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["location"] == "header.Idempotency-Key"
    assert await count(sql, ann_id) == 0


async def test_two_keys(ann: httpx.AsyncClient) -> None:
    """Nobody can say which is meant."""
    headers = [("Idempotency-Key", "one"), ("Idempotency-Key", "two")]
    assert (await ann.post("/lists", json={"title": "x"}, headers=headers)).status_code == 422


async def test_a_body_that_is_too_large(ann: httpx.AsyncClient, ann_id: UUID, sql: Sql) -> None:
    """413 as without a key; it is not gathered."""
    answer = await ann.post(
        "/lists", content=b'"' + b"x" * 2_000_000, headers=key() | {"Content-Type": "application/json"}
    )
    assert (answer.status_code, await sql(KEPT, ann_id)) == (413, [])


async def test_what_is_kept_of_a_request(ann: httpx.AsyncClient, ann_id: UUID, sql: Sql) -> None:
    """Of what was asked only a keyed hash."""
    await ann.post("/lists", json={"title": "Secret plan"}, headers=key())
    [row] = await sql("SELECT fingerprint, body FROM idempotency_keys WHERE scope = $1::uuid::text", ann_id)
    assert (len(row["fingerprint"]), b"Secret" in row["fingerprint"]) == (32, False)
