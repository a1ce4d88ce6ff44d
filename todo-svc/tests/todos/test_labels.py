"""Labels: a short list of words in the caller's order."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest

Json = dict[str, Any]
Sql = Callable[..., Awaitable[list[asyncpg.Record]]]


async def test_labels_are_kept_in_order(ann: httpx.AsyncClient, groceries: Json, sql: Sql) -> None:
    """What comes twice counts once, spaces and case are the caller's; other changes leave them alone."""
    path = f"/lists/{groceries['id']}/todos"
    made = (await ann.post(path, json={"content": "x", "labels": ["b", " A ", "b", "é"]})).json()
    assert made["labels"] == ["b", " A ", "é"]
    [row] = await sql("SELECT labels FROM todos WHERE id = $1", UUID(made["id"]))
    assert row["labels"] == made["labels"]
    assert (await ann.patch(f"/todos/{made['id']}", json={"content": "y"})).json()["labels"] == made["labels"]
    assert (await ann.patch(f"/todos/{made['id']}", json={"labels": ["z", "z"]})).json()["labels"] == ["z"]
    assert (await ann.patch(f"/todos/{made['id']}", json={"labels": []})).json()["labels"] == []
    assert (await ann.post(path, json={"content": "x"})).json()["labels"] == []


@pytest.mark.parametrize(
    "labels", [[""], ["  "], ["x" * 51], ["a\0b"], [1], [None], "urgent", None, [str(n) for n in range(21)]]
)
async def test_other_labels_are_refused(ann: httpx.AsyncClient, milk: Json, labels: object) -> None:
    """Blank, too long, too many, with a NUL, no text at all: 422 that names the place, in either body."""
    for answer in (
        await ann.post(f"/lists/{milk['list_id']}/todos", json={"content": "x", "labels": labels}),
        await ann.patch(f"/todos/{milk['id']}", json={"labels": labels}),
    ):
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["location"].startswith("body.labels")
    assert (await ann.get(f"/todos/{milk['id']}")).json() == milk
