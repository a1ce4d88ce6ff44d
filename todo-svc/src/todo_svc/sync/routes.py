"""Changes over HTTP."""

from typing import Annotated

from litestar import Controller, Response, get
from litestar.di import NamedDependency
from litestar.params import FromHeader, FromQuery, HeaderParameter, QueryParameter
from litestar.response import Stream

from common.auth import AuthenticatedRequest
from common.auth.recheck import Recheck
from common.docs.responses import problems
from common.http.etag import IF_NONE_MATCH, Tags, answer
from todo_svc.sync.feeds import Feeds, begun
from todo_svc.sync.queries import ChangeQueries
from todo_svc.sync.schemas import NUMBER, SINCE, Changes, Place

Since = Annotated[
    str, QueryParameter(pattern=SINCE, description="`next` of the answer before, or the id of an event; 0 for all")
]
Limit = Annotated[int, QueryParameter(ge=1, le=500, description="How many changes an answer holds")]
LastEventId = Annotated[
    str | None,
    HeaderParameter(
        name="Last-Event-ID", pattern=f"^{NUMBER}$", description="The last id that came, or `next` of sync"
    ),
]
EVENTS = "text/event-stream"


class SyncController(Controller):
    """What has changed of the caller's."""

    tags = ("sync",)

    @get("/sync", dependencies=IF_NONE_MATCH, responses=problems(401, 410, 422))
    async def sync(
        self,
        change_queries: NamedDependency[ChangeQueries],
        if_none_match: NamedDependency[Tags | None],
        since: FromQuery[Since] = "0",
        limit: FromQuery[Limit] = 100,
    ) -> Response[Changes]:
        """What has changed since, each list and todo once, as it is now; 410 `SYNC_TOO_OLD` where that is not known.

        While `more`, ask again with `since` of `next`; then `next` is good for later, and for `GET /events`.
        """
        return answer(await change_queries.tagged(Place.parse(since), limit, if_none_match))

    @get("/events", media_type=EVENTS, responses=problems(401, 410, 422, 429))
    async def events(
        self,
        request: AuthenticatedRequest,
        change_queries: NamedDependency[ChangeQueries],
        feeds: NamedDependency[Feeds],
        recheck: NamedDependency[Recheck],
        last_event_id: FromHeader[LastEventId] = None,
    ) -> Stream:
        """Changes as they are made, as Server-Sent Events: `id` is the number, `event` the kind, `data` as in sync.

        It goes on behind `Last-Event-ID` without a gap, and ends with the session; 410 as sync. Each process of the
        service holds 20 streams of one user; one more is 429.
        """
        place = Place.at(int(last_event_id)) if last_event_id else None
        clock = await change_queries.clock(place)
        events = feeds.stream(request.user.id, recheck, number=place.number if place else clock, clock=clock)
        return Stream(await begun(events), media_type=EVENTS, headers={"X-Accel-Buffering": "no"})
