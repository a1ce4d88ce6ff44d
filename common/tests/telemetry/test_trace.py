"""Which request this is: ids taken over where well formed, made where not, and handed on."""

import asyncio
import re
from contextvars import copy_context
from typing import Any

import pytest

from common.telemetry import trace
from common.telemetry.trace import Trace, begin, current, outgoing_headers

TRACE, SPAN = b"0af7651916cd43dd8448eb211c80319c", b"b7ad6b7169203331"
PARENT = b"00-" + TRACE + b"-" + SPAN + b"-01"


def begun(*headers: tuple[bytes, bytes]) -> Trace:
    """The trace of a request with these headers, in a context of its own."""
    return copy_context().run(begin, dict(headers))


@pytest.mark.parametrize("sent", [b"12345678", b"a" * 128, b"A.b_c-9.x", b"0198c0f4-0000-7000-8000-000000000001"])
def test_well_formed_id_is_taken_over(sent: bytes) -> None:
    """So that one id runs through everything a client's request touches."""
    assert begun((b"x-request-id", sent)).request_id == sent.decode()


@pytest.mark.parametrize(
    "sent",
    [b"", b"1234567", b"a" * 129, b"with space", b"new\nline", b"12345678\n", b"\xff" * 8, b'quo"te-1', b"a/b/c/d/e"],
)
def test_odd_id_is_replaced(sent: bytes) -> None:
    """A new one, that sorts by time (UUIDv7)."""
    made = begun((b"x-request-id", sent)).request_id
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", made)


def test_ids_are_made_anew_each_time() -> None:
    """No two requests share one."""
    assert len({begun().request_id for _ in range(100)}) == 100


def test_trace_of_the_caller_is_joined() -> None:
    """W3C Trace Context: the same trace, the same flags."""
    assert begun((b"traceparent", PARENT))[1:] == (TRACE.decode(), "01")


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"x",
        PARENT.upper(),
        PARENT + b"-more",
        b"01" + PARENT[2:],
        b"ff" + PARENT[2:],
        b"00-" + b"0" * 32 + b"-" + SPAN + b"-01",
        b"00-" + TRACE + b"-" + b"0" * 16 + b"-01",
        b"00-" + TRACE[:-1] + b"-" + SPAN + b"-01",
        PARENT + b"\n",
        b"00-" + TRACE + b"-" + SPAN + b"-0g",
    ],
)
def test_odd_trace_is_not_joined(sent: bytes) -> None:
    """Section 3.2.2.5: what cannot be read is as if it had not come."""
    assert begun((b"traceparent", sent))[1:] == ("", "00")


def test_call_to_another_service_carries_both() -> None:
    """The request's id, and the trace with a span of our own."""

    def call() -> Any:
        begin({b"x-request-id": b"request-1", b"traceparent": PARENT})
        return outgoing_headers(), outgoing_headers()

    first, second = copy_context().run(call)
    assert first["X-Request-ID"] == "request-1"
    assert re.fullmatch(rf"00-{TRACE.decode()}-[0-9a-f]{{16}}-01", first["traceparent"])
    assert SPAN.decode() not in first["traceparent"]
    assert first["traceparent"] != second["traceparent"]


def test_call_without_a_trace_starts_one() -> None:
    """Unsampled: nobody asked for it."""

    def call() -> dict[str, str]:
        begin({})
        return outgoing_headers()

    assert re.fullmatch(r"00-(?!0{32})[0-9a-f]{32}-[0-9a-f]{16}-00", copy_context().run(call)["traceparent"])


def test_outside_a_request_there_is_none() -> None:
    """A background task's calls carry no stale ids."""

    def outside() -> tuple[Trace | None, dict[str, str]]:
        trace._current.set(None)
        return current(), outgoing_headers()

    assert copy_context().run(outside) == (None, {})


async def test_requests_at_the_same_time_keep_apart() -> None:
    """Each task sees its own."""

    async def handle(number: int) -> bool:
        mine = begin({b"x-request-id": b"request-%d" % number})
        await asyncio.sleep(0)
        return current() is mine

    assert all(await asyncio.gather(*(asyncio.create_task(handle(number)) for number in range(50))))
