"""The reads that most requests are, on the fast path; what else can be asked of these routes is in `routes`."""

from common.database import Statements
from common.http.fast_path import FastRoute, Plain
from todo_svc.lists.queries import ListQueries
from todo_svc.todos.filters import TodoFilters, Window
from todo_svc.todos.queries import TodoQueries

_ANY = TodoFilters()


def fast_routes(database: Statements) -> list[FastRoute]:
    """The busiest first: they are tried in turn."""

    def lists(asked: Plain) -> ListQueries:
        return ListQueries(database, asked.owner)

    def todos(asked: Plain) -> TodoQueries:
        return TodoQueries(database, asked.owner)

    return [
        FastRoute(
            "/lists/{list_id:uuid}/todos", lambda it: lists(it).todos(it.id, _ANY, _window(it), it.seen), paged=True
        ),
        FastRoute("/todos/{todo_id:uuid}", lambda it: todos(it).tagged(it.id, it.seen)),
        FastRoute("/todos", lambda it: todos(it).page(_ANY, _window(it), seen=it.seen), paged=True),
        FastRoute("/lists", lambda it: lists(it).page(it.limit, it.cursor, nested=False, seen=it.seen), paged=True),
        FastRoute("/lists/{list_id:uuid}", lambda it: lists(it).tagged(it.id, it.seen)),
    ]


def _window(asked: Plain) -> Window:
    return Window(limit=asked.limit, cursor=asked.cursor)
