"""Reading changes: one statement, so that the clock, the horizon and the rows are of one moment."""

from typing import Any, Final
from uuid import UUID

from common.database import Statements
from common.errors import Gone
from common.http.etag import Tagged, Tags, has, page_tag
from common.sql import ME, owned
from todo_svc.lists import queries as lists
from todo_svc.sync.schemas import Change, Changes, Place
from todo_svc.todos import queries as todos

_CLOCK = f"SELECT coalesce(max(seq), 0), coalesce(max(horizon), 0) FROM {ME} LEFT JOIN owners ON {owned()}"  # noqa: S608 - no value is in the text
_AFTER = f"""
SELECT clock.seq, clock.horizon, found.* FROM {ME} CROSS JOIN LATERAL (
    SELECT coalesce(max(seq), 0) AS seq, coalesce(max(horizon), 0) AS horizon FROM owners WHERE {owned()} LIMIT 1
) AS clock LEFT JOIN LATERAL (
    SELECT changes.seq AS number, kind, row_id, list, todo FROM changes
    LEFT JOIN LATERAL (
        SELECT {lists.COLUMNS} FROM lists WHERE owner_id = $1 AND lists.id = row_id AND deleted_at IS NULL
    ) AS list ON kind = 'list'
    LEFT JOIN LATERAL (
        SELECT {todos.COLUMNS} FROM todos WHERE owner_id = $1 AND todos.id = row_id AND deleted_at IS NULL
    ) AS todo ON kind = 'todo'
    WHERE {owned()} AND changes.seq > $2 AND clock.seq <> ALL($5::bigint[]) AND NOT $6::boolean
    AND (list IS DISTINCT FROM NULL OR todo IS DISTINCT FROM NULL OR changes.seq > coalesce($3, clock.seq))
    ORDER BY changes.seq LIMIT $4
) AS found ON true ORDER BY found.number
"""  # noqa: S608 - no value is in the text
NOTHING: Final = Tags(frozenset())


class ChangeQueries:
    """The owner's changes."""

    def __init__(self, database: Statements, owner: UUID) -> None:
        self._database = database
        self._owner = owner

    async def clock(self, place: Place | None = None) -> int:
        """The number of the last change.

        Raises:
            Gone: what changed since this place is not known any more, or it is no place of ours.

        """
        row = await self._database.row(_CLOCK, self._owner)
        assert row is not None  # noqa: S101 - an aggregate
        _check(place, *row)
        return int(row[0])

    async def after(self, place: Place | None, limit: int) -> Changes:
        """What has changed since; from the start, what there is.

        Raises:
            Gone: what changed since is not known any more, or this is no place of ours.

        """
        rows = await self._rows(place, limit, NOTHING)
        return _changes(rows, place, limit)

    async def tagged(self, place: Place | None, limit: int, seen: Tags | None) -> Tagged[Changes]:
        """The same with its tag; without a look at the changes if the reader has `seen` it. Raises as `after` does."""
        rows = await self._rows(place, limit, seen or NOTHING)
        tag = page_tag(self._owner, rows[0]["seq"])
        return Tagged(tag, None if has(seen, tag) else _changes(rows, place, limit))

    async def _rows(self, place: Place | None, limit: int, seen: Tags) -> list[Any]:
        number, floor = (place.number, place.floor) if place else (0, None)
        arguments = number, floor, limit + 1, seen.clocks(self._owner), seen.anything
        rows = await self._database.rows(_AFTER, self._owner, *arguments)
        _check(place, *rows[0][:2])
        return rows


def _changes(rows: list[Any], place: Place | None, limit: int) -> Changes:
    clock = rows[0]["seq"]
    items = [_change(row) for row in rows[:limit] if row["number"] is not None]
    if len(rows) <= limit:
        return Changes(items, str(clock), more=False)
    floor = place.floor if place else clock
    return Changes(items, str(Place(items[-1].number, floor)), more=True)


def _check(place: Place | None, clock: int, horizon: int) -> None:
    """A place ahead of the clock was given out by a database that has since been set back."""
    if place is not None and not horizon <= place.floor <= clock:
        raise Gone("what has changed since is not known (any more): start anew, without since", code="SYNC_TOO_OLD")


def _change(row: Any) -> Change:
    a_list = lists.existing(row[5]) if row[5] is not None else None
    todo = todos.existing(row[6]) if row[6] is not None else None
    return Change(row[2], row[3], row[4], a_list is None and todo is None, a_list, todo)
