"""What uvicorn leaves unbounded: how large a request's head may be, and how long a client may not read."""

from asyncio import TimerHandle
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LARGEST: Final = 64 * 1024  # bytes, of a head that did not come at once
LINGER: Final = 1.0  # seconds
STALLED: Final = 10.0  # seconds in which nothing, or next to nothing, was taken of some 50 KB
_TOO_LARGE: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"  # RFC 6585
)


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's, which ends a connection whose head goes on and on, or whose client does not read what it asked for.

    Of a head the first read is not counted, which is bounded.
    """

    _head: int | None = None  # bytes of a head that is still coming
    _stalled: TimerHandle | None = None

    def on_message_begin(self) -> None:
        """The parser's: a head begins."""
        self._head = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The parser's: the head is whole."""
        self._head = None
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        """The loop's: more of whatever it is."""
        if self._head is not None:
            refused, self._head = self._head > LARGEST, self._head + len(data)
            if self._head > LARGEST:
                if not refused:
                    self._refuse()
                return
        super().data_received(data)

    def pause_writing(self) -> None:
        """The transport's: what was written waits for the client."""
        super().pause_writing()
        self._stalled = self.loop.call_later(STALLED, self.transport.abort)

    def resume_writing(self) -> None:
        """The transport's: the client has read."""
        super().resume_writing()
        self._forgive()

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport's: it is over."""
        self._forgive()
        super().connection_lost(exc)

    def _forgive(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _refuse(self) -> None:
        """Answer, and listen on for a moment without hearing: a close with unread bytes would take the answer back."""
        self.transport.write(_TOO_LARGE)
        self.transport.write_eof()
        self.loop.call_later(LINGER, self.transport.close)
