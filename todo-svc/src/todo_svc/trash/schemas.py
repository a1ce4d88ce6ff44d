"""What the routes of the trash give."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from msgspec import Struct

from todo_svc.lists.schemas import TodoList
from todo_svc.todos.schemas import Todo

Kind = Literal["list", "todo"]


class Trashed(Struct, frozen=True):
    """A list (`name` is its title) or a todo (`name` is its content) in the trash, until `purged_at`.

    `list_id` is the list a todo is of; `deleted_with` names the list whose deletion took it along.
    """

    kind: Kind
    id: UUID
    name: str
    list_id: UUID | None
    deleted_with: UUID | None
    deleted_at: datetime
    purged_at: datetime


class Restored(Struct, frozen=True):
    """What came back; a list brings the todos that went with it."""

    kind: Kind
    list: TodoList | None = None
    todo: Todo | None = None
