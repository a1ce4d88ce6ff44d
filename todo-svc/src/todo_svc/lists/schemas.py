"""What the routes of lists take and give."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from todo_svc.todos.schemas import Description, Todo

Title = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"\S", description="Not blank, unique per user")]


class Include(StrEnum):
    """What may be nested into a list."""

    TODOS = "todos"


class TodoList(Struct, frozen=True):
    """A list as everybody sees it.

    With `include=todos` it holds its first 100 by position; `todos_next_cursor` goes on at `GET /lists/{id}/todos` with
    `order_by=position`.
    """

    id: UUID
    title: str
    description: str | None
    created_at: datetime
    updated_at: datetime
    version: int
    todos: list[Todo] | UnsetType = UNSET
    todos_next_cursor: str | UnsetType | None = UNSET


class CreateList(Struct, frozen=True, forbid_unknown_fields=True):
    """A new list."""

    title: Title
    description: Description | None = None


class UpdateList(Struct, frozen=True, forbid_unknown_fields=True):
    """A partial change: what is absent stays, `null` clears."""

    title: Title | UnsetType = UNSET
    description: Description | UnsetType | None = UNSET
