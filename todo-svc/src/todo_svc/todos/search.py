"""Pages of todos that hold a text or have labels: one statement each, quick for rare words and for common ones.

A prepared statement's plan knows nothing of the word, and takes each owner for the usual one, so the choice is made as
it runs. Of an owner of few todos all are read. Else a look at the newest tells whether many match: then they are walked
through until the page is full; if it is not after a while, or few match, the trigram index finds them all, and they are
ranked. The cursor's class says which it was, so that every page goes on as the first did.
"""

import re
from typing import Final
from unicodedata import combining, normalize

from common.http.paging import Keyset, Position
from common.sql import Owned, at_most, owned
from todo_svc.todos.filters import COMMON, TodoFilters

LOOKED_AT: Final = 400  # of the newest
MANY: Final = 1000  # matches, or todos of one owner; the owner's clock stands for the number of todos
WALKED: Final = 5000  # todos, which is about as dear as that many matches

# Scripts that put no spaces between words, and Korean, which puts them behind what follows a word.
UNSPACED: Final = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao; Burmese; Khmer
    "\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff66-\uffdc\U00020000-\U0003ffff"  # Chinese, Japanese, Korean
)

HOLDS: Final = "LIKE (SELECT holds FROM term)"
ANY: Final = f"({{0}}content {HOLDS} OR {{0}}description {HOLDS})"
# No index of trigrams may be tried for these.
PLAIN: Final = f"(content || '' {HOLDS} OR description || '' {HOLDS})"
# One by one: to a plan for the usual owner both at once seem dearer than all of the owner's.
BY_TRIGRAMS: Final = (f"content {HOLDS}", f"description {HOLDS} AND NOT content {HOLDS}")
# A term without a trigram is found by its signs, which have an index too.
BY_MARKS: Final = (PLAIN + " AND search_marks(content, description) @> (SELECT marks FROM term)",)  # noqa: S608 - no value is in the text
# What the index of the newest wants to hear, see migration 0009: no search for a word may take it.
NEWEST: Final = "created_at > '-infinity'"
CLASS: Final = """CASE
    WHEN content LIKE (SELECT begins FROM term) THEN 0 WHEN content LIKE (SELECT word FROM term) THEN 1
    WHEN content LIKE (SELECT holds FROM term) THEN 2 ELSE 3
END"""
# A mark stands in front of each word, see migration 0007. Materialized, so that it is folded once and not once a row.
_TERM = rf"""term AS MATERIALIZED (
    SELECT p || '%' AS begins, '%' || p || '%' AS word, '%' || CASE
        WHEN p ~ '^\x01[[:alnum:]]{{{{1,2}}}}$' AND p !~ '[{UNSPACED}]' THEN p ELSE ltrim(p, E'\x01')
    END || '%' AS holds, marks
    FROM (SELECT search_pattern({{0}}), search_marks(search_fold({{0}}), '')) AS t (p, marks)
)"""  # noqa: S608 - no value is in the text
_PROBE = f"""probe AS MATERIALIZED (
    SELECT count(*) FILTER (WHERE {{}}) * me.clock >= {LOOKED_AT * MANY} AS common FROM (
        SELECT content, description, labels FROM todo_search
        WHERE owner_id = $1 AND {NEWEST} AND me.clock >= {MANY}
        ORDER BY created_at DESC, todo_id DESC {at_most(LOOKED_AT)}
    ) AS newest
)"""  # noqa: S608 - no value is in the text
_IS_COMMON: Final = "(SELECT common FROM probe)"
_FIRST: Final = "created_at DESC, todo_id DESC"


