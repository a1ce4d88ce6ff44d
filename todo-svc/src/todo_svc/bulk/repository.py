"""Changing many todos: one transaction, whatever becomes of it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from http import HTTPStatus
from typing import Final
from uuid import UUID

from common.database import Transactions
from common.dto import FieldError
from common.errors import ServiceError
from todo_svc.batches import in_batches
from todo_svc.bulk.schemas import CreateOperation, DeleteOperation, Operation, Result, UpdateOperation
from todo_svc.lists import queries as lists
from todo_svc.retention import DUE, KEPT
from todo_svc.todos.repository import TodoRepository
from todo_svc.turns import turn

_COMPLETE: Final = """
WITH done AS (
    UPDATE todos SET completed_at = now(), version = version + 1, updated_at = now()
    WHERE owner_id = $1 AND id = ANY(ARRAY(
        SELECT id FROM todos
        WHERE owner_id = $1 AND list_id = $2 AND deleted_at IS NULL AND completed_at IS NULL LIMIT $3
    )) RETURNING 1
)
SELECT count(*) FROM done
"""
_CLEAR: Final = f"""
WITH gone AS (
    UPDATE todos SET deleted_at = now(), version = version + 1
    WHERE owner_id = $1 AND id = ANY(ARRAY(
        SELECT id FROM todos
        WHERE owner_id = $1 AND list_id = $2 AND deleted_at IS NULL AND completed_at IS NOT NULL LIMIT $4
    )) RETURNING 1
), counted AS (
    SELECT count(*) AS changed FROM gone
), due AS (
    {DUE.format("$3")} FROM counted WHERE owner_id = $1 AND counted.changed > 0
)
SELECT changed FROM counted
"""  # noqa: S608 - no value is in the text


class BulkRepository:
    """The owner's todos, many at a time."""

    def __init__(self, database: Transactions, owner: UUID, *, kept: timedelta = KEPT) -> None:
        self._database = database
        self._owner = owner
        self._kept = kept

    async def run(self, operations: Sequence[Operation]) -> list[Result]:
        """Each as if it came alone, in this order; where one fails, nothing was done.

        Raises:
            ServiceError: that one's own error, at `operations[3]`.

        """
        async with turn(self._database, self._owner) as transaction:
            todos = TodoRepository(transaction, self._owner, kept=self._kept)
            results = []
            for index, operation in enumerate(operations):
                with _named(f"operations[{index}]"):
                    results.append(await _apply(todos, operation))
        return results

    async def complete_all(self, list_id: UUID) -> int:
        """Complete what is not; how many.

        Raises:
            NotFound: the owner has no such list.

        """
        return await self._of_list(list_id, _COMPLETE)

    async def clear_completed(self, list_id: UUID) -> int:
        """Put what is completed into the trash; how many.

        Raises:
            NotFound: the owner has no such list.

        """
        return await self._of_list(list_id, _CLEAR, self._kept)

    async def _of_list(self, list_id: UUID, statement: str, *arguments: timedelta) -> int:
        async with turn(self._database, self._owner) as transaction:
            if await transaction.row(lists.ALIVE, self._owner, list_id) is None:
                raise lists.missing()
            return await in_batches(transaction, statement, self._owner, list_id, *arguments)


async def _apply(todos: TodoRepository, operation: Operation) -> Result:
    match operation:
        case CreateOperation():
            return Result("create", HTTPStatus.CREATED, await todos.create(operation.list_id, operation))
        case UpdateOperation():
            return Result("update", HTTPStatus.OK, await todos.update(operation.id, operation))
        case DeleteOperation():
            await todos.delete(operation.id)
            return Result("delete", HTTPStatus.NO_CONTENT, None)


@contextmanager
def _named(place: str) -> Iterator[None]:
    """An operation's error says which it was; an outage is no operation's fault."""
    try:
        yield
    except ServiceError as error:
        if error.status < HTTPStatus.INTERNAL_SERVER_ERROR:
            within = [(each.location.removeprefix("body"), each.message) for each in error.errors]
            fields = [FieldError(f"body.{place}{path}", message) for path, message in within]
            error.errors = fields or [FieldError(f"body.{place}", error.detail)]
            error.detail = f"{place}: {error.detail}"
        raise
