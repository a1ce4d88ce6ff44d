"""What the routes of many todos take and give."""

from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta, Struct

from todo_svc.todos.schemas import CreateTodo, Todo, UpdateTodo


class CreateOperation(CreateTodo, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="op", tag="create"):
    """As `POST /lists/{list_id}/todos`."""

    list_id: UUID


class UpdateOperation(UpdateTodo, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="op", tag="update"):
    """As `PATCH /todos/{id}`."""

    id: UUID


class DeleteOperation(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="op", tag="delete"):
    """As `DELETE /todos/{id}`."""

    id: UUID


Operation = CreateOperation | UpdateOperation | DeleteOperation


class Batch(Struct, frozen=True, forbid_unknown_fields=True):
    """What to do, in this order."""

    operations: Annotated[list[Operation], Meta(min_length=1, max_length=100)]


class Result(Struct, frozen=True):
    """What the operation would have answered alone; nothing is left to show of a todo that was deleted."""

    op: Literal["create", "update", "delete"]
    status: int
    todo: Todo | None


class BatchResults(Struct, frozen=True):
    """One for each operation, in their order."""

    results: list[Result]


class Changed(Struct, frozen=True):
    """How many todos were changed."""

    changed: int
