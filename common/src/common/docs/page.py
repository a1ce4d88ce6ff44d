"""The documentation page: Scalar, served by ourselves, without one request to another host."""

import asyncio
import gzip
import html
from collections.abc import Sequence
from hashlib import sha256
from importlib.metadata import distribution
from typing import Any, Final

import msgspec
from litestar import Request, Response, get

from common.auth.demands import PUBLIC
from common.docs.document import schema
from common.values import Source

PACKAGE: Final = "flask-openapi-scalar"  # carries Scalar's JavaScript; its Flask code is never imported
SCRIPT: Final = "scalar.standalone.js"
VERSION: Final = distribution(PACKAGE).version
SCRIPT_NAME: Final = f"docs/scalar-{VERSION}.js"
DOCUMENT_NAME: Final = "openapi.json"

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline' data:; img-src 'self' data:; "
    "font-src 'self' data:; connect-src 'self'; worker-src blob:; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)

_OPTIONS: dict[str, Any] = {
    "withDefaultFonts": False,
    "telemetry": False,
    "hideClientButton": True,
    "agent": {"disabled": True},
    "mcp": {"disabled": True},
    "showDeveloperTools": "never",
    "persistAuth": True,
    "defaultOpenAllTags": True,
}

# The names are relative: behind a gateway the page may stand under a prefix.
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="data:,">
</head>
<body>
<noscript>This page needs JavaScript. The document itself is at <a href="{document}">{document}</a>.</noscript>
<script id="api-reference" data-configuration="{options}"></script>
<script src="{script}"></script>
</body>
</html>
"""


def page(title: str, login: tuple[str, str] | None, sources: Sequence[Source] = ()) -> bytes:
    """The page's HTML; `login` is an e-mail and a password to fill in, in development only.

    Where one origin has several services, `sources` names the documents of all, and the page lets choose.
    """
    flow = {"username": login[0], "password": login[1]} if login else {}
    authentication = {
        "preferredSecurityScheme": "OAuth2",
        "securitySchemes": {"OAuth2": {"flows": {"password": {**flow, "selectedScopes": []}}}},
    }
    shown = (
        {"sources": [{"title": each.title, "url": each.url} for each in sources]} if sources else {"url": DOCUMENT_NAME}
    )
    options = msgspec.json.encode({**_OPTIONS, **shown, "authentication": authentication}).decode()
    names = {"document": DOCUMENT_NAME, "script": SCRIPT_NAME}
    return _PAGE.format(title=html.escape(title), options=html.escape(options), **names).encode()


class Script:
    """Scalar's JavaScript, read and compressed at the first request for it."""

    def __init__(self) -> None:
        self._plain: bytes | None = None
        self._gzipped = b""
        self._etag = ""
        self._lock = asyncio.Lock()

    async def respond(self, request: Request[Any, Any, Any]) -> Response[bytes]:
        """The file, compressed where the browser takes that, or 304."""
        async with self._lock:
            if self._plain is None:
                self._plain = await asyncio.to_thread(self._read)
        headers = {
            "Cache-Control": "public, max-age=31536000, immutable",
            "ETag": self._etag,
            "Vary": "Accept-Encoding",
        }
        if request.headers.get("if-none-match") == self._etag:
            return Response(b"", status_code=304, headers=headers)
        if _takes_gzip(request.headers.get("accept-encoding", "")):
            headers["Content-Encoding"] = "gzip"
            return Response(self._gzipped, headers=headers, media_type="text/javascript")
        return Response(self._plain, headers=headers, media_type="text/javascript")

    def _read(self) -> bytes:
        file = next(path for path in distribution(PACKAGE).files or [] if path.name == SCRIPT)
        plain = file.read_binary()
        self._gzipped = gzip.compress(plain, 6, mtime=0)
        self._etag = f'W/"{sha256(plain).hexdigest()[:32]}"'  # of both: a strong one would be of one (RFC 9110 8.8.3.3)
        return plain


def _takes_gzip(accepted: str) -> bool:
    """Whether gzip is named, and not with a weight of nothing (RFC 9110 section 12.5.3)."""
    weights = dict(part.replace(" ", "").partition(";q=")[::2] for part in accepted.lower().split(","))
    return "gzip" in weights and (not weights["gzip"] or weights["gzip"].strip("0.") != "")


def routes(title: str, login: tuple[str, str] | None, sources: Sequence[Source] = ()) -> list[Any]:
    """`/docs`, its script, and `/openapi.json`."""
    html_page = page(title, login, sources)
    document = b""  # made at the first request for it
    script = Script()

    @get("/docs", opt={"auth": PUBLIC}, include_in_schema=False, media_type="text/html", sync_to_thread=False)
    def docs() -> Response[bytes]:
        return Response(html_page, headers={"Content-Security-Policy": POLICY}, media_type="text/html")

    @get(f"/{SCRIPT_NAME}", opt={"auth": PUBLIC}, include_in_schema=False)
    async def scalar(request: Request[Any, Any, Any]) -> Response[bytes]:
        return await script.respond(request)

    @get(f"/{DOCUMENT_NAME}", opt={"auth": PUBLIC}, include_in_schema=False, sync_to_thread=False)
    def openapi(request: Request[Any, Any, Any]) -> Response[bytes]:
        nonlocal document
        document = document or msgspec.json.encode(schema(request.app))
        return Response(document, media_type="application/json")

    return [docs, scalar, openapi]
