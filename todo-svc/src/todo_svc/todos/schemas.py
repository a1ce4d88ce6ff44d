"""What the routes of todos take and give."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from common.http.strict import Moment

Content = Annotated[str, Meta(min_length=1, max_length=1000, pattern=r"\S", description="Not blank")]
Description = Annotated[str, Meta(max_length=10_000)]
Label = Annotated[str, Meta(min_length=1, max_length=50, pattern=r"\S", description="Not blank")]
Labels = Annotated[list[Label], Meta(max_length=20, description="In this order; one that comes twice counts once")]
Position = Annotated[float, Meta(ge=-1e15, le=1e15)]


class Priority(StrEnum):
    """How much a todo matters; sorts by rank, not by name."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"

    @property
    def rank(self) -> int:
        """1 for low to 3 for high, as the database keeps it."""
        return RANKS.index(self) + 1


RANKS = tuple(Priority)


class Status(StrEnum):
    """Whether a todo is done, as a filter."""

    FINISHED = "finished"
    UNFINISHED = "unfinished"


class Todo(Struct, frozen=True):
    """A todo as everybody sees it."""

    id: UUID
    list_id: UUID
    content: str
    description: str | None
    priority: Priority
    due_at: datetime | None
    completed: bool
    completed_at: datetime | None
    position: float
    created_at: datetime
    updated_at: datetime
    version: int
    labels: list[str]


class CreateTodo(Struct, frozen=True, forbid_unknown_fields=True):
    """A new todo, at the end of its list."""

    content: Content
    priority: Priority = Priority.MEDIUM
    description: Description | None = None
    due_at: Moment | None = None
    labels: Labels = []


class UpdateTodo(Struct, frozen=True, forbid_unknown_fields=True):
    """A partial change: what is absent stays, `null` clears.

    `before` and `after` name another todo of the list, or of the one it moves to; only one of them and `position`.
    """

    content: Content | UnsetType = UNSET
    priority: Priority | UnsetType = UNSET
    description: Description | UnsetType | None = UNSET
    due_at: Moment | UnsetType | None = UNSET
    completed: bool | UnsetType = UNSET
    list_id: UUID | UnsetType = UNSET
    position: Position | UnsetType = UNSET
    before: UUID | UnsetType = UNSET
    after: UUID | UnsetType = UNSET
    labels: Labels | UnsetType = UNSET
