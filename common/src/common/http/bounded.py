"""How large a request's head may be: uvicorn reads one of any size, before anybody has looked at it."""

from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LARGEST: Final = 64 * 1024  # bytes, of a head that did not come at once
LINGER: Final = 1.0  # seconds
_TOO_LARGE: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"  # RFC 6585
)


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's, which ends a connection whose head goes on and on; the first read is not counted, which is bounded."""

    _head: int | None = None  # bytes of a head that is still coming

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

    def _refuse(self) -> None:
        """Answer, and listen on for a moment without hearing: a close with unread bytes would take the answer back."""
        self.transport.write(_TOO_LARGE)
        self.transport.write_eof()
        self.loop.call_later(LINGER, self.transport.close)
