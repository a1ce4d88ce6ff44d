"""Tracing: which spans are made, how they hang together, and that nothing personal is in one."""

import threading
import time
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from redis.asyncio import Redis
from redis.exceptions import ResponseError
from sqlalchemy import text

from common.database import Database
from common.settings import Settings, SettingsError, load
from common.telemetry import spans, trace, tracing
from common.telemetry.tracing import Tracing
from common.unit_of_work import UnitOfWork
from devstack.fixtures import TestPostgres

TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """Where the spans go, each as it ends."""
    exporter = InMemorySpanExporter()
    monkeypatch.setattr(tracing, "OTLPSpanExporter", lambda _endpoint: exporter)
    monkeypatch.setattr(tracing, "BatchSpanProcessor", SimpleSpanProcessor)
    return exporter


@pytest_asyncio.fixture
async def on(sent: InMemorySpanExporter) -> AsyncIterator[Tracing]:
    """Tracing, switched on."""
    async with Tracing("notes-svc", f"http://collector.test/{id(sent)}") as on:
        yield on


async def answered(on: Tracing, scope: dict[str, Any], status: int = 200) -> list[tuple[bytes, bytes]]:
    """Let a request through the layer; the head that those inside saw."""
    heads: list[list[tuple[bytes, bytes]]] = []

    async def inside(scope: Any, _receive: Any, send: Any) -> None:
        heads.append(scope["headers"])
        scope["path_template"] = "/notes/{note_id:uuid}"
        await send({"type": "http.response.start", "status": status, "headers": []})

    async def send(_message: Any) -> None:
        return None

    await on.layer(inside)({"type": "http", "method": "GET", "headers": [], **scope}, send, send)  # type: ignore[arg-type]
    return heads[0]


def one(sent: InMemorySpanExporter) -> ReadableSpan:
    """The one span there is."""
    [span] = sent.get_finished_spans()
    return span


async def test_request(on: Tracing, sent: InMemorySpanExporter) -> None:
    """It is its caller's child, is named by its route, and those inside take it for their caller."""
    caller = (b"traceparent", f"00-{TRACE}-{CALLER}-01".encode())
    head = await answered(on, {"headers": [(b"host", b"x"), caller]})
    span = one(sent)
    assert span.name == "GET /notes/{note_id:uuid}"
    assert span.parent is not None
    assert (f"{span.context.trace_id:032x}", f"{span.parent.span_id:016x}") == (TRACE, CALLER)
    assert head == [(b"host", b"x"), (b"traceparent", f"00-{TRACE}-{span.context.span_id:016x}-01".encode())]
    assert span.attributes is not None
    assert dict(span.attributes) == {
        "http.request.method": "GET",
        "http.route": "/notes/{note_id:uuid}",
        "http.response.status_code": 200,
    }


@pytest.mark.parametrize(("status", "code"), [(404, StatusCode.UNSET), (503, StatusCode.ERROR)])
async def test_only_our_own_faults_are_errors(
    on: Tracing, sent: InMemorySpanExporter, status: int, code: StatusCode
) -> None:
    """What a client asked for wrongly is none."""
    await answered(on, {}, status)
    assert one(sent).status.status_code is code


async def test_what_is_no_request_passes(on: Tracing, sent: InMemorySpanExporter) -> None:
    """The lifespan has no span."""
    await answered(on, {"type": "lifespan"})
    assert sent.get_finished_spans() == ()


async def test_call_to_another_service(on: Tracing, sent: InMemorySpanExporter) -> None:
    """Its head names the span of the call."""
    trace.begin({b"traceparent": f"00-{TRACE}-{CALLER}-01".encode()})
    with spans.span("GET /me", {"server.address": "user-svc"}):
        head = trace.outgoing_headers()["traceparent"]
    assert head == f"00-{TRACE}-{one(sent).context.span_id:016x}-01"
    assert on.current_id() == ""


