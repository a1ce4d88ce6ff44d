"""Changes over HTTP."""

from typing import Annotated

from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.params import FromQuery, QueryParameter

from common.docs.responses import problems
from todo_svc.sync.queries import ChangeQueries
from todo_svc.sync.schemas import SINCE, Changes, Place

Since = Annotated[
    str, QueryParameter(pattern=SINCE, description="`next` of the answer before, or the id of an event; 0 for all")
]
Limit = Annotated[int, QueryParameter(ge=1, le=500, description="How many changes an answer holds")]


class SyncController(Controller):
    """What has changed of the caller's."""

    tags = ("sync",)

    @get("/sync", responses=problems(401, 410, 422))
    async def sync(
        self,
        change_queries: NamedDependency[ChangeQueries],
        since: FromQuery[Since] = "0",
        limit: FromQuery[Limit] = 100,
    ) -> Changes:
        """What has changed since, each list and todo once, as it is now; 410 `SYNC_TOO_OLD` where that is not known.

        While `more`, ask again with `since` of `next`; then `next` is good for later, and for `GET /events`.
        """
        return await change_queries.after(Place.parse(since), limit)
