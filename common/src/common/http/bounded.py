"""What uvicorn leaves unbounded: what comes with a request besides its body, and how long a client may not read."""

from asyncio import TimerHandle
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LARGEST: Final = 64 * 1024  # bytes of a head, or of trailers, that did not come at once
LINGER: Final = 1.0  # seconds
STALLED: Final = 60.0  # seconds in which a client takes nothing of an answer
_PROBLEM: Final = (
    b'{"type":"about:blank","title":"Request Header Fields Too Large","status":431,"code":"HEAD_TOO_LARGE",'
    b'"detail":"the head of the request is too large"}'
)
_TOO_LARGE: Final = (  # RFC 6585 section 5
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-type: application/problem+json\r\n"
    b"content-length: %d\r\n\r\n%b" % (len(_PROBLEM), _PROBLEM)
)


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's, which ends a connection whose head or trailers go on and on, or whose client has stopped reading.

    What counts are the reads in a row that neither end a head nor bring any of a body; the first of a head does not.
    """

    _in_head = False
    _moved = False
    _aimless = 0  # bytes
    _stalled: TimerHandle | None = None

    def on_message_begin(self) -> None:
        """The parser's: a head begins."""
        self._in_head = self._moved = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The parser's: the head is whole. Trailers are no part of it (RFC 9110 section 6.5.1), and go nowhere."""
        self._in_head, self._moved = False, True
        super().on_headers_complete()
        if not self.parser.should_upgrade():
            self.headers = []

    def on_body(self, body: bytes) -> None:
        """The parser's: some of the body."""
        self._moved = True
        super().on_body(body)

    def data_received(self, data: bytes) -> None:
        """The loop's: more of whatever it is."""
        if self._aimless > LARGEST:
            return
        self._moved = False
        super().data_received(data)
        self._aimless = 0 if self._moved else self._aimless + len(data)
        if self._aimless > LARGEST:
            self._refuse()

    def _refuse(self) -> None:
        """Answer, and listen on for a moment without hearing: a close with unread bytes would take the answer back.

        Not in the midst of other answers, nor where this request has one.
        """
        last: Any = self.cycle
        if self._in_head and (last is None or last.response_complete):
            self.transport.write(_TOO_LARGE)
            self.transport.write_eof()
            self.loop.call_later(LINGER, self.transport.close)
        else:
            self.transport.abort()

    def pause_writing(self) -> None:
        """The transport's: what was written waits for the client."""
        super().pause_writing()
        self._watch()

    def resume_writing(self) -> None:
        """The transport's: the client has read."""
        super().resume_writing()
        self._forgive()

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport's: it is over."""
        self._forgive()
        super().connection_lost(exc)

    def _watch(self) -> None:
        self._stalled = self.loop.call_later(STALLED, self._look, self.transport.get_write_buffer_size())

    def _look(self, before: int) -> None:
        """Patience begins anew with whatever was taken."""
        if self.transport.get_write_buffer_size() < before:
            self._watch()
        else:
            self.transport.abort()

    def _forgive(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None