@pytest.mark.parametrize("pooled", [False, True])
async def test_statements(
    on: Tracing, sent: InMemorySpanExporter, postgres_server: TestPostgres, *, pooled: bool
) -> None:
    """Each has a span, with its text where no value is in it; of an error only the kind is told."""
    assert spans.connection_class() is on.connection_class
    async with Database(postgres_server.dsn("postgres"), size=1, application="traced", pooled=pooled) as database:
        await database.row("SELECT 1")  # the first connects
        sent.clear()
        await database.row("SELECT $1::text", "geheim")
        with pytest.raises(asyncpg.InvalidTextRepresentationError):
            await database.rows("SELECT 'geheim'::text::int WHERE $1 <> ''", "x")
        async with database.transaction() as connection:
            await connection.execute("SELECT 'geheim'")
    told = [(span.name, dict(span.attributes or {}), span.status) for span in sent.get_finished_spans()]
    assert [attributes.get("db.query.text") for name, attributes, _ in told if name == "SELECT"] == [
        "SELECT $1::text",
        "SELECT 'geheim'::text::int WHERE $1 <> ''",
        None,
    ]
    [(failed, status)] = [(attributes, status) for _, attributes, status in told if "error.type" in attributes]
    assert failed["error.type"] == "InvalidTextRepresentationError"
    assert (status.status_code, status.description) == (StatusCode.ERROR, None)
    assert all(not span.events for span in sent.get_finished_spans())


async def test_an_owner_is_in_no_span(on: Tracing, sent: InMemorySpanExporter, postgres_server: TestPostgres) -> None:
    """Neither where a transaction begins nor where it becomes a part of another."""
    assert spans.connection_class() is on.connection_class
    owner, first = uuid4(), "SELECT '{owner}'"
    async with Database(postgres_server.dsn("postgres"), size=1, application="traced") as database:
        async with database.owned(owner) as whole, whole.owned(owner, first=first) as part:
            await part.row("SELECT $1::uuid", owner)
        async with database.owned(owner, first=first):
            pass
    told = [span.to_json() for span in sent.get_finished_spans()]
    assert len(told) > 4
    assert [one for one in told if str(owner) in one] == []


async def test_unit_of_work(on: Tracing, sent: InMemorySpanExporter, postgres_server: TestPostgres) -> None:
    """SQLAlchemy's statements are told as others are, within the request that they are for; no value is in one."""
    work = UnitOfWork(postgres_server.dsn("postgres"), size=1, application="traced")
    with on.client("POST /notes", {}):
        for _ in range(2):
            async with work() as session:
                assert await session.scalar(text("SELECT CAST(:secret AS text)"), {"secret": "geheim"}) == "geheim"
    await work.close()
    *made, request = sent.get_finished_spans()
    told = [span for span in made if (span.attributes or {}).get("db.query.text") == "SELECT CAST($1 AS text)"]
    assert [span.name for span in told] == ["SELECT"] * 2
    assert {span.parent.span_id for span in told if span.parent} == {request.context.span_id}
    assert all("geheim" not in span.to_json() for span in made)


async def test_redis(on: Tracing, sent: InMemorySpanExporter, redis: Redis) -> None:
    """A command's name and nothing else, within a request; what goes on beside requests is told to nobody."""
    await redis.set("secret:1", "geheim")
    assert sent.get_finished_spans() == ()
    with on.client("POST /notes", {}):
        assert await redis.get("secret:1") == b"geheim"
        with pytest.raises(ResponseError):
            await redis.eval("return redis.call('INCR', KEYS[1])", 1, "secret:1")
    told = [(span.name, dict(span.attributes or {})) for span in sent.get_finished_spans()]
    system = {"db.system.name": "redis"}
    assert told[:2] == [("GET", system), ("EVAL", system | {"error.type": "ResponseError"})]


async def test_off_again(sent: InMemorySpanExporter) -> None:
    """Where nobody is told there are no spans, and asyncpg's own connections."""
    async with Tracing("notes-svc", "http://collector.test"):
        pass
    with spans.span("GET /me", {}):
        assert spans.current_id() == ""
    assert spans.connection_class() is asyncpg.Connection
    assert sent.get_finished_spans() == ()


async def test_the_end_waits_for_no_collector(silent: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that accepts and never answers gets a moment, and no exit waits for it."""
    monkeypatch.setattr(tracing, "FLUSH", 0.2)
    started = time.perf_counter()
    async with Tracing("notes-svc", f"http://{silent.address}"):
        with spans.span("GET /me", {}):
            pass
    assert time.perf_counter() - started < tracing.FLUSH + 0.5
    assert all(thread.daemon for thread in threading.enumerate() if thread.name == "the last spans")


def test_extra_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that is told to trace and cannot says so at its start."""
    told = {"DATABASE_URL": "postgresql://h/d", "REDIS_URL": "redis://h", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://h:1"}
    load(Settings, told).check()
    monkeypatch.setattr("common.settings.find_spec", lambda _name: None)
    with pytest.raises(SettingsError, match="OTEL_EXPORTER_OTLP_ENDPOINT needs the packages of the extra `tracing`"):
        load(Settings, told).check()