class Search:
    """The statement of one page; `wanted` has the conditions on the todos themselves."""

    def __init__(self, filters: TodoFilters, wanted: Owned, columns: str, limit: int) -> None:
        self._wanted = wanted
        self._columns = columns
        self._term = _TERM.format(wanted.bind(filters.search)) if filters.search else ""
        self._has_trigram = _has_trigram(filters.search or "")
        self._labels = wanted.bind(list(filters.labels)) if filters.labels else ""
        self._limit = wanted.bind(limit)

    def ranked(self, position: Position | None) -> str:
        """Best first, and newest first among equals; just newest first where many match."""
        if position is None:
            return self._either(self._newest(_IS_COMMON), self._best(CLASS), probe=True)
        number, created_at = position.value
        place = f"{self._wanted.bind(created_at)}::timestamptz, {self._wanted.bind(position.id)}::uuid"
        behind = f"(-class, created_at, todo_id) < (-{self._wanted.bind(number)}::int, {place})"
        if number == COMMON:
            walk = self._newest(f"(created_at, todo_id) < ({place})")
            return self._either(walk, self._best(str(COMMON), behind))
        return self._with(self._best(CLASS, behind))

    def ordered(self, order: Keyset) -> str:
        """In an order of the todos' own; what is behind the cursor is among the conditions already."""
        found = f"""
            SELECT 0 AS class, t.* FROM (
                SELECT todo_id FROM ({self._found()}) AS found OFFSET 0
            ) AS s CROSS JOIN LATERAL ({self._todo()}) AS t ORDER BY {order.clause} LIMIT {self._limit}
        """  # noqa: S608 - no value is in the text
        if not self._has_index(order):
            return self._with(found)
        walk = f"""
            SELECT 0 AS class, {self._columns} FROM (
                SELECT {self._columns} FROM todos
                WHERE {self._wanted.conditions} AND deleted_at IS NULL AND {_IS_COMMON}
                ORDER BY {order.clause} {at_most(WALKED)}
            ) AS walked WHERE (SELECT {self._matches()} FROM todo_search WHERE todo_id = walked.id OFFSET 0)
            ORDER BY {order.clause} LIMIT {self._limit}
        """  # noqa: S608 - no value is in the text
        return self._either(walk, found, probe=True)

    def _newest(self, condition: str) -> str:
        return f"""
            SELECT {COMMON} AS class, t.* FROM (
                SELECT * FROM todo_search WHERE {owned()} AND {NEWEST} AND {condition}
                ORDER BY {_FIRST} {at_most(WALKED)}
            ) AS s CROSS JOIN LATERAL ({self._todo()}) AS t WHERE {self._matches("s.")}
            ORDER BY s.created_at DESC, s.todo_id DESC LIMIT {self._limit}
        """  # noqa: S608 - no value is in the text

    def _best(self, number: str, behind: str = "true") -> str:
        return f"""
            SELECT s.class, t.* FROM (
                SELECT * FROM (
                    SELECT todo_id, created_at, {number} AS class FROM ({self._found()}) AS every OFFSET 0
                ) AS found WHERE {behind} ORDER BY class, {_FIRST} OFFSET 0
            ) AS s CROSS JOIN LATERAL ({self._todo()}) AS t
            ORDER BY s.class, s.created_at DESC, s.todo_id DESC LIMIT {self._limit}
        """  # noqa: S608 - no value is in the text

    def _todo(self) -> str:
        """The todo itself, behind its row-level security, if it is wanted."""
        return f"""
            SELECT {self._columns} FROM todos
            WHERE {self._wanted.conditions} AND deleted_at IS NULL AND id = s.todo_id LIMIT 1
        """  # noqa: S608 - no value is in the text

    def _matches(self, table: str = "", text: str = ANY) -> str:
        """Whether a row of what is searched in is meant."""
        of_text = [text.format(table)] if self._term else []
        return " AND ".join(of_text + ([f"{table}labels @> {self._labels}::text[]"] if self._labels else []))

    def _found(self) -> str:
        """All that match: of all of an owner's if those are few, else by an index."""
        of_owner = f"SELECT todo_id, created_at, content FROM todo_search WHERE {owned()} AND {self._wanted.unseen}"  # noqa: S608 - no value is in the text
        ways = BY_TRIGRAMS if self._has_trigram else BY_MARKS
        indexed = [f"{of_owner} AND me.clock >= {MANY} AND {self._matches(text=way)}" for way in ways]
        few = f"{of_owner} AND me.clock < {MANY} AND {NEWEST} AND {self._matches(text=PLAIN)}"
        return " UNION ALL ".join((few, *indexed))

    def _has_index(self, order: Keyset) -> bool:
        return order.column == "created_at" or (order.column == "position" and "list_id" in self._wanted.conditions)

    def _either(self, walk: str, found: str, *, probe: bool = False) -> str:
        """What the walk came upon, if that is a page, else what the index finds."""
        is_page = f"(SELECT count(*) = {self._limit} FROM walk)"  # noqa: S608 - no value is in the text
        parts = [_PROBE.format(self._matches())] if probe else []
        return self._with(
            f"(SELECT * FROM walk WHERE {is_page}) UNION ALL (SELECT * FROM ({found}) AS found WHERE NOT {is_page})",  # noqa: S608 - no value is in the text
            *parts,
            f"walk AS MATERIALIZED ({walk})",
        )

    def _with(self, statement: str, *parts: str) -> str:
        """Not begun at all where the reader has the page already."""
        given = ", ".join(part for part in (self._term, *parts) if part)
        return f"{f'WITH {given}' if given else ''} SELECT * FROM ({statement}) AS page WHERE {self._wanted.unseen}"  # noqa: S608 - no value is in the text


def _has_trigram(term: str) -> bool:
    """Whether three letters or digits are in a row; where a word begins counts as two, see `_TERM`."""
    plain = normalize("NFC", "".join(each for each in normalize("NFKD", term) if not combining(each)))
    begins_a_word = re.fullmatch(rf"[^\W_{UNSPACED}]{{1,2}}", plain)
    return begins_a_word is not None or re.search(r"[^\W_]{3}", plain) is not None
