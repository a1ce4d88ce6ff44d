"""The documentation page: served by us, whole, cached, and without one request to another host."""

import gzip
import html
import json
import re
from collections.abc import Callable
from hashlib import sha256
from html.parser import HTMLParser
from importlib.metadata import distribution
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import httpx
import msgspec
import pytest
from litestar import Litestar, get

from common.docs.page import PACKAGE, POLICY, SCRIPT_NAME, page
from common.testing import client_of
from common.values import Secret, Source

Build = Callable[..., Litestar]


@get("/lists", sync_to_thread=False)
def lists() -> list[str]:
    """A guarded route."""
    return []


async def fetch(build: Build, path: str, settings: Any = None, **words: str) -> httpx.Response:
    """One request with these headers."""
    headers = {word.replace("_", "-"): value for word, value in words.items()}
    options = {"settings": settings} if settings else {}
    async with client_of(build(lists, **options)) as client:
        return await client.get(path, headers=headers)


class Links(HTMLParser):
    """Collects every attribute, and the configuration."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.attributes: list[tuple[str, str]] = []
        self.feed(text)

    def handle_starttag(self, _tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(name, value or "") for name, value in attrs]

    @property
    def configuration(self) -> Any:
        """What Scalar is told."""
        return json.loads(dict(self.attributes)["data-configuration"])


@pytest.fixture
def script() -> bytes:
    """Scalar's JavaScript as its package has it."""
    file = next(path for path in distribution(PACKAGE).files or [] if path.name == "scalar.standalone.js")
    return Path(str(file.locate())).read_bytes()


async def test_page_names_no_other_host(build: Build) -> None:
    """No address in it has a host: nobody learns who reads it, and it works without a way out."""
    answer = await fetch(build, "/docs")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert not re.search(r"https?:|//[a-z]|url\(|@import", html.unescape(answer.text), re.IGNORECASE)
    addresses = [value for name, value in Links(answer.text).attributes if name in {"src", "href", "data-url"}]
    assert sorted(addresses) == sorted(["data:,", "openapi.json", SCRIPT_NAME])
    assert Links(answer.text).configuration["url"] == "openapi.json"


def test_one_page_for_several_services() -> None:
    """Behind a gateway the page lets choose; every document is one of its own origin."""
    sources = [Source(name, f"/{name}/openapi.json") for name in ("todo-svc", "user-svc")]
    options = Links(page("Both", None, sources).decode()).configuration
    assert "url" not in options
    assert options["sources"] == [
        {"title": "todo-svc", "url": "/todo-svc/openapi.json"},
        {"title": "user-svc", "url": "/user-svc/openapi.json"},
    ]


async def test_policy_allows_ourselves_only(build: Build) -> None:
    """Were the script to ask another host, the browser would refuse; no script of another origin, or inline, runs."""
    policy = (await fetch(build, "/docs")).headers["Content-Security-Policy"]
    rules = {name: rest.split() for name, _, rest in (rule.strip().partition(" ") for rule in policy.split(";"))}
    assert policy == POLICY
    assert rules["default-src"] == ["'none'"]
    assert rules["script-src"] == rules["connect-src"] == ["'self'"]
    assert rules["frame-ancestors"] == rules["base-uri"] == ["'none'"]
    assert not re.search(r"https?:|\*|unsafe-eval", policy)


async def test_page_has_no_inline_script(build: Build) -> None:
    """The policy would refuse it."""
    text = (await fetch(build, "/docs")).text
    assert re.findall(r"<script[^>]*>(.*?)</script>", text, re.DOTALL) == ["", ""]


async def test_page_asks_nobody_and_tells_nobody(build: Build) -> None:
    """Scalar's own fonts, telemetry and helpers are off."""
    told = Links((await fetch(build, "/docs")).text).configuration
    assert told["withDefaultFonts"] is told["telemetry"] is False
    assert told["agent"] == told["mcp"] == {"disabled": True}


async def test_authorize_logs_in_with_the_password_flow(build: Build) -> None:
    """At this very origin: the page's button works without a word of configuration."""
    told = Links((await fetch(build, "/docs")).text).configuration
    assert told["authentication"]["preferredSecurityScheme"] == "OAuth2"
    document = (await fetch(build, "/openapi.json")).json()
    flow = document["components"]["securitySchemes"]["OAuth2"]["flows"]["password"]
    assert flow == {"tokenUrl": "/auth/jwt/login", "scopes": {}}


