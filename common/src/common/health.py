"""Health and metrics: what an orchestrator and Prometheus ask."""

from typing import Any

from litestar import Response, get

from common.auth import decisions
from common.auth.demands import PUBLIC
from common.database import Database
from common.docs.responses import problems
from common.errors import Unavailable
from common.shutdown import Drain
from common.telemetry import metrics


def routes(database: Database | None, drain: Drain) -> list[Any]:
    """`/health/live`, `/health/ready` and `/metrics`."""
    open_route: dict[str, Any] = {"opt": {"auth": PUBLIC}, "tags": ["operations"]}

    @get("/health/live", **open_route, sync_to_thread=False)
    def live() -> dict[str, str]:
        """The process answers; nothing else is asked."""
        return {"status": "live"}

    @get("/health/ready", **open_route, responses=problems(503))
    async def ready() -> dict[str, str]:
        """The service's own PostgreSQL answers, and nobody has asked this process to end."""
        if drain.begun:
            raise Unavailable("this process is about to end")
        if database is not None and not await database.answers():
            raise Unavailable("the database cannot be reached right now")
        return {"status": "ready"}

    @get("/metrics", opt={"auth": PUBLIC}, include_in_schema=False, sync_to_thread=False)
    def prometheus() -> Response[bytes]:
        decisions.flush()
        return Response(metrics.render(), media_type="text/plain; version=0.0.4")

    return [live, ready, prometheus]
