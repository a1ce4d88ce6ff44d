"""The access line: one per request, beside the other lines and in their shape."""

import asyncio
import contextlib
import io
import json
from collections.abc import AsyncIterator
from select import PIPE_BUF
from typing import Any

import httpx
import pytest
from litestar import get
from msgspec.structs import replace

from common.auth import PUBLIC
from common.service import create_service
from common.settings import Settings
from common.telemetry import access as access_module
from common.telemetry import log, trace
from common.telemetry.access import AccessLog
from common.testing import FakeAuthenticator, captured_logs, client_of
from common.values import DatabaseUrl, RedisUrl

TRACE = (b"traceparent", b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01")
SETTINGS = Settings(
    database_url=DatabaseUrl.parse("postgresql://ann:geheim@127.0.0.1:1/none"),
    redis_url=RedisUrl.parse("redis://:geheim@127.0.0.1:1/0"),
)


@get("/things/{name:str}", opt={"auth": PUBLIC})
async def thing() -> None:
    """One thing."""


@get("/broken", opt={"auth": PUBLIC})
async def broken() -> None:
    """Fail."""
    raise RuntimeError


@contextlib.asynccontextmanager
async def serving(**changes: Any) -> AsyncIterator[tuple[httpx.AsyncClient, Any]]:
    """A service's client, and what the service writes."""
    with captured_logs() as logs:
        app = create_service(
            "svc-common", settings=replace(SETTINGS, **changes), routes=[thing, broken], auth=FakeAuthenticator()
        )
        async with client_of(app) as client:
            yield client, logs
            await asyncio.sleep(0)


def requests(logs: Any) -> list[dict[str, Any]]:
    """The access lines."""
    return [line for line in logs.lines if line["event"] == "request"]


async def test_line_of_a_request() -> None:
    """What was asked, what came of it, how long it took, and which request it was."""
    async with serving() as (client, logs):
        answer = await client.get("/things/ann?secret=1", headers={"Authorization": "Bearer geheim"})
    [line] = requests(logs)
    expected = {
        "level": "info",
        "service": "svc-common",
        "request_id": answer.headers["X-Request-ID"],
        "method": "GET",
        "path": "/things/ann",
        "route": "/things/{name}",
        "status": 200,
    }
    assert {name: line[name] for name in expected} == expected
    assert 0 <= line["ms"] < 1000
    assert line["timestamp"].endswith("Z")


async def test_line_holds_neither_query_nor_token() -> None:
    """Both may carry what nobody should read in a log."""
    async with serving() as (client, logs):
        await client.get("/things/ann?code=geheim1", headers={"Authorization": "Bearer geheim2"})
    assert "geheim" not in logs.text


@pytest.mark.parametrize(
    ("method", "path", "status", "route"),
    [
        ("GET", "/nowhere", 404, "(none)"),
        ("DELETE", "/things/ann", 405, "(none)"),
        ("GET", "/broken", 500, "/broken"),
        ("GET", "/health/live", 200, "/health/live"),
    ],
)
async def test_every_request_has_its_line(method: str, path: str, status: int, route: str) -> None:
    """Also one that was refused, or failed, or found nothing."""
    async with serving() as (client, logs):
        await client.request(method, path)
    assert [(line["status"], line["route"]) for line in requests(logs)] == [(status, route)]


async def test_line_carries_the_trace_of_its_request() -> None:
    """So that the lines of all services tell one story."""
    async with serving() as (client, logs):
        await client.get("/things/ann", headers=[TRACE])
        await client.get("/things/ann")
    assert [line.get("trace_id") for line in requests(logs)] == ["a" * 32, None]


async def test_path_is_no_line_of_its_own() -> None:
    """A newline, a quote and a byte that is no text stay inside the JSON."""
    async with serving() as (client, logs):
        await client.get('/things/a%0A{"event":"forged"}%22%00')
    assert [line["path"] for line in requests(logs)] == ['/things/a\n{"event":"forged"}"\x00']


async def test_lines_of_one_turn_leave_in_few_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a hundred answers of one moment each system call takes as many lines as a pipe keeps together."""
    writes: list[str] = []

    class Stream(io.StringIO):
        def write(self, text: str) -> int:
            writes.append(text)
            return len(text)

    monkeypatch.setattr("sys.stderr", Stream())
    access = AccessLog("svc-common", form="json")
    trace.begin({})
    for number in range(100):
        access.write("GET", f"/{number}", "/", 200, 0.1)
    assert writes == []
    await asyncio.sleep(0)
    assert all(len(text) <= PIPE_BUF and text.endswith("\n") for text in writes)
    assert len(writes) <= 2 * len("".join(writes)) / PIPE_BUF + 1
    paths = [json.loads(line)["path"] for text in writes for line in text.splitlines()]
    assert paths == [f"/{number}" for number in range(100)]


async def test_line_has_the_members_of_the_other_lines() -> None:
    """Whoever reads the log finds the same names in either."""
    with captured_logs() as logs:
        log.configure("svc-common", level="INFO", form="json")
        trace.begin(dict([TRACE]))

        access_module._log.info("request")
        AccessLog("svc-common", form="json").write("GET", "/", "/", 200, 0.1)
        await asyncio.sleep(0)
    ordinary, lean = logs.lines
    assert ordinary.keys() <= lean.keys()
    same = ("event", "level", "service", "request_id", "trace_id")
    assert [ordinary[name] for name in same] == [lean[name] for name in same]


async def test_console_line_is_for_people() -> None:
    """In development it looks like every other line there."""
    async with serving(log_format="console") as (client, logs):
        await client.get("/things/ann")
    assert "request" in logs.text
    assert "/things/ann" in logs.text
    assert "{" not in logs.text.replace("{name}", "")


@pytest.mark.parametrize("changes", [{"access_log": False}, {"log_level": "WARNING"}])
async def test_no_line_where_none_is_wanted(changes: dict[str, Any]) -> None:
    """Switched off, or below the level that is shown."""
    async with serving(**changes) as (client, logs):
        await client.get("/things/ann")
    assert logs.text == ""