@pytest.mark.parametrize(
    ("environment", "login", "filled_in"),
    [
        ("development", "ann@example.com:pass:word", {"username": "ann@example.com", "password": "pass:word"}),
        ("development", None, {}),
        ("production", "ann@example.com:password", {}),
    ],
)
async def test_login_is_filled_in_for_developers_only(
    build: Build, settings: Any, environment: str, login: str | None, filled_in: dict[str, str]
) -> None:
    """`DOCS_LOGIN` in production shows nobody a password."""
    changed = msgspec.structs.replace(
        settings, environment=environment, docs_login=Secret.parse(login) if login else None
    )
    text = (await fetch(build, "/docs", changed)).text
    flow = Links(text).configuration["authentication"]["securitySchemes"]["OAuth2"]["flows"]["password"]
    assert flow == {**filled_in, "selectedScopes": []}
    assert filled_in or "ann@example.com" not in text


def test_page_cannot_be_broken_out_of() -> None:
    """Whatever a title or a login holds is text."""
    nasty = "\"'><script>alert(1)</script>&{title}"
    text = page(nasty, (nasty, nasty)).decode()
    assert "<script>alert" not in text
    assert html.escape(nasty) in text
    flow = Links(text).configuration["authentication"]["securitySchemes"]["OAuth2"]["flows"]["password"]
    assert (flow["username"], flow["password"]) == (nasty, nasty)


async def test_script_is_served_gzipped_and_cached_for_good(build: Build, script: bytes) -> None:
    """A third of its size, once per version."""
    answer = await fetch(build, f"/{SCRIPT_NAME}", Accept_Encoding="br, gzip")
    assert answer.status_code == 200
    assert answer.headers["Content-Encoding"] == "gzip"
    assert answer.headers["Content-Type"].startswith("text/javascript")
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert answer.headers["Vary"] == "Accept-Encoding"
    assert int(answer.headers["Content-Length"]) < len(script) / 2
    assert sha256(answer.content).digest() == sha256(script).digest()


@pytest.mark.parametrize("accepted", ["identity", "", "br", "gzip;q=0", "br;q=1.0, gzip; q=0"])
async def test_script_is_served_plain_to_who_cannot_unpack(build: Build, script: bytes, accepted: str) -> None:
    """Without gzip in what is accepted, or with it refused (RFC 9110 section 12.5.3)."""
    answer = await fetch(build, f"/{SCRIPT_NAME}", Accept_Encoding=accepted)
    assert "Content-Encoding" not in answer.headers
    assert answer.content == script


async def test_script_that_is_known_is_not_sent_again(build: Build) -> None:
    """304 for the tag it was sent with, and the file for any other."""
    tag = (await fetch(build, f"/{SCRIPT_NAME}")).headers["ETag"]
    again = await fetch(build, f"/{SCRIPT_NAME}", If_None_Match=tag)
    assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", tag)
    assert again.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert tag.startswith("W/")  # it names the packed file and the plain one, which are not the same bytes
    assert (await fetch(build, f"/{SCRIPT_NAME}", If_None_Match='"another"')).status_code == 200


async def test_script_is_read_once(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three megabytes are compressed for the first who asks, not for each."""
    compress = Mock(wraps=gzip.compress)
    monkeypatch.setattr(gzip, "compress", compress)
    async with client_of(build(lists)) as client:
        for _ in range(3):
            await client.get(f"/{SCRIPT_NAME}")
    assert compress.call_count == 1


@pytest.mark.parametrize("path", ["/docs", f"/{SCRIPT_NAME}", "/openapi.json"])
async def test_page_is_open(build: Build, path: str) -> None:
    """Whoever has no token yet comes here for one."""
    assert (await fetch(build, path)).status_code == 200


@pytest.mark.parametrize("path", ["/schema", "/schema/swagger", "/docs/", "/docs/scalar.js", "/openapi.yaml"])
async def test_there_is_one_page_and_no_other(build: Build, path: str) -> None:
    """Litestar's own, which load scripts from elsewhere, are not there."""
    status = (await fetch(build, path)).status_code
    assert status == (200 if path == "/docs/" else 404)
