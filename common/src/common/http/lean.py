"""A lean way to another service for httpx: HTTP/1.1 over httptools with keep-alive, at a third of httpcore's CPU.

httpx stays the interface and the tests' seam. Plain http only; https takes httpx's own transport.
"""

import asyncio
from collections.abc import Mapping
from http.cookiejar import CookieJar
from typing import Any, Final, cast

import httptools
import httpx

CONNECT: Final = 0.2  # seconds
IDLE: Final = 4.0  # seconds: uvicorn, at the other end, closes what has rested for 5, maybe just as we write
LIMITS: Final = httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=IDLE)


class LeanTransport(httpx.AsyncBaseTransport):
    """Keeps idle connections for a while, newest first; tries once more only where no connection was made.

    How many are open at once is the caller's affair. Of httpx's timeouts `read` holds for the whole answer.
    """

    def __init__(self) -> None:
        self._idle: list[_Connection] = []
        self._is_closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and read its whole answer.

        Raises:
            httpx.ConnectError: nobody is there.
            httpx.ReadError: the connection broke before the answer was whole.
            httpx.ReadTimeout: it was not whole in time.

        """
        connection = self._take_idle() or await _connect(request.url)
        try:
            async with asyncio.timeout(request.extensions.get("timeout", {}).get("read")):
                response = await connection.exchange(_encode(request, await request.aread()))
        except TimeoutError as error:
            connection.close()
            raise httpx.ReadTimeout("no answer in time", request=request) from error
        except BaseException:
            connection.close()
            raise
        if connection.reusable and not self._is_closed:
            connection.idle_since = _now()
            self._idle.append(connection)
        else:
            connection.close()
        return response

    async def aclose(self) -> None:
        """Close the idle connections; one in use is closed after its answer."""
        self._is_closed = True
        while self._idle:
            self._idle.pop().close()

    def _take_idle(self) -> "_Connection | None":
        while self._idle:
            connection = self._idle.pop()
            if connection.reusable and _now() - connection.idle_since < IDLE:
                return connection
            connection.close()
        return None


class _NoCookies(CookieJar):
    def extract_cookies(self, *_: Any) -> None:
        """None is kept: what came with one caller's answer would go along with the next one's request."""


def client_to(
    base_url: str,
    *,
    timeout: float | httpx.Timeout,
    headers: Mapping[str, str] | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
) -> httpx.AsyncClient:
    """A client of another service, for all callers; `transport` is another way to it, as in a test."""
    way = transport or transport_to(base_url)
    return httpx.AsyncClient(base_url=base_url, transport=way, timeout=timeout, headers=headers, cookies=_NoCookies())


def transport_to(base_url: str) -> httpx.AsyncBaseTransport:
    """The lean transport where it serves; either retries only a connection that was never made."""
    if base_url.startswith("http://"):
        return LeanTransport()
    return httpx.AsyncHTTPTransport(retries=1, trust_env=False, limits=LIMITS)


async def _connect(url: httpx.URL) -> "_Connection":
    loop = asyncio.get_running_loop()
    for attempt in (1, 2):
        try:
            async with asyncio.timeout(CONNECT):
                _, connection = await loop.create_connection(_Connection, url.host, url.port or 80)
                return connection
        except (OSError, TimeoutError) as error:
            if attempt == 2:  # noqa: PLR2004 - the last
                raise httpx.ConnectError(str(error) or "timed out") from error
    raise AssertionError


def _encode(request: httpx.Request, body: bytes) -> bytes:
    head = [request.method.encode(), b" ", request.url.raw_path, b" HTTP/1.1\r\n"]
    for name, value in request.headers.raw:
        head += (name, b": ", value, b"\r\n")
    return b"".join((*head, b"\r\n", body))


class _Connection(asyncio.Protocol):
    """One request at a time; httptools calls the `on_` methods."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._answer: asyncio.Future[httpx.Response] | None = None
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self.reusable = False
        self.idle_since = 0.0

    def exchange(self, request: bytes) -> "asyncio.Future[httpx.Response]":
        """Write a request; its answer."""
        self._answer = asyncio.get_running_loop().create_future()
        self._parser = httptools.HttpResponseParser(self)
        self._headers, self._body, self.reusable = [], [], False
        if self._transport is not None:
            self._transport.write(request)
        return self._answer

    def close(self) -> None:
        """Give the connection up."""
        self.reusable = False
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance

    def data_received(self, data: bytes) -> None:
        if self._parser is None or self._answer is None or self._answer.done():
            self.close()  # nobody asked
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(httpx.RemoteProtocolError(str(error)))

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(httpx.ReadError(str(exc) if exc else "the connection was closed"))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name, value))

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        if self._parser is None or self._answer is None or self._answer.done():
            self.close()  # a second answer, right behind the first
            return
        self.reusable = self._parser.should_keep_alive()
        self._answer.set_result(
            httpx.Response(self._parser.get_status_code(), headers=self._headers, content=b"".join(self._body))
        )

    def _fail(self, error: httpx.TransportError) -> None:
        self.close()
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)


def _now() -> float:
    return asyncio.get_running_loop().time()
