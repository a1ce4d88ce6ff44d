"""How a page of todos is chosen and sorted."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from common.dto import FieldError
from common.errors import Unprocessable
from common.http.paging import Keyset
from common.sql import Owned
from todo_svc.todos.schemas import Priority, Status

COMMON = 4
"""The class of all that is found where so many todos match that they are not ranked."""
POSITION = Keyset(name="position", column="position", kind=float, sql_type="float8")
RELEVANCE = Keyset(
    name="relevance",
    column="created_at",
    kind=tuple[Annotated[int, Meta(ge=0, le=COMMON)], datetime],
    sql_type="timestamptz",
    descending=True,
)
"""Only of a search: by class, and within a class newest first."""
_PRIORITY = Keyset(name="priority", column="priority", kind=Annotated[int, Meta(ge=1, le=3)], sql_type="smallint")


def _moment(column: str) -> Keyset:
    return Keyset(name=column, column=column, kind=datetime, sql_type="timestamptz")


def _due(name: str, missing: str, *, descending: bool) -> Keyset:
    """Todos without a due time come last, in either direction."""
    return Keyset(
        name=name,
        column="due_at",
        kind=datetime | None,
        sql_type="timestamptz",
        expression=f"coalesce({{}}, '{missing}'::timestamptz)",
        descending=descending,
    )


def _both(order: Keyset) -> dict[str, Keyset]:
    backwards = Keyset(
        name=f"-{order.name}", column=order.column, kind=order.kind, sql_type=order.sql_type, descending=True
    )
    return {order.name: order, backwards.name: backwards}


ORDERS = {
    **_both(_moment("created_at")),
    **_both(_moment("updated_at")),
    **_both(_PRIORITY),
    **_both(POSITION),
    "due_at": _due("due_at", "infinity", descending=False),
    "-due_at": _due("-due_at", "-infinity", descending=True),
}


def order_of(text: str) -> Keyset:
    """Read `priority`, `-priority`, or the tutorial's `priority desc`.

    Raises:
        Unprocessable: there is no such order.

    """
    match = re.fullmatch(r"(-?)(\w+)(?: (asc|desc))?", text, re.IGNORECASE)
    descending = match is not None and bool(match[1] or (match[3] or "").lower() == "desc")
    order = ORDERS.get(f"{'-' if descending else ''}{match[2]}") if match else None
    if order is None:
        error = FieldError("query.order_by", f"must be one of {', '.join(ORDERS)}")
        raise Unprocessable("the order is not acceptable", errors=[error])
    return order


class Window(Struct, frozen=True, kw_only=True):
    """Which part of the chosen todos is wanted, and in which order; None is the best for what is asked."""

    order: Keyset | None = None
    limit: int
    cursor: str | None


class TodoFilters(Struct, frozen=True, kw_only=True):
    """Which todos are wanted; what is None does not matter."""

    status: Status | None = None
    priority: Priority | None = None
    search: str | None = None
    labels: Sequence[str] = ()
    due_before: datetime | None = None
    due_after: datetime | None = None

    def narrow(self, owned: Owned) -> None:
        """Add the conditions on the todos themselves; `search` has those on what it looks through."""
        if self.status is not None:
            owned.where("(completed_at IS NOT NULL) = {}", self.status is Status.FINISHED)
        if self.priority is not None:
            owned.where("priority = {}", self.priority.rank)
        if self.due_before is not None:
            owned.where("due_at < {}", self.due_before)
        if self.due_after is not None:
            owned.where("due_at > {}", self.due_after)
