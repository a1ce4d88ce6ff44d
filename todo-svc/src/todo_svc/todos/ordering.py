"""Manual order: a place next to another todo, and room made between neighbours where floats have none left."""

from collections.abc import Sequence
from itertools import pairwise
from math import ulp
from typing import Final
from uuid import UUID

from msgspec import Struct

from common.database import Statements
from common.dto import FieldError
from common.errors import Unprocessable

GAP: Final = 1024.0  # between positions, so that a todo can be put between two others
ROOM: Final = 2.0**-10  # where there is less, neighbours are moved; long before floats have no number left
LEAST: Final = 2.0**-24  # that these must get; else more of them are moved
REACH: Final = 8  # how many on each side are moved to make room; more only where they all stand too close

# Nothing is found where the anchor is not in the list, else the anchor itself is among them. Scalars, because only
# they bound an index scan; a join would be a filter.
_NEIGHBOURS = """
WITH anchor AS ({anchor})
(
    SELECT id, position, true AS below FROM todos
    WHERE owner_id = $1 AND list_id = $2 AND id <> $3 AND deleted_at IS NULL
    AND (position, id) {below} ((SELECT position FROM anchor), (SELECT id FROM anchor))
    ORDER BY position DESC, id DESC LIMIT $5
) UNION ALL (
    SELECT id, position, false FROM todos
    WHERE owner_id = $1 AND list_id = $2 AND id <> $3 AND deleted_at IS NULL
    AND (position, id) {above} ((SELECT position FROM anchor), (SELECT id FROM anchor))
    ORDER BY position, id LIMIT $5
)
"""
_TODO = """
    SELECT position, id FROM todos
    WHERE owner_id = $1 AND id = $4 AND list_id = $2 AND id <> $3 AND deleted_at IS NULL
"""
_PLACE = "SELECT $4::float8 AS position, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid AS id"
_STATEMENTS = {
    "before": _NEIGHBOURS.format(anchor=_TODO, below="<", above=">="),
    "after": _NEIGHBOURS.format(anchor=_TODO, below="<=", above=">"),
    "position": _NEIGHBOURS.format(anchor=_PLACE, below="<=", above=">"),
}
_RENUMBER = """
UPDATE todos SET position = wanted.position, version = version + 1
FROM unnest($2::uuid[], $3::float8[]) AS wanted (id, position) WHERE owner_id = $1 AND todos.id = wanted.id
"""


class Wish(Struct, frozen=True, kw_only=True):
    """Where a todo is to stand: `side` is `before`, `after` or `position`, the field that `anchor` came in."""

    todo_id: UUID
    list_id: UUID
    side: str
    anchor: UUID | float


class _Neighbour(Struct, frozen=True):
    id: UUID
    position: float


async def place(transaction: Statements, owner: UUID, wish: Wish) -> float:
    """The position to give it, in the owner's turn: the one that is wished for, or one next to those that crowd it.

    Raises:
        Unprocessable: the anchor is no other todo of the list.

    """
    reach = REACH
    while True:
        below, above = await _neighbours(transaction, owner, wish, reach + 1)
        if isinstance(wish.anchor, float) and not _is_crowded(wish.anchor, [*below, *above]):
            return wish.anchor
        if not below and not above:
            error = FieldError(f"body.{wish.side}", "is no other todo of this list")
            raise Unprocessable("there is no such place", errors=[error])
        positions = _spread(_bound(below, 0), _bound(above, 0), 1, ROOM)
        if positions:
            return positions[0]
        moved = [*reversed(below[:reach]), *above[:reach]]
        positions = _spread(_bound(below, reach), _bound(above, reach), len(moved) + 1, LEAST)
        if positions:
            mine = positions.pop(min(len(below), reach))
            await transaction.rows(_RENUMBER, owner, [each.id for each in moved], positions)
            return mine
        reach *= 4


async def _neighbours(
    transaction: Statements, owner: UUID, wish: Wish, limit: int
) -> tuple[list[_Neighbour], list[_Neighbour]]:
    """Those below and those above the place, the nearest first."""
    rows = await transaction.rows(_STATEMENTS[wish.side], owner, wish.list_id, wish.todo_id, wish.anchor, limit)
    below = [_Neighbour(row["id"], row["position"]) for row in rows if row["below"]]
    above = [_Neighbour(row["id"], row["position"]) for row in rows if not row["below"]]
    return below, above


def _is_crowded(position: float, neighbours: Sequence[_Neighbour]) -> bool:
    """More may stand there than a wish may move: one day somebody wants to come between them."""
    room = max(ROOM, REACH * ulp(position))
    return sum(abs(each.position - position) <= room for each in neighbours) >= REACH


def _bound(neighbours: Sequence[_Neighbour], index: int) -> float | None:
    return neighbours[index].position if index < len(neighbours) else None


def _spread(low: float | None, high: float | None, count: int, room: float) -> list[float]:
    """So many positions between two, further apart than `room`; none where they have no place."""
    if low is None and high is None:
        low = 0.0
    if low is None or high is None:
        step, start = GAP, low if low is not None else (high or 0.0) - GAP * (count + 1)
    else:
        step, start = (high - low) / (count + 1), low
    positions = [start + step * place for place in range(1, count + 1)]
    ends = [each for each in (low, *positions, high) if each is not None]
    return positions if all(after - before > room for before, after in pairwise(ends)) else []
