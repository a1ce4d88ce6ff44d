"""A list full of todos that share every value a page can be sorted by."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest_asyncio

# 60 todos in two lists; ids without any order, and at most four different values of everything else.
MANY = """
INSERT INTO todos (owner_id, id, list_id, content, description, priority, due_at, completed_at, position, created_at,
                   updated_at)
SELECT $1, gen_random_uuid(), CASE n % 2 WHEN 0 THEN $2::uuid ELSE $3::uuid END,
       (ARRAY['Buy MILK', 'Call Zoë', 'ΜΆΘΗΜΑ', '100% done_now \\o/'])[n % 4 + 1],
       CASE WHEN n % 5 = 0 THEN 'about milk' END,
       n % 3 + 1,
       CASE WHEN n % 4 > 0 THEN timestamptz '2030-01-01Z' + n % 3 * interval '1 day' END,
       CASE WHEN n % 7 < 3 THEN timestamptz '2026-01-01Z' END,
       n % 4 - 1.5,
       timestamptz '2025-01-01Z' + n % 2 * interval '1 microsecond',
       timestamptz '2025-02-01Z' + n % 3 * interval '1 second'
FROM generate_series(1, 60) n
"""


@pytest_asyncio.fixture(loop_scope="session")
async def many(
    ann: httpx.AsyncClient, ann_id: UUID, groceries: dict[str, Any], sql: Callable[..., Awaitable[list[asyncpg.Record]]]
) -> list[dict[str, Any]]:
    """Sixty todos of Ann's as the database holds them, in no order."""
    other = (await ann.post("/lists", json={"title": "Other"})).json()
    await sql(MANY, ann_id, UUID(groceries["id"]), UUID(other["id"]))
    return [dict(row) for row in await sql("SELECT * FROM todos WHERE owner_id = $1", ann_id)]
