"""Statements confined to an owner: the first condition is the owner's, and no statement can be written without it."""

from typing import Any
from uuid import UUID

from common.dto import FieldError
from common.errors import Unprocessable
from common.http.paging import Keyset, Position


class Owned:
    """The conditions and arguments of one statement; `$1` is the owner, always."""

    def __init__(self, owner: UUID, *, table: str = "") -> None:
        self.arguments: list[Any] = [owner]
        self._conditions = [f"{table}owner_id = $1"]

    def bind(self, value: Any) -> str:
        """Add an argument; its placeholder."""
        self.arguments.append(value)
        return f"${len(self.arguments)}"

    def where(self, condition: str, value: Any) -> None:
        """Add a condition on one value, written `{}`."""
        self._conditions.append(condition.format(self.bind(value)))

    def after(self, order: Keyset, position: Position | None) -> None:
        """Only rows behind the last one of the page before, in this order."""
        if position is not None:
            value, row = self.bind(position.value), self.bind(position.id)
            bound = order.expression.format(f"{value}::{order.sql_type}")
            self._conditions.append(f"({order.key}, id) {order.operator} ({bound}, {row}::uuid)")

    @property
    def conditions(self) -> str:
        """What stands behind WHERE."""
        return " AND ".join(self._conditions)


def like(text: str, *, place: str) -> str:
    """A pattern that finds `text` anywhere, its own wildcards taken literally; `place` names where it came from.

    Raises:
        Unprocessable: PostgreSQL has no such text.

    """
    if "\0" in text or "\N{REPLACEMENT CHARACTER}" in text:  # Litestar puts the latter for what is no UTF-8
        error = FieldError(place, "holds a NUL, or what is no UTF-8")
        raise Unprocessable("the search is not acceptable", errors=[error])
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"
