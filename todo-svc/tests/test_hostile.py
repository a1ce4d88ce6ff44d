"""Hostile input against the real service: always a 4xx in the one shape, never a 5xx, and nothing is stored."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import quote
from uuid import UUID

import asyncpg
import httpx
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

Json = dict[str, Any]
Stored = Callable[[], Awaitable[list[asyncpg.Record]]]
JSON = "application/json"
ROWS = """
SELECT id, version, updated_at FROM lists WHERE owner_id = $1
UNION ALL SELECT id, version, updated_at FROM todos WHERE owner_id = $1 ORDER BY id
"""

BOUNDED = settings(
    max_examples=80,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

# Every field of every body, beside the fields that make the rest of it good.
FIELDS = [
    *(("POST", "/lists", name, {"title": "Good"}) for name in ("title", "description", "owner_id")),
    *(("PATCH", "/lists/{list_id}", name, {}) for name in ("title", "description", "version")),
    *(("POST", "/lists/{list_id}/todos", name, {"content": "Good"})
      for name in ("content", "description", "priority", "due_at", "id")),
    *(("PATCH", "/todos/{id}", name, {})
      for name in ("content", "description", "priority", "due_at", "completed", "list_id", "position", "owner_id")),
]  # fmt: skip
PARAMETERS = [
    "limit", "cursor", "include", "list_id", "status", "priority", "search", "due_before", "due_after", "order_by",
]  # fmt: skip
SPECIAL = [
    "", " ", "\0", "a\0b", "\ud800", "\udc00\ud800", "\ufeff", "\u202e", "x" * 1000, "x" * 1001, "😀" * 201, "'; --",
    "low", "high", "finished", "priority desc", "-due_at", "todos", "true", "null", "NaN", "1e400", "0x10", "{}", "[]",
    "0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-14:00",
    "2016-12-31T23:59:60Z", "2030-01-01T00:00:00", "2030-01-01T00:00:00Z", "infinity", "now", "2030-13-01T00:00:00Z",
    "01a20c69-534a-7647-b26e-d912c579c2b5", "00000000-0000-0000-0000-000000000000", "urn:uuid:x",
]  # fmt: skip

characters = st.characters(exclude_categories=())
texts = st.one_of(st.sampled_from(SPECIAL), st.text(characters, max_size=40))
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.just(10**400), texts)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3))
NO_JSON = [
    b"", b" ", b"null", b"[]", b"1", b'"x"', b"[" * 50_000, b'{"title":' * 5_000, b"\xef\xbb\xbf{}",
    b'{"title": "\xff"}', b'{"title": "a\0b"}', b'{"title": "x"} {}', b'{"title": "x",}', b"{'title': 'x'}",
    '{"title": "x"}'.encode("utf-16"),
]  # fmt: skip
printable = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="#"), max_size=80)
header_values = st.binary(max_size=60).map(lambda raw: bytes(byte for byte in raw if byte >= 32 and byte != 127))


def _judge(answer: httpx.Response) -> bool:
    """Whether it was taken; refused it must be by a 4xx that looks like every other."""
    assert answer.status_code < 500, answer.text
    if answer.status_code < 400:
        return True
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["status"] == answer.status_code
    assert answer.json()["code"]
    return False


@pytest_asyncio.fixture(loop_scope="session")
async def stored(ann_id: UUID, admin_dsn: str) -> AsyncIterator[Stored]:
    """Every row of Ann's, and how often each was changed, read on a connection that is not the service's."""
    connection = await asyncpg.connect(admin_dsn)

    async def read() -> list[asyncpg.Record]:
        return list(await connection.fetch(ROWS, ann_id))

    yield read
    await connection.close()


@settings(BOUNDED, max_examples=300)
@given(place=st.sampled_from(FIELDS), value=values)
async def test_any_value_in_any_field(
    ann: httpx.AsyncClient, stored: Stored, milk: Json, place: tuple[str, str, str, Json], value: object
) -> None:
    """Whatever JSON stands in whatever field: what is taken is given back as sent, what is refused leaves no trace."""
    method, path, name, rest = place
    before = await stored()
    content = json.dumps(rest | {name: value}).encode()
    answer = await ann.request(method, path.format(**milk), content=content, headers={"Content-Type": JSON})
    if _judge(answer):
        assert name == "due_at" or answer.json()[name] == value
    else:
        assert await stored() == before


@BOUNDED
@given(
    place=st.sampled_from(FIELDS),
    content=st.one_of(st.binary(max_size=60), st.sampled_from(NO_JSON)),
    media_type=st.one_of(st.just(JSON.encode()), header_values),
)
async def test_any_bytes(
    ann: httpx.AsyncClient,
    stored: Stored,
    milk: Json,
    place: tuple[str, str, str, Json],
    content: bytes,
    media_type: bytes,
) -> None:
    """No JSON, another encoding, endless nesting, an odd media type: refused, and nothing is stored."""
    before = await stored()
    answer = await ann.request(
        place[0], place[1].format(**milk), content=content, headers=[(b"Content-Type", media_type)]
    )
    assert not _judge(answer)
    assert await stored() == before


@settings(BOUNDED, max_examples=250)
@given(query=st.dictionaries(st.sampled_from(PARAMETERS), st.one_of(texts, st.binary(max_size=20)), max_size=3))
async def test_any_parameters(ann: httpx.AsyncClient, milk: Json, query: dict[str, str | bytes]) -> None:
    """Each parameter with any text and any bytes, on every route that reads parameters."""
    encoded = "&".join(f"{name}={quote(_bytes(value), safe='')}" for name, value in query.items())
    for path in ("/lists", f"/lists/{milk['list_id']}", "/todos", f"/lists/{milk['list_id']}/todos"):
        _judge(await ann.get(f"{path}?{encoded}"))


@BOUNDED
@given(query=printable, path=printable)
async def test_any_address(ann: httpx.AsyncClient, query: str, path: str) -> None:
    """Query strings that are none, and paths that lead nowhere."""
    _judge(await ann.get(f"/todos?{query}"))
    _judge(await ann.get(f"/lists/{quote(path, safe='%')}"))
    _judge(await ann.delete(f"/todos/{quote(path, safe='%/')}"))


@BOUNDED
@given(
    headers=st.dictionaries(
        st.sampled_from(["Accept", "Accept-Encoding", "Cookie", "Origin", "X-Request-ID", "traceparent", "If-Match",
                         "If-None-Match", "Range", "Host", "Transfer-Encoding", "X-HTTP-Method-Override"]),
        header_values, max_size=3)
)  # fmt: skip
async def test_any_headers(ann: httpx.AsyncClient, headers: dict[str, bytes]) -> None:
    """Odd headers change nothing, and never break an answer."""
    _judge(await ann.get("/todos", headers=[(name.encode(), value) for name, value in headers.items()]))


@BOUNDED
@given(value=header_values)
async def test_any_authorization(nobody: httpx.AsyncClient, value: bytes) -> None:
    """Whatever stands in Authorization is 401 while it is no token."""
    for credentials in (value, b"Bearer " + value):
        answer = await nobody.get("/todos", headers=[(b"Authorization", credentials)])
        assert (answer.status_code, _judge(answer)) == (401, False)


@pytest.mark.parametrize("size", [65_537, 1_000_000])
async def test_a_body_that_is_too_large(ann: httpx.AsyncClient, stored: Stored, size: int) -> None:
    """413 at 64 KiB, whatever the rest says."""
    body = b'{"title": "x"' + b" " * size + b"}"
    answer = await ann.post("/lists", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (413, "CONTENT_TOO_LARGE")
    assert "65536 bytes" in answer.json()["detail"]
    assert await stored() == []


async def test_two_authorizations_are_none(ann: httpx.AsyncClient) -> None:
    """401: nobody must choose between two callers."""
    token = ann.headers["Authorization"].encode()
    answer = await ann.get("/todos", headers=[(b"Authorization", token), (b"Authorization", token)])
    assert answer.status_code == 401


def _bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode("utf-8", "surrogatepass")
