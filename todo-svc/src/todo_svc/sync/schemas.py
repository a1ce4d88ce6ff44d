"""What the routes of sync take and give."""

import re
from typing import Annotated, Final, Literal, Self
from uuid import UUID

from msgspec import Meta, Struct

from todo_svc.lists.schemas import TodoList
from todo_svc.todos.schemas import Todo

NUMBER: Final = r"(?:0|[1-9][0-9]{0,17})"
SINCE: Final = rf"^{NUMBER}(?:-{NUMBER})?$"

Number = Annotated[int, Meta(ge=1, description="Of this change; the next one of the same user's is greater")]


class Change(Struct, frozen=True):
    """The last change of a list or todo; whatever was deleted, into the trash or for good, is only named."""

    number: Number
    kind: Literal["list", "todo"]
    id: UUID
    deleted: bool
    list: TodoList | None
    todo: Todo | None


class Changes(Struct, frozen=True):
    """Changes in the order of their numbers; `next` is what to give as `since` to go on, `more` that there are some."""

    items: list[Change]
    next: str
    more: bool


class Place(Struct, frozen=True):
    """How far a reader has come: all up to `number`, and nothing was held back that was deleted after `floor`.

    The two differ only within a sync from the start, which leaves out what is deleted already. What is purged is
    missed by nobody as long as it was deleted before either.
    """

    number: int
    floor: int

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read `since`; None is the start. The text must fit `SINCE`."""
        number, _, floor = text.partition("-")
        return cls(int(number), max(int(number), int(floor or 0))) if re.search("[1-9]", text) else None

    @classmethod
    def at(cls, number: int) -> Self:
        """The place behind a change."""
        return cls(number, number)

    def __str__(self) -> str:
        return f"{self.number}-{self.floor}" if self.floor > self.number else str(self.number)
