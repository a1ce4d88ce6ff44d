"""Tracing by OpenTelemetry: a span for each request, statement, Redis command and call, sent by OTLP over HTTP.

Imported only where it is wanted: its packages are the extra `tracing`. A span holds names, routes and statements; never
a value, a query or an error's text, for these may be personal.
"""

import asyncio
import logging
import threading
from collections.abc import Iterable, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, contextmanager
from types import TracebackType
from typing import Any, Final

import asyncpg
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, StatusCode, format_span_id, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from common.http.headers import HTTP
from common.telemetry import spans

CARRIED: Final = frozenset({b"traceparent", b"tracestate"})
FAULT: Final = 500
FLUSH: Final = 2.0  # seconds that the last spans have

_POSTGRESQL: Final = {"db.system.name": "postgresql"}

_propagator = TraceContextTextMapPropagator()
logging.getLogger("opentelemetry.trace.span").setLevel(
    logging.ERROR
)  # it warns of each odd `tracestate`, word for word


class TracedStatement:
    """A statement that was made ready, with a span each time it runs."""

    def __init__(self, statement: Any) -> None:
        self._statement = statement

    async def fetch(self, *args: Any, **options: Any) -> Any:
        """See asyncpg."""
        with _of(self._statement.get_query()):
            return await self._statement.fetch(*args, **options)

    async def fetchrow(self, *args: Any, **options: Any) -> Any:
        """See asyncpg."""
        with _of(self._statement.get_query()):
            return await self._statement.fetchrow(*args, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._statement, name)


class TracedConnection(asyncpg.Connection):
    """A connection with a span for each statement. A statement's text is told where its values are not in it."""

    async def prepare(self, query: str, **options: Any) -> Any:
        """See asyncpg."""
        return TracedStatement(await super().prepare(query, **options))

    async def fetch(self, query: str, *args: Any, **options: Any) -> Any:
        """See asyncpg."""
        with _of(query):
            return await super().fetch(query, *args, **options)

    async def fetchrow(self, query: str, *args: Any, **options: Any) -> Any:
        """See asyncpg."""
        with _of(query):
            return await super().fetchrow(query, *args, **options)

    async def execute(self, query: str, *args: Any, **options: Any) -> str:
        """See asyncpg."""
        with spans.span(_verb(query), _POSTGRESQL):
            return await super().execute(query, *args, **options)


class Tracing(AbstractAsyncContextManager["Tracing"]):
    """The spans of this process, from now on; leaving it sends the last ones."""

    connection_class = TracedConnection

    def __init__(self, service: str, endpoint: str) -> None:
        resource = Resource.create({"service.name": service})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{endpoint}/v1/traces")))
        self._tracer = self._provider.get_tracer("gatehouse")
        spans.use(self)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        spans.use(None)
        # in a thread that no exit waits for: a collector that is away would hold it for half a minute
        sending = threading.Thread(target=self._provider.shutdown, name="the last spans", daemon=True)
        sending.start()
        await asyncio.to_thread(sending.join, FLUSH)

    @contextmanager
    def client(self, name: str, attributes: dict[str, str]) -> Iterator[Span]:
        """See `spans.Tracer`."""
        with self._span(name, SpanKind.CLIENT, attributes) as span:
            try:
                yield span
            except Exception as error:
                span.set_attribute("error.type", type(error).__name__)
                span.set_status(StatusCode.ERROR)
                raise

    def current_id(self) -> str:
        """See `spans.Tracer`."""
        context = get_current_span().get_span_context()
        return format_span_id(context.span_id) if context.is_valid else ""

    def layer(self, app: ASGIApp) -> ASGIApp:
        """The outermost layer: a request's span is its caller's child, and what is inside takes it for the caller."""

        async def trace(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == HTTP:
                await self._traced(app, scope, receive, send)
            else:
                await app(scope, receive, send)

        return trace

    async def _traced(self, app: ASGIApp, scope: Any, receive: Receive, send: Send) -> None:
        method = scope["method"]
        with self._span(method, SpanKind.SERVER, {"http.request.method": method}, scope["headers"]) as span:

            async def respond(message: Message) -> None:
                if message["type"] == "http.response.start":
                    _tell(span, message["status"])
                await send(message)

            scope["headers"] = _called_by_this(scope["headers"])
            try:
                await app(scope, receive, respond)
            finally:
                if route := scope.get("path_template"):
                    span.update_name(f"{method} {route}")
                    span.set_attribute("http.route", route)

    def _span(
        self, name: str, kind: SpanKind, attributes: dict[str, str], headers: Iterable[tuple[bytes, bytes]] = ()
    ) -> Any:
        """No error is recorded by itself: its text may hold a row."""
        carrier = {key.decode("latin-1"): value.decode("latin-1") for key, value in headers if key in CARRIED}
        return self._tracer.start_as_current_span(
            name,
            context=_propagator.extract(carrier) if carrier else None,
            kind=kind,
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        )


def _of(statement: str) -> AbstractContextManager[Any]:
    return spans.span(_verb(statement), {**_POSTGRESQL, "db.query.text": statement})


def _verb(statement: str) -> str:
    """A span's name: SELECT, BEGIN and so on."""
    return (statement.split(maxsplit=1) or [""])[0].strip(";").upper()


def _tell(span: Span, status: int) -> None:
    span.set_attribute("http.response.status_code", status)
    if status >= FAULT:
        span.set_status(StatusCode.ERROR)


def _called_by_this(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The head with the span we are in as the caller, so that log lines and calls to others name its trace."""
    carrier: dict[str, str] = {}
    _propagator.inject(carrier)
    carried = [(name.encode(), value.encode()) for name, value in carrier.items()]
    return [*(pair for pair in headers if pair[0] not in CARRIED), *carried]
