"""The loading: whole users at a time, by COPY on two connections."""

import asyncio
from collections.abc import Iterator
from typing import Any, Final

from devstack.seed.bulk.databases import Databases
from devstack.seed.bulk.people import Batch, People
from devstack.seed.progress import Progress

WORKERS = 2  # as many as keep two cores busy: one makes rows while PostgreSQL takes in those of the other

ACCOUNTS = (
    "id", "email", "email_key", "password_hash", "is_active", "is_superuser", "is_verified", "created_at", "updated_at"
)  # fmt: skip
LISTS = ("id", "owner_id", "title", "description", "created_at", "updated_at")
TODOS = (
    "id", "owner_id", "list_id", "content", "description", "priority", "due_at",
    "completed_at", "position", "version", "created_at", "updated_at",
)  # fmt: skip

# What the triggers would have written, by the thousand: see migrations 0003, 0004, 0007 and 0008 of todo-svc.
SEARCH = """
INSERT INTO todo_search (todo_id, owner_id, created_at, content, description, labels)
SELECT id, owner_id, created_at, search_fold(content), search_fold(coalesce(description, '')), labels
FROM todos WHERE owner_id = ANY($1) AND deleted_at IS NULL
"""
CHANGES = """
INSERT INTO changes (owner_id, kind, row_id, seq)
SELECT owner_id, kind, id, row_number() OVER (PARTITION BY owner_id ORDER BY updated_at, id) FROM (
    SELECT owner_id, 'list' AS kind, id, updated_at FROM lists WHERE owner_id = ANY($1) AND deleted_at IS NULL
    UNION ALL SELECT owner_id, 'todo', id, updated_at FROM todos WHERE owner_id = ANY($1) AND deleted_at IS NULL
) AS everything
"""
OWNERS = """
INSERT INTO owners (owner_id, seq) SELECT owner_id, max(seq) FROM changes WHERE owner_id = ANY($1) GROUP BY owner_id
"""
DERIVED: Final = (SEARCH, CHANGES, OWNERS)
# Nobody has these owners yet: no trigger has anything to say that the statements above do not, nor a foreign key.
QUIET = "SET LOCAL session_replication_role = replica"
INDEX = "SELECT gin_clean_pending_list('ix_todo_search_words')"


class Loader:
    """Loads batches; `created` counts what is committed."""

    def __init__(self, databases: Databases, progress: Progress) -> None:
        self.created = {"users": 0, "lists": 0, "todos": 0}
        self._databases = databases
        self._progress = progress

    async def run(self, people: People, first: int) -> None:
        """Load everybody, then let the planner know."""
        batches = people.batches(first)
        async with asyncio.TaskGroup() as group:
            for _ in range(WORKERS):
                group.create_task(self._work(batches))
        self._progress.notice("indexing and analysing")
        await self._databases.settle()

    async def _work(self, batches: Iterator[Batch]) -> None:
        """One worker: the iterator it shares with the other is the queue."""
        async with self._databases.connected() as (users, todos):
            for batch in batches:
                # The accounts last: who can log in has everything, and an interruption leaves no half of anybody.
                async with users.transaction():
                    await users.copy_records_to_table("accounts", records=batch.accounts, columns=ACCOUNTS)
                    count = await _fill(todos, batch)
                self._count(batch, count)
                await todos.execute(INDEX)

    def _count(self, batch: Batch, todos: int) -> None:
        for kind, count in (("users", len(batch.accounts)), ("lists", len(batch.lists)), ("todos", todos)):
            self.created[kind] += count
            self._progress.advance(count)


async def _fill(todos: Any, batch: Batch) -> int:
    """Lists, todos, and all that follows from them, together; how many todos."""
    async with todos.transaction():
        await todos.execute(QUIET)
        await todos.copy_records_to_table("lists", records=batch.lists, columns=LISTS)
        tag = await todos.copy_records_to_table("todos", records=batch.todos, columns=TODOS)
        for statement in DERIVED:
            await todos.execute(statement, batch.owners)
    return int(tag.rpartition(" ")[2])
