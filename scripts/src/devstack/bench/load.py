"""The load: keep-alive connections, each sending the next ready-made request once the last is answered."""

import asyncio
import re
import time
from array import array
from collections.abc import Iterator, Sequence
from typing import cast

from msgspec import Struct

PATIENCE = 20.0  # seconds for the last answers
STRAYS = 0.5  # share of answers that may be others: on a busy machine the guard runs out of patience at times
LEAST = 10  # answers; a run goes on until it has them, where the machine is that slow
HEAD_END = b"\r\n\r\n"
NO_CONTENT = b"204"
UNAVAILABLE = b"503"
STATUS = slice(9, 12)  # where it stands in `HTTP/1.1 200 OK`
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)


class LoadError(Exception):
    """The server did not hold the conversation: what was measured would mean nothing."""


class Figures(Struct, frozen=True):
    """What one run measured, latencies in milliseconds.

    `answers` counts those of the warm-up too; `strays` is the share of 503 and of answers that missed the header,
    which are in no other figure.
    """

    answers: int
    strays: float
    requests: int
    seconds: float
    p50: float
    p99: float

    @property
    def rps(self) -> float:
        """Answers a second."""
        return self.requests / self.seconds


class Span(Struct, frozen=True):
    """How long to send, in seconds: first without counting, then counting."""

    warmup: float
    measured: float


class Expect(Struct, frozen=True):
    """What answers must be, or the run is about something else: a status, and a header line such as `x: y`."""

    status: int = 200
    header: str = ""


async def drive(port: int, requests: Iterator[bytes], span: Span, *, expect: Expect, connections: int) -> Figures:
    """Send requests for the span, or until there are no more.

    Raises:
        LoadError: an answer was not as expected, or a connection broke.

    """
    run = _Run(requests, expect, span)
    loop = asyncio.get_running_loop()
    opened: list[_Connection] = []
    try:
        for _ in range(connections):
            _, connection = await loop.create_connection(lambda: _Connection(run), "127.0.0.1", port)
            opened.append(connection)
        run.begin(opened)
        async with asyncio.timeout(span.warmup + span.measured + PATIENCE):
            await run.finished
    except TimeoutError:
        raise LoadError("the server stopped answering") from None
    finally:
        await asyncio.gather(*(connection.close() for connection in opened))
    return run.figures()


class _Run:
    """What the connections of one run share: the requests to send and the times their answers took."""

    def __init__(self, requests: Iterator[bytes], expect: Expect, span: Span) -> None:
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.requests = requests
        self._wanted = f"{expect.status} {expect.header}".strip()
        self._status = str(expect.status).encode()
        self._header = f"\r\n{expect.header}".encode()
        self._span = span
        self._latencies = array("d")
        self._working = self._answers = self._strays = 0
        self._counts_from = self._ends = self._last = 0.0

    def begin(self, connections: Sequence["_Connection"]) -> None:
        """Let all send their first request at once."""
        now = time.perf_counter()
        self._counts_from = self._last = now + self._span.warmup
        self._ends = self._counts_from + self._span.measured
        self._working = len(connections)
        for connection in connections:
            connection.send_next()

    def answered(self, sent: float, answer: bytes) -> bool:
        """Note an answer; returns whether to go on."""
        now = time.perf_counter()
        self._answers += 1
        if answer[STATUS] not in (self._status, UNAVAILABLE):
            self.fail(f"an answer was {answer[STATUS].decode()}, not {self._status.decode()}")
        if now > self._ends and len(self._latencies) + self._strays >= LEAST:
            self._last = max(self._last, self._ends)
            return False
        if answer[STATUS] != self._status or self._header not in answer:
            self._strays += 1
        elif now >= self._counts_from:
            self._latencies.append(now - sent)
            self._last = now
        return not self.finished.done()

    def stop(self) -> None:
        """One connection has nothing more to send."""
        self._working -= 1
        if self._working == 0 and not self.finished.done():
            self.finished.set_result(None)

    def fail(self, reason: str) -> None:
        """End the run: its figures would mean nothing."""
        if not self.finished.done():
            self.finished.set_exception(LoadError(reason))

    def figures(self) -> Figures:
        """Sum up what came after the warm-up."""
        if self._strays > STRAYS * self._answers:
            raise LoadError(f"{self._strays} of {self._answers} answers were not {self._wanted}")
        if not self._latencies:
            raise LoadError("no answer came after the warm-up: ask for more seconds")
        ordered = sorted(self._latencies)
        count = len(ordered)
        return Figures(
            answers=self._answers,
            strays=self._strays / self._answers,
            requests=count,
            seconds=self._last - self._counts_from,
            p50=ordered[count // 2] * 1000,
            p99=ordered[count * 99 // 100] * 1000,
        )


class _Connection(asyncio.Protocol):
    """One keep-alive connection with one request under way at a time."""

    _transport: asyncio.WriteTransport

    def __init__(self, run: _Run) -> None:
        self._run = run
        self._received = b""
        self._missing: int | None = None  # bytes of the answer still to come, once its head is there
        self._sent = 0.0
        self._lost = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way out."""
        self._transport = cast("asyncio.WriteTransport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody but us may close it."""
        self._run.fail(f"the server closed a connection ({exc or 'no error'})")
        self._lost.set()

    async def close(self) -> None:
        """Close it; returns when it is gone."""
        self._transport.abort()
        await self._lost.wait()

    def send_next(self) -> None:
        """Send the next request, or stop when there is none."""
        request = next(self._run.requests, None)
        if request is None:
            self._run.stop()
            return
        self._received, self._missing = b"", None
        self._sent = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Collect one answer, then send the next request."""
        if self._missing is None:
            self._received += data
            self._missing = self._still_to_come()
        else:
            self._missing -= len(data)
        if self._missing == 0:
            if self._run.answered(self._sent, self._received):
                self.send_next()
            else:
                self._run.stop()

    def _still_to_come(self) -> int | None:
        end = self._received.find(HEAD_END)
        if end < 0:
            return None
        length = LENGTH.search(self._received, 0, end + 2)
        if length is None and self._received[STATUS] != NO_CONTENT:
            self._run.fail("an answer does not say how long it is")
        size = int(length[1]) if length else 0
        return end + len(HEAD_END) + size - len(self._received)
