"""bench, its load: what is sent when, and which answers count."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from itertools import repeat

import pytest

from devstack.bench.load import LEAST, Expect, Figures, LoadError, Span, drive

REQUEST = b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
ANYTHING = Expect()
SHORT = Span(warmup=0, measured=0.4)

Answer = Callable[[asyncio.StreamWriter], None]


class Server:
    """Reads one request head after another, and has `answer` write what it likes."""

    def __init__(self, answer: Answer) -> None:
        self.seen: list[bytes] = []
        self._answer = answer
        self._talks: asyncio.Queue[asyncio.Task[None]] = asyncio.Queue()

    async def measure(
        self, requests: Iterator[bytes], span: Span = SHORT, *, connections: int = 1, expect: Expect = ANYTHING
    ) -> Figures:
        """Drive it, and end with every connection closed on both sides."""
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        try:
            return await drive(port, requests, span, expect=expect, connections=connections)
        finally:
            for _ in range(connections):
                await (await self._talks.get())
            server.close()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._talks.put_nowait(asyncio.ensure_future(self._talk(reader, writer)))

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                self.seen.append(await reader.readuntil(b"\r\n\r\n"))
                self._answer(writer)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def test_every_connection_waits_for_its_answer() -> None:
    """A connection sends its next request only after the whole answer to the last one."""
    unanswered: set[asyncio.StreamWriter] = set()
    early: list[asyncio.StreamWriter] = []

    def finish(writer: asyncio.StreamWriter) -> None:
        unanswered.discard(writer)
        writer.write(OK[-1:])

    def answer(writer: asyncio.StreamWriter) -> None:
        if writer in unanswered:
            early.append(writer)
        unanswered.add(writer)
        writer.write(OK[:-1])
        asyncio.get_running_loop().call_later(0.005, finish, writer)

    figures = await Server(answer).measure(repeat(REQUEST), connections=3)

    assert not early
    assert figures.requests > 3


async def test_answers_in_pieces_count_once() -> None:
    """An answer that comes byte by byte, head and body, is one answer."""
    pieces: list[asyncio.Future[None]] = []

    async def dribble(writer: asyncio.StreamWriter) -> None:
        for byte in OK:
            writer.write(bytes([byte]))
            await asyncio.sleep(0)

    server = Server(lambda writer: pieces.append(asyncio.ensure_future(dribble(writer))))
    figures = await server.measure(repeat(REQUEST, 10), connections=2)

    assert figures.requests == len(server.seen) == 10


async def test_each_request_is_sent_once() -> None:
    """Requests are taken in order and never repeated, and the run ends early when there are no more."""
    paths = [f"/{number}".encode() for number in range(7)]
    server = Server(lambda writer: writer.write(OK))
    figures = await server.measure(b"GET %b HTTP/1.1\r\n\r\n" % path for path in paths)

    assert [head.split()[1] for head in server.seen] == paths
    assert figures.requests == 7


async def test_latencies_are_of_the_answers() -> None:
    """A server that takes 20 ms has a median of at least that, and no more answers than time allows."""

    def late(writer: asyncio.StreamWriter) -> None:
        asyncio.get_running_loop().call_later(0.02, writer.write, OK)

    figures = await Server(late).measure(repeat(REQUEST), connections=2)

    assert 20 <= figures.p50 <= figures.p99
    assert figures.rps <= 2 / 0.02 * 1.1


async def test_the_warm_up_does_not_count() -> None:
    """What is answered before the measured time is sent and answered, and in no figure."""

    def late(writer: asyncio.StreamWriter) -> None:
        asyncio.get_running_loop().call_later(0.01, writer.write, OK)

    server = Server(late)
    figures = await server.measure(repeat(REQUEST), Span(warmup=0.3, measured=0.2))

    assert figures.answers == len(server.seen)
    assert 0 < figures.requests <= 0.2 / 0.01 + 1 < figures.answers
    assert figures.seconds == pytest.approx(0.2, abs=0.03)


async def test_a_slow_server_is_given_time() -> None:
    """A run goes on past its time until there are enough answers to speak of."""

    def late(writer: asyncio.StreamWriter) -> None:
        asyncio.get_running_loop().call_later(0.05, writer.write, OK)

    figures = await Server(late).measure(repeat(REQUEST), Span(warmup=0, measured=0.1))

    assert figures.requests == LEAST
    assert figures.rps <= 1 / 0.05


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", "an answer was 401, not 200"),
        (b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", "answers were not 200"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "does not say how long it is"),
    ],
)
async def test_wrong_answers_end_the_run(answer: bytes, reason: str) -> None:
    """Figures of failed requests are never shown: the run ends with what was wrong."""
    with pytest.raises(LoadError, match=reason):
        await Server(lambda writer: writer.write(answer)).measure(repeat(REQUEST), connections=2)


async def test_closed_connections_end_the_run() -> None:
    """A server that hangs up has not answered."""
    with pytest.raises(LoadError, match="closed a connection"):
        await Server(lambda writer: writer.close()).measure(repeat(REQUEST), connections=2)


@pytest.mark.parametrize(("strays", "allowed"), [(5, True), (6, False)])
async def test_answers_must_say_what_the_case_is_about(strays: int, *, allowed: bool) -> None:
    """Reads vouched for by another than the case says are no measure of it: half is told, more ends the run."""
    answers = iter([OK] * strays + [OK.replace(b"\r\n\r\n", b"\r\nx-auth-source: redis\r\n\r\n")] * (10 - strays))
    run = Server(lambda writer: writer.write(next(answers))).measure(
        repeat(REQUEST, 10), expect=Expect(header="x-auth-source: redis")
    )

    if allowed:
        figures = await run
        assert (figures.answers, figures.requests, figures.strays) == (10, 5, 0.5)
    else:
        with pytest.raises(LoadError, match="6 of 10 answers were not 200 x-auth-source: redis"):
            await run
