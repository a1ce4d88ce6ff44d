"""The query parameters of a page of todos, read once for both routes that give one."""

from typing import Annotated

from litestar.di import Provide
from litestar.params import FromQuery, QueryParameter

from common.http.paging import DEFAULT, Cursor, Limit
from common.http.strict import moment
from common.sql import storable
from todo_svc.todos.filters import TodoFilters, Window, order_of
from todo_svc.todos.schemas import Priority, Status

Search = Annotated[
    str | None,
    QueryParameter(
        min_length=1,
        max_length=200,
        description="Stands in content or description, whatever its case and accents; one or two letters or digits "
        "begin a word, unless of a script without spaces between words: Chinese, Japanese, Korean, Thai and the like",
    ),
]
Label = Annotated[
    list[str] | None,
    QueryParameter(max_items=20, description="It has this; several times for all of them"),
]
Moment = Annotated[
    str | None, QueryParameter(max_length=64, schema_extra={"format": "date-time"}, description="RFC 3339, with a zone")
]
OrderBy = Annotated[
    str | None,
    QueryParameter(
        max_length=32,
        description="created_at, updated_at, due_at, priority or position; `-` in front for descending. Unless told, "
        "oldest first, and a search best first: content begins with it, a word of it does, it is in it, or in the "
        "description; newest first where very many match",
    ),
]


def filters(
    *,
    status: FromQuery[Status | None] = None,
    priority: FromQuery[Priority | None] = None,
    search: FromQuery[Search] = None,
    label: FromQuery[Label] = None,
    due_before: FromQuery[Moment] = None,
    due_after: FromQuery[Moment] = None,
) -> TodoFilters:
    """Which todos are wanted."""
    return TodoFilters(
        status=status,
        priority=priority,
        search=None if search is None else storable(search.strip(" ") or " ", place="query.search"),
        labels=[storable(each, place="query.label") for each in label or ()],
        due_before=None if due_before is None else moment(due_before, "query.due_before"),
        due_after=None if due_after is None else moment(due_after, "query.due_after"),
    )


def window(
    *,
    order_by: FromQuery[OrderBy] = None,
    limit: FromQuery[Limit] = DEFAULT,
    cursor: FromQuery[Cursor] = None,
) -> Window:
    """Which part of them."""
    return Window(order=None if order_by is None else order_of(order_by), limit=limit, cursor=cursor)


PARAMETERS = {
    "filters": Provide(filters, sync_to_thread=False),
    "window": Provide(window, sync_to_thread=False),
}
