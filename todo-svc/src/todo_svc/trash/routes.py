"""The trash over HTTP."""

from uuid import UUID

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery

from common.docs.responses import problems
from common.dto import Page
from common.http.etag import IF_NONE_MATCH, Tags, answer
from common.http.paging import DEFAULT, Cursor, Limit
from todo_svc.trash.queries import TrashQueries
from todo_svc.trash.repository import TrashRepository
from todo_svc.trash.schemas import Restored, Trashed


class TrashController(Controller):
    """What the caller deleted."""

    path = "/trash"
    tags = ("trash",)

    @get(dependencies=IF_NONE_MATCH, responses=problems(401, 422))
    async def list_trash(
        self,
        trash_queries: NamedDependency[TrashQueries],
        if_none_match: NamedDependency[Tags | None],
        limit: FromQuery[Limit] = DEFAULT,
        cursor: FromQuery[Cursor] = None,
    ) -> Response[Page[Trashed]]:
        """A page of deleted lists and todos, the last deleted first."""
        return answer(await trash_queries.page(limit, cursor, if_none_match))

    @post("/{row_id:uuid}/restore", status_code=200, responses=problems(401, 404, 409))
    async def restore(self, row_id: FromPath[UUID], trash_repository: NamedDependency[TrashRepository]) -> Restored:
        """Take a list or a todo back.

        A list brings the todos that went with it, and is 409 `LIST_TITLE_TAKEN` where another has its title now; a todo
        whose list is in the trash is 409 `LIST_IN_TRASH`.
        """
        return await trash_repository.restore(row_id)
