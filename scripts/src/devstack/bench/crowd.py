"""A table as one is that has lived: a long list to page through, and statistics that know of it."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
from uuid_utils.compat import uuid7

from todo_svc.todos.filters import order_of

DEEP = 100_000  # todos before the page that is read
BEHIND = 100
FIRST = datetime(2020, 1, 1, tzinfo=UTC)

# Triggers are off: they would write 100,000 rows more, which nothing here reads.
_FILL = f"""
SET session_replication_role = replica;
INSERT INTO lists (owner_id, id, title) VALUES ('{{owner}}', '{{list_id}}', 'Long');
INSERT INTO todos (owner_id, id, list_id, content, position, created_at)
SELECT '{{owner}}', ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, '{{list_id}}', 'Todo ' || n, n,
       timestamptz '2020-01-01Z' + n * interval '1 second'
FROM generate_series(1, {DEEP + BEHIND}) AS n;
RESET session_replication_role;
ANALYZE;
"""  # noqa: S608 - numbers and ids of our own


async def crowd(dsn: str, owner: UUID) -> UUID:
    """Make the list, as a superuser; its id."""
    list_id = uuid7()
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(_FILL.format(owner=owner, list_id=list_id))
    finally:
        await connection.close()
    return list_id


def cursor() -> str:
    """Behind the last row of the depth."""
    last = UUID(int=(0x7000_8000 << 48) + DEEP)
    return order_of("created_at").cursor(FIRST + timedelta(seconds=DEEP), last)
