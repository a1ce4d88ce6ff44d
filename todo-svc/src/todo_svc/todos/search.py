"""Pages of todos that hold a text or have labels: one statement each, quick for rare words and for common ones.

Where a word is common, the newest todos are walked through until the page is full; where it is rare, the trigram index
finds it. A look at the newest few tells which, because a prepared statement's plan knows nothing of the word.
"""

import re
from collections.abc import Iterator
from typing import Final

from common.http.paging import Keyset, Position
from common.sql import Owned, owned
from todo_svc.todos.filters import TodoFilters

LOOKED_AT: Final = 400  # of the newest
COMMON: Final = 8  # among those: a page of 50 is full after some 2,500

CLASSES: Final = (
    "content LIKE (SELECT begins FROM term)",
    "content LIKE (SELECT word FROM term) AND content NOT LIKE (SELECT begins FROM term)",
    (
        "content LIKE (SELECT holds FROM term) AND content NOT LIKE (SELECT word FROM term)"
        " AND content NOT LIKE (SELECT begins FROM term)"
    ),
    "description LIKE (SELECT holds FROM term) AND content NOT LIKE (SELECT holds FROM term)",
)
ANY: Final = "(content LIKE (SELECT holds FROM term) OR description LIKE (SELECT holds FROM term))"

# Materialized, so that the text is folded once and not once a row.
_TERM = """term AS MATERIALIZED (
    SELECT p || '%' AS begins, '% ' || p || '%' AS word, '%' || p || '%' AS holds
    FROM (SELECT search_pattern({})) AS t (p)
)"""
_PROBE = f"""probe AS MATERIALIZED (
    SELECT {{}} FROM (
        SELECT content, description, labels FROM todo_search WHERE owner_id = $1
        ORDER BY created_at DESC, todo_id DESC LIMIT {LOOKED_AT}
    ) AS newest
)"""  # noqa: S608 - no value is in the text
NEWEST = "created_at DESC, todo_id DESC"


class Search:
    """The statement of one page; `wanted` has the conditions on the todos themselves."""

    def __init__(self, filters: TodoFilters, wanted: Owned, columns: str) -> None:
        self._wanted = wanted
        self._columns = columns
        self._labels = f" AND labels @> {wanted.bind(list(filters.labels))}::text[]" if filters.labels else ""
        self._term = _TERM.format(wanted.bind(filters.search)) if filters.search else ""
        self._indexed = bool(filters.labels or re.search(r"[^\W_]{3}", filters.search or ""))

    def ranked(self, limit: int, position: Position | None) -> str:
        """Best first, and newest first among equals: classes stand one behind another, and the first `limit` count."""
        first, behind, bound = 0, "", self._wanted.bind(limit)
        if position is not None:
            first, created_at = position.value
            place = self._wanted.bind(created_at), self._wanted.bind(position.id)
            behind = f" AND (created_at, todo_id) < ({place[0]}::timestamptz, {place[1]}::uuid)"
        stages = [
            stage
            for number in range(first, len(CLASSES))
            for stage in self._stages(number, behind if number == first else "", bound)
        ]
        counts = ", ".join(f"{self._count(condition)} AS c{number}" for number, condition in enumerate(CLASSES))
        return self._with(counts, f"SELECT * FROM ({' UNION ALL '.join(stages)}) AS staged LIMIT {bound}")  # noqa: S608 - no value is in the text

    def ordered(self, limit: int, order: Keyset) -> str:
        """In an order of the todos' own; what is behind the cursor is among the conditions already."""
        condition, bound = ANY if self._term else "true", self._wanted.bind(limit)
        walk = f"""(
            SELECT 0 AS class, {self._columns} FROM todos WHERE {self._wanted.conditions} AND deleted_at IS NULL
            AND {self._gate(0, common=True)} AND (
                SELECT true FROM todo_search AS s
                WHERE s.todo_id = todos.id AND {condition}{self._labels} OFFSET 0
            ) ORDER BY {order.clause} LIMIT {bound}
        )"""  # noqa: S608 - no value is in the text
        found = f"""(
            SELECT 0 AS class, t.* FROM ({self._by_index(0, condition)}) AS s CROSS JOIN LATERAL ({self._todo()}) AS t
            ORDER BY {order.clause} LIMIT {bound}
        )"""  # noqa: S608 - no value is in the text
        return self._with(
            f"{self._count(condition)} AS c0",
            f"SELECT * FROM ({' UNION ALL '.join([walk, found] if self._indexed else [walk])}) AS either",  # noqa: S608 - no value is in the text
        )

    def _stages(self, number: int, behind: str, bound: str) -> Iterator[str]:
        """A class, walked through or found by the index: only one of the two is run."""
        condition = CLASSES[number]
        walk = f"""
            SELECT todo_id, created_at, content, description, labels FROM todo_search
            WHERE {owned()}{behind} AND {self._gate(number, common=True)} ORDER BY {NEWEST} OFFSET 0
        """  # noqa: S608 - no value is in the text
        yield self._stage(number, walk, f"{condition}{self._labels}", bound)
        if self._indexed:
            found = f"""
                SELECT * FROM ({self._by_index(number, condition)}) AS found
                WHERE true{behind} ORDER BY {NEWEST} OFFSET 0
            """  # noqa: S608 - no value is in the text
            yield self._stage(number, found, "true", bound)

    def _stage(self, number: int, rows: str, condition: str, bound: str) -> str:
        return f"""(
            SELECT {number} AS class, t.* FROM ({rows}) AS s CROSS JOIN LATERAL ({self._todo()}) AS t
            WHERE {
            condition.replace("content ", "s.content ")
            .replace("description ", "s.description ")
            .replace("labels @>", "s.labels @>")
        }
            ORDER BY s.created_at DESC, s.todo_id DESC LIMIT {bound}
        )"""  # noqa: S608 - no value is in the text

    def _by_index(self, number: int, condition: str) -> str:
        return f"""
            SELECT todo_id, created_at FROM todo_search
            WHERE {owned()} AND {condition}{self._labels} AND {self._gate(number, common=False)} OFFSET 0
        """  # noqa: S608 - no value is in the text

    def _todo(self) -> str:
        """The todo itself, behind its row-level security, if it is wanted."""
        return f"""
            SELECT {self._columns} FROM todos
            WHERE {self._wanted.conditions} AND deleted_at IS NULL AND id = s.todo_id LIMIT 1
        """  # noqa: S608 - no value is in the text

    def _gate(self, number: int, *, common: bool) -> str:
        if not self._indexed:
            return "true"
        return f"(SELECT c{number} {'>=' if common else '<'} {COMMON} FROM probe)"  # noqa: S608 - no value is in the text

    def _count(self, condition: str) -> str:
        return f"count(*) FILTER (WHERE {condition}{self._labels})"

    def _with(self, counts: str, statement: str) -> str:
        parts = [self._term] if self._term else []
        if self._indexed:
            parts.append(_PROBE.format(counts))
        return f"WITH {', '.join(parts)} {statement}"
