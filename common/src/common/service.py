"""create_service(): what is the same at every service, so that a service's own file says only what is its own."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from importlib.metadata import version
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from litestar import Litestar
from litestar.di import Provide
from litestar.routes import HTTPRoute
from litestar.types import ASGIApp

from common.auth.authenticator import Authenticator
from common.auth.demands import Demands
from common.auth.guard import Guard
from common.auth.principal import AuthenticatedRequest
from common.auth.recheck import Recheck
from common.database import Database
from common.docs import document, page
from common.gc_freeze import GcFreeze
from common.health import routes as health_routes
from common.http.cors import Cors
from common.http.edge import Edge
from common.http.head import Head
from common.http.problems import render
from common.settings import Settings
from common.shutdown import Drain
from common.telemetry import log
from common.telemetry.access import AccessLog

if TYPE_CHECKING:
    from common.telemetry.tracing import Tracing

MAXIMUM_BODY: Final = 64 * 1024  # bytes


def create_service(
    name: str,
    *,
    settings: Settings,
    routes: Sequence[Any],
    auth: Authenticator,
    database: Database | None = None,
    dependencies: Mapping[str, Callable[..., Any]] | None = None,
    lifespan: Sequence[AbstractAsyncContextManager[Any]] = (),
    layers: Sequence[Callable[[ASGIApp], ASGIApp]] = (),
    description: str = "",
) -> Litestar:
    """A whole service: guarded routes, health, problem+json, CORS, the documentation page, logs, metrics, request ids.

    `auth` has no default: a service without a guard cannot be written by forgetting. `database` answers for readiness;
    `dependencies` are plain functions that give what handlers name in their signatures (`recheck` is given everywhere);
    `lifespan` is entered at start and left at the end; `layers` stand between the guard and the router, the first of
    them outermost.
    """
    log.configure(name, level=settings.log_level, form=settings.log_format)
    title = f"Gatehouse {name}"
    drain = Drain(settings.drain_seconds)
    tracing = _tracing(name, settings)

    given = {"recheck": _recheck(auth), **(dependencies or {})}
    app = Litestar(
        route_handlers=[*routes, *health_routes(database, drain), *_pages(title, settings)],
        dependencies={key: Provide(give, sync_to_thread=False) for key, give in given.items()},
        exception_handlers={Exception: render},
        openapi_config=document.openapi(title, version(name), description),
        lifespan=[
            resource
            for resource in (tracing, database, auth, *lifespan, drain, GcFreeze())
            if isinstance(resource, AbstractAsyncContextManager)
        ],
        request_max_body_size=MAXIMUM_BODY,
        logging_config=None,
        debug=False,
    )
    _take_turns(app)
    inner = app.asgi_handler
    for layer in reversed(layers):
        inner = layer(inner)
    demands = Demands(app.routes)
    cors = Cors(Guard(inner, auth, demands), [origin.reveal() for origin in settings.cors_origins])
    edge = Edge(Head(cors, demands.methods), access_log=_access_log(name, settings), drain=drain)
    app.asgi_handler = tracing.layer(edge) if tracing else edge
    return app


def _recheck(auth: Authenticator) -> Callable[[AuthenticatedRequest], Recheck]:
    def recheck(request: AuthenticatedRequest) -> Recheck:
        return Recheck(auth, request.scope["headers"])

    return recheck


def _take_turns(app: Litestar) -> None:
    """Let what a handler is given be made one after another, whatever is needed by others first.

    For what does not depend on each other Litestar starts a task each, which costs more than all of the handler.
    """
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for _, model in route.route_handler_map.values():
                model.dependency_batches = [
                    {each} for batch in model.dependency_batches for each in sorted(batch, key=attrgetter("key"))
                ]


def _tracing(name: str, settings: Settings) -> "Tracing | None":
    """Where it is wanted, which takes the packages of an extra."""
    if settings.otel_exporter_otlp_endpoint is None:
        return None
    from common.telemetry.tracing import Tracing  # noqa: PLC0415 - they may not be installed

    return Tracing(name, settings.otel_exporter_otlp_endpoint.reveal())


def _access_log(name: str, settings: Settings) -> AccessLog | None:
    """Wanted, and not below the level that is shown."""
    shown = settings.access_log and settings.log_level in {"DEBUG", "INFO"}
    return AccessLog(name, form=settings.log_format) if shown else None


def _pages(title: str, settings: Settings) -> list[Any]:
    return page.routes(title, _login(settings), settings.docs_sources)


def _login(settings: Settings) -> tuple[str, str] | None:
    """What the documentation page fills in, in development only."""
    if settings.docs_login is None or not settings.is_development:
        return None
    email, _, password = settings.docs_login.reveal().partition(":")
    return email, password
