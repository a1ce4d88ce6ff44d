"""Lists over HTTP."""

from uuid import UUID

from litestar import Controller, Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody

from common.auth import FRESH
from common.docs.responses import BODY, problems
from common.dto import Page
from common.http.etag import IF_MATCH, IF_NONE_MATCH, TAGGED, Tags, answer, tagged, version_tag
from common.http.idempotency import KEYED
from common.http.paging import DEFAULT, Cursor, Limit
from common.http.strict import StrictBody
from todo_svc.lists.queries import ListQueries
from todo_svc.lists.repository import ListRepository
from todo_svc.lists.schemas import CreateList, Include, TodoList, UpdateList


class ListController(Controller):
    """The caller's lists."""

    path = "/lists"
    tags = ("lists",)

    @post(dto=StrictBody[CreateList], return_dto=None, opt=KEYED | TAGGED, responses=problems(401, 409, *BODY))
    async def create_list(
        self, data: JSONBody[CreateList], list_repository: NamedDependency[ListRepository]
    ) -> Response[TodoList]:
        """Make a list; 409 `LIST_TITLE_TAKEN` where the caller has one of this title."""
        item = await list_repository.create(data)
        return tagged(item, version_tag(item.version))

    @get(dependencies=IF_NONE_MATCH, responses=problems(401, 422))
    async def list_lists(
        self,
        list_queries: NamedDependency[ListQueries],
        if_none_match: NamedDependency[Tags | None],
        limit: FromQuery[Limit] = DEFAULT,
        cursor: FromQuery[Cursor] = None,
        include: FromQuery[Include | None] = None,
    ) -> Response[Page[TodoList]]:
        """A page of lists, oldest first."""
        nested = include is Include.TODOS
        return answer(await list_queries.page(limit, cursor, nested=nested, seen=if_none_match))

    @get("/{list_id:uuid}", dependencies=IF_NONE_MATCH, responses=problems(401, 404, 422))
    async def get_list(
        self,
        list_id: FromPath[UUID],
        list_queries: NamedDependency[ListQueries],
        if_none_match: NamedDependency[Tags | None],
        include: FromQuery[Include | None] = None,
    ) -> Response[TodoList]:
        """One list.

        With `include` its `ETag` is that of a page, which any change of the caller's changes. For the `If-Match` of a
        change take `version` in quotes, as of any list or todo that was read among others.
        """
        read = list_queries.nested if include is Include.TODOS else list_queries.tagged
        return answer(await read(list_id, if_none_match))

    @patch(
        "/{list_id:uuid}",
        dto=StrictBody[UpdateList],
        return_dto=None,
        dependencies=IF_MATCH,
        responses=problems(401, 404, 409, 412, *BODY),
    )
    async def update_list(
        self,
        list_id: FromPath[UUID],
        data: JSONBody[UpdateList],
        list_repository: NamedDependency[ListRepository],
        if_match: NamedDependency[Tags | None],
    ) -> Response[TodoList]:
        """Change a list; `null` clears the description."""
        item = await list_repository.update(list_id, data, if_match)
        return tagged(item, version_tag(item.version))

    @delete("/{list_id:uuid}", opt={"auth": FRESH}, dependencies=IF_MATCH, responses=problems(401, 404, 412))
    async def delete_list(
        self,
        list_id: FromPath[UUID],
        list_repository: NamedDependency[ListRepository],
        if_match: NamedDependency[Tags | None],
    ) -> None:
        """Put a list with its todos into the trash."""
        await list_repository.delete(list_id, if_match)
