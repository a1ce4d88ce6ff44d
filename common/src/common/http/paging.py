"""Keyset pages: a cursor says after which row the next page starts, so no page misses or repeats a row."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final, TypeVar
from uuid import UUID

import msgspec
from litestar.params import QueryParameter
from msgspec import Struct

from common.dto import FieldError, Page
from common.errors import Unprocessable

T = TypeVar("T")

MAXIMUM: Final = 100
DEFAULT: Final = 50
CURSOR_LENGTH: Final = 512

Limit = Annotated[int, QueryParameter(ge=1, le=MAXIMUM, description="How many items a page holds")]
Cursor = Annotated[
    str | None,
    QueryParameter(max_length=CURSOR_LENGTH, description="`next_cursor` of the page before, in the same order"),
]


class Position(Struct, frozen=True, array_like=True):
    """Where a page ended: the order it was in, the last row's value in that order, and its id."""

    order: str
    value: Any
    id: UUID


class Keyset(Struct, frozen=True, kw_only=True):
    """One order of rows, total because the id breaks ties.

    `expression` is the sort key with `{}` for its column or value, so that a row without a value has a place too.
    """

    name: str
    column: str
    kind: Any
    sql_type: str
    expression: str = "{}"
    descending: bool = False

    @property
    def key(self) -> str:
        """What rows are sorted by."""
        return self.expression.format(self.column)

    @property
    def operator(self) -> str:
        """What compares a row behind with a row before."""
        return "<" if self.descending else ">"

    @property
    def clause(self) -> str:
        """What stands behind ORDER BY."""
        direction = "DESC" if self.descending else "ASC"
        return f"{self.key} {direction}, id {direction}"

    def position(self, cursor: str | None) -> Position | None:
        """Read a cursor.

        Raises:
            Unprocessable: it is broken, or was made for another order.

        """
        if cursor is None:
            return None
        try:
            raw = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
            position = msgspec.json.decode(raw, type=Position)
            value = _in_utc(msgspec.convert(position.value, self.kind))
            if self.cursor(value, position.id) != cursor:  # only what we ourselves would have written
                raise ValueError(cursor)
            return Position(self.name, value, position.id)
        except (ValueError, OverflowError, RecursionError):
            error = FieldError("query.cursor", "is no cursor of this page; take `next_cursor` as it is")
            raise Unprocessable("the cursor is not acceptable", errors=[error]) from None

    def cursor(self, value: Any, row: UUID) -> str:
        """The cursor behind a row."""
        raw = msgspec.json.encode(Position(self.name, value, row))
        return urlsafe_b64encode(raw).rstrip(b"=").decode()

    def page(self, items: Sequence[T], limit: int, key: Callable[[T], tuple[Any, UUID]]) -> Page[T]:
        """A page of `limit` items; one more than that was asked for, to know whether there is a next."""
        if len(items) <= limit:
            return Page(list(items), None)
        kept = list(items[:limit])
        return Page(kept, self.cursor(*key(kept[-1])))


def _in_utc(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(_in_utc, value))
    return value.astimezone(UTC) if isinstance(value, datetime) else value
