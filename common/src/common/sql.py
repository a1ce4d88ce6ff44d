"""Statements confined to an owner: the first condition is the owner's, and no statement can be written without it.

Row-level security stands under it, and wants to be told the owner before it looks at a row. A statement does that for
itself, in the same round trip: what is LATERAL to `ME` can only run once `ME` has, and needs `owned` in its WHERE.
"""

from typing import Any, Final
from uuid import UUID

from common.dto import FieldError
from common.errors import Unprocessable
from common.http.etag import Tags
from common.http.paging import Keyset, Position

ME: Final = "(SELECT set_config('gatehouse.owner', $1::uuid::text, true) AS owner) AS me"
CLOCK: Final = """(SELECT set_config('gatehouse.owner', $1::uuid::text, true) AS owner,
    coalesce((SELECT seq FROM owners WHERE owner_id = $1), 0) AS clock) AS me"""


def owned(table: str = "") -> str:
    """The first condition of whatever is lateral to `ME`."""
    return f"me.owner IS NOT NULL AND {table}owner_id = $1"


def confined(statement: str) -> str:
    """A SELECT whose WHERE begins with `owned()`, and which has a LIMIT, or the planner would unfold it."""
    return f"SELECT found.* FROM {ME} CROSS JOIN LATERAL ({statement}) AS found"  # noqa: S608 - no value is in the text


def clocked(statement: str) -> str:
    """As `confined`, with the owner's clock of the same moment in front of each row, and alone where there is none."""
    return f"SELECT me.clock, found.* FROM {CLOCK} LEFT JOIN LATERAL ({statement}) AS found ON true"  # noqa: S608


def at_most(count: int) -> str:
    """A LIMIT that the planner cannot read, and takes for a tenth of the rows.

    It thinks of the usual owner of few rows. Where it knows that more than those are wanted, it has all rows sorted,
    of somebody with very many too, in place of reading the first by an index.
    """
    return f"LIMIT (SELECT {count})"


class Owned:
    """The conditions and arguments of one statement; `$1` is the owner, always."""

    def __init__(self, owner: UUID, *, table: str = "", lateral: bool = False) -> None:
        self.arguments: list[Any] = [owner]
        self._conditions = [owned(table) if lateral else f"{table}owner_id = $1"]
        self.unseen = "true"

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

    def unless(self, seen: Tags | None, setting: int | None = None) -> None:
        """No row, and none is looked at, if the reader has the page of this clock already; lateral to `CLOCK` only."""
        if seen is not None:
            clocks, anything = self.bind(seen.clocks(self.arguments[0], setting)), self.bind(seen.anything)
            self.unseen = f"me.clock <> ALL({clocks}::bigint[]) AND NOT {anything}::boolean"
            self._conditions.append(self.unseen)

    @property
    def conditions(self) -> str:
        """What stands behind WHERE."""
        return " AND ".join(self._conditions)


def storable(text: str, *, place: str) -> str:
    """The text, if a row can hold it; `place` names where it came from.

    Raises:
        Unprocessable: PostgreSQL has no such text.

    """
    if "\0" in text or "\N{REPLACEMENT CHARACTER}" in text:  # Litestar puts the latter for what is no UTF-8
        error = FieldError(place, "holds a NUL, or what is no UTF-8")
        raise Unprocessable("the search is not acceptable", errors=[error])
    return text


def like(text: str, *, place: str) -> str:
    """A pattern that finds `text` anywhere, its own wildcards taken literally; raises as `storable` does."""
    escaped = storable(text, place=place).replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"
