"""The tables: what PostgreSQL itself refuses, whatever a statement of ours might try."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from todo_svc.models import metadata

Json = dict[str, Any]
Sql = Callable[..., Awaitable[list[asyncpg.Record]]]
INSERT = "INSERT INTO todos (owner_id, id, list_id, content, position, priority) VALUES ($1, $2, $3, 'x', 0, $4)"


def test_the_tables_of_todo_svc() -> None:
    """Its own eight and no other service's."""
    assert set(metadata.tables) == {
        "lists",
        "todos",
        "todo_search",
        "owners",
        "changes",
        "idempotency_keys",
        "erased_users",
        "erasure_progress",
    }


async def test_a_todo_cannot_stand_in_somebody_elses_list(groceries: Json, sql: Sql) -> None:
    """The foreign key holds the owner too."""
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await sql(INSERT, uuid4(), uuid4(), UUID(groceries["id"]), 2)


@pytest.mark.parametrize("rank", [0, 4])
async def test_a_priority_is_one_of_three_ranks(ann_id: UUID, groceries: Json, sql: Sql, rank: int) -> None:
    """No other number can be stored."""
    with pytest.raises(asyncpg.CheckViolationError):
        await sql(INSERT, ann_id, uuid4(), UUID(groceries["id"]), rank)


async def test_a_title_stands_once_per_owner(ann_id: UUID, groceries: Json, sql: Sql) -> None:
    """The unique index decides, so that no race can."""
    insert = "INSERT INTO lists (owner_id, id, title) VALUES ($1, $2, $3)"
    with pytest.raises(asyncpg.UniqueViolationError):
        await sql(insert, ann_id, uuid4(), groceries["title"])
    await sql(insert, uuid4(), uuid4(), groceries["title"])
