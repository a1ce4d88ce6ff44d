"""Which request this is: its id and W3C trace context, for log lines and for calls to other services."""

import re
import secrets
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Final, NamedTuple

from uuid_utils import uuid7

from common.telemetry import spans

REQUEST_ID: Final = b"x-request-id"
TRACEPARENT: Final = b"traceparent"

_WELL_FORMED_ID = re.compile(rb"[A-Za-z0-9._-]{8,128}\Z")
_WELL_FORMED_TRACE = re.compile(rb"00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})\Z")


class Trace(NamedTuple):
    """One request's id, and its place in a trace if it came with one (W3C Trace Context, section 3.2)."""

    request_id: str
    trace_id: str
    flags: str


_current: ContextVar[Trace | None] = ContextVar("trace", default=None)


def begin(headers: Mapping[bytes, bytes | None]) -> Trace:
    """Take over the caller's ids where they are well formed, else make new ones; they hold for this task."""
    request_id, trace_id, flags = "", "", "00"
    if (value := headers.get(REQUEST_ID)) and _WELL_FORMED_ID.match(value):
        request_id = value.decode()
    if (value := headers.get(TRACEPARENT)) and (match := _WELL_FORMED_TRACE.match(value)):
        trace_id, flags = match[1].decode(), match[2].decode()
    trace = Trace(request_id or str(uuid7()), trace_id, flags)
    _current.set(trace)
    return trace


def current() -> Trace | None:
    """The trace of the request this task works for."""
    return _current.get()


def outgoing_headers() -> dict[str, str]:
    """What a call to another service carries, so that both logs tell one story."""
    trace = _current.get()
    if trace is None:
        return {}
    span = spans.current_id() or secrets.token_hex(8)
    parent = f"00-{trace.trace_id or secrets.token_hex(16)}-{span}-{trace.flags}"
    return {"X-Request-ID": trace.request_id, "traceparent": parent}
