"""Todos over HTTP."""

from uuid import UUID

from litestar import Controller, Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody

from common.docs.responses import BODY, problems
from common.dto import Page
from common.http.etag import IF_MATCH, IF_NONE_MATCH, TAGGED, Tags, answer, tagged, version_tag
from common.http.idempotency import KEYED
from common.http.strict import StrictBody
from todo_svc.lists.queries import ListQueries
from todo_svc.todos.filters import TodoFilters, Window
from todo_svc.todos.parameters import PARAMETERS
from todo_svc.todos.queries import TodoQueries
from todo_svc.todos.repository import TodoRepository
from todo_svc.todos.schemas import CreateTodo, Todo, UpdateTodo


class TodoController(Controller):
    """The caller's todos."""

    tags = ("todos",)

    @post(
        "/lists/{list_id:uuid}/todos",
        dto=StrictBody[CreateTodo],
        return_dto=None,
        opt=KEYED | TAGGED,
        responses=problems(401, 404, *BODY),
    )
    async def create_todo(
        self,
        list_id: FromPath[UUID],
        data: JSONBody[CreateTodo],
        todo_repository: NamedDependency[TodoRepository],
    ) -> Response[Todo]:
        """Put a todo at the end of a list of the caller's."""
        todo = await todo_repository.create(list_id, data)
        return tagged(todo, version_tag(todo.version))

    @get("/lists/{list_id:uuid}/todos", responses=problems(401, 404, 422), dependencies=PARAMETERS | IF_NONE_MATCH)
    async def list_todos_of_list(
        self,
        list_id: FromPath[UUID],
        filters: NamedDependency[TodoFilters],
        window: NamedDependency[Window],
        list_queries: NamedDependency[ListQueries],
        if_none_match: NamedDependency[Tags | None],
    ) -> Response[Page[Todo]]:
        """A page of a list's todos."""
        return answer(await list_queries.todos(list_id, filters, window, if_none_match))

    @get("/todos", responses=problems(401, 422), dependencies=PARAMETERS | IF_NONE_MATCH)
    async def list_todos(
        self,
        filters: NamedDependency[TodoFilters],
        window: NamedDependency[Window],
        todo_queries: NamedDependency[TodoQueries],
        if_none_match: NamedDependency[Tags | None],
        list_id: FromQuery[UUID | None] = None,
    ) -> Response[Page[Todo]]:
        """A page of all the caller's todos."""
        return answer(await todo_queries.page(filters, window, list_id, if_none_match))

    @get("/todos/{todo_id:uuid}", dependencies=IF_NONE_MATCH, responses=problems(401, 404))
    async def get_todo(
        self,
        todo_id: FromPath[UUID],
        todo_queries: NamedDependency[TodoQueries],
        if_none_match: NamedDependency[Tags | None],
    ) -> Response[Todo]:
        """One todo."""
        return answer(await todo_queries.tagged(todo_id, if_none_match))

    @patch(
        "/todos/{todo_id:uuid}",
        dto=StrictBody[UpdateTodo],
        return_dto=None,
        dependencies=IF_MATCH,
        responses=problems(401, 404, 412, *BODY),
    )
    async def update_todo(
        self,
        todo_id: FromPath[UUID],
        data: JSONBody[UpdateTodo],
        todo_repository: NamedDependency[TodoRepository],
        if_match: NamedDependency[Tags | None],
    ) -> Response[Todo]:
        """Change a todo; `null` clears, `list_id` moves, `before` and `after` order, an empty body changes nothing."""
        todo = await todo_repository.update(todo_id, data, if_match)
        return tagged(todo, version_tag(todo.version))

    @delete("/todos/{todo_id:uuid}", dependencies=IF_MATCH, responses=problems(401, 404, 412))
    async def delete_todo(
        self,
        todo_id: FromPath[UUID],
        todo_repository: NamedDependency[TodoRepository],
        if_match: NamedDependency[Tags | None],
    ) -> None:
        """Put a todo into the trash."""
        await todo_repository.delete(todo_id, if_match)
