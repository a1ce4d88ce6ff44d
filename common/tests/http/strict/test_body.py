"""Strict JSON bodies: exact types, no unknown field, and a refusal that names the place and never the value."""

import contextlib
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

import httpx
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from litestar import Litestar, post
from litestar.params import JSONBody
from msgspec import UNSET, Meta, Struct, UnsetType

from common.auth import PUBLIC
from common.dto import FieldError
from common.errors import BadRequest, ServiceError, Unprocessable, UnsupportedMediaType
from common.http.strict import Moment, StrictBody, decode
from common.testing import client_of

Build = Callable[..., Litestar]
JSON = "application/json"
SOUP = [b"{", b"}", b"[", b"]", b'"', b":", b",", b" ", b'"title"', b'"a"', b"-1", b"1e400", b"true", b"null", b"\xff"]
SOUP += [b"\\u0000", b"\\ud800", b"\0", b"\n", b'{"title":"a"', b'"labels":{']


class Priority(StrEnum):
    """A choice."""

    LOW = "low"
    HIGH = "high"


class Part(Struct, forbid_unknown_fields=True):
    """Something nested."""

    name: str


class Body(Struct, forbid_unknown_fields=True, frozen=True):
    """A body with one of each."""

    title: Annotated[str, Meta(min_length=1, max_length=10)]
    number: int = 0
    done: bool = False
    priority: Priority = Priority.LOW
    due_at: Moment | UnsetType | None = UNSET
    parts: list[Part] = []
    labels: dict[str, str] = {}


def read(body: bytes, content_type: str | None = JSON) -> Body:
    """Decode as a route does."""
    return decode(body, Body, content_type=content_type)


def refusal(body: bytes) -> list[FieldError]:
    """The places that are named."""
    with pytest.raises(Unprocessable) as caught:
        read(body)
    return caught.value.errors


def test_good_body() -> None:
    """What is well-formed and of the right types is taken as it stands."""
    body = (
        b'{"title":"\\u00fc\\ud83d\\ude00","number":-5,"done":true,"priority":"high","due_at":"2026-01-01T00:00:00Z"}'
    )
    assert read(body) == Body("ü😀", -5, True, Priority.HIGH, datetime(2026, 1, 1, tzinfo=UTC))


def test_absent_and_null_are_two_things() -> None:
    """So that `null` can clear a field and silence can leave it."""
    assert read(b'{"title":"a"}').due_at is UNSET
    assert read(b'{"title":"a","due_at":null}').due_at is None


@pytest.mark.parametrize(
    ("body", "location"),
    [
        (b'{"title":5}', "body.title"),
        (b'{"title":null}', "body.title"),
        (b'{"title":""}', "body.title"),
        (b'{"title":"12345678901"}', "body.title"),
        (b'{"title":["a"]}', "body.title"),
        (b'{"title":"a","number":"5"}', "body.number"),
        (b'{"title":"a","number":5.5}', "body.number"),
        (b'{"title":"a","number":true}', "body.number"),
        (b'{"title":"a","number":1e400}', "body.number"),
        (b'{"title":"a","done":0}', "body.done"),
        (b'{"title":"a","done":"true"}', "body.done"),
        (b'{"title":"a","done":null}', "body.done"),
        (b'{"title":"a","priority":"urgent"}', "body.priority"),
        (b'{"title":"a","priority":1}', "body.priority"),
        (b'{"title":"a","due_at":"2026-01-01T00:00:00"}', "body.due_at"),
        (b'{"title":"a","due_at":"2026-13-01T00:00:00Z"}', "body.due_at"),
        (b'{"title":"a","due_at":"2026-02-30T00:00:00Z"}', "body.due_at"),
        (b'{"title":"a","due_at":"now"}', "body.due_at"),
        (b'{"title":"a","due_at":1767225600}', "body.due_at"),
        (b'{"title":"a","parts":[{"name":"x"},{"name":1}]}', "body.parts[1].name"),
        (b'{"title":"a","parts":[{"name":"x","more":1}]}', "body.parts[0]"),
        (b'{"title":"a","owner_id":"x"}', "body"),
        (b'{"Title":"a"}', "body"),
        (b"{}", "body"),
        (b"[]", "body"),
        (b"null", "body"),
        (b'"a"', "body"),
        (b'{"title":"a\\u0000b"}', "body.title"),
        (b'{"title":"a","parts":[{"name":"x"},{"name":"\\u0000"}]}', "body.parts[1].name"),
        (b'{"title":"a","labels":{"colour":"\\u0000"}}', "body.labels.colour"),
        (b'{"title":"a","labels":{"\\u0000":"red"}}', "body.labels"),
    ],
)
def test_wrong_shape_names_the_place(body: bytes, location: str) -> None:
    """422: it is JSON, but not what this route takes."""
    assert [error.location for error in refusal(body)] == [location]


def test_refusal_never_shows_the_value() -> None:
    """A password in the wrong field must not come back, nor get into a log."""
    for body in (b'{"title":"a","priority":"geheim"}', b'{"title":"a","due_at":"geheim"}', b'{"title":["geheim"]}'):
        assert "geheim" not in str(refusal(body))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b'{"title":"a"',
        b'{"title":"a"}}',
        b'{"title":"a"} x',
        b"{'title':'a'}",
        b'{"title":"a",}',
        b'{"title":NaN}',
        b'{"title":"a\x00b"}',
        b'{"title":"a\nb"}',
        b'{"title":"\xff"}',
        b'{"title":"\xed\xa0\x80"}',
        b'{"title":"\\ud800"}',
        b'{"title":"\\udc00\\ud800"}',
        b'\xef\xbb\xbf{"title":"a"}',
        '{"title":"a"}'.encode("utf-16"),
        b"title=a",
    ],
)
def test_what_is_no_json_is_400(body: bytes) -> None:
    """And what is no UTF-8, in whole or in part."""
    with pytest.raises(BadRequest):
        read(body)


@pytest.mark.parametrize("start", ["[", '{"title":[', '{"x":', '{"parts":[{"name":['])
def test_nesting_beyond_measure_is_refused(start: str) -> None:
    """It ends no process and gives no 5xx."""
    with pytest.raises((BadRequest, Unprocessable)):
        read(start.encode() * 20_000)


@pytest.mark.parametrize(
    "content_type", [JSON, "APPLICATION/JSON", f"{JSON};charset=utf-8", f'{JSON} ; charset="UTF-8"']
)
def test_json_that_says_so(content_type: str) -> None:
    """Case and a charset of UTF-8 make no difference (RFC 9110 section 8.3.1)."""
    assert read(b'{"title":"a"}', content_type).title == "a"


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "*/*",
        "text/plain",
        "text/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "application/problem+json",
        f"{JSON}x",
        f"{JSON};charset=latin-1",
        f"{JSON};charset=utf-16",
        f"{JSON},text/plain",
    ],
)
def test_json_that_does_not_say_so_is_415(content_type: str | None) -> None:
    """A browser's form can send text/plain across origins without asking; it is not read."""
    with pytest.raises(UnsupportedMediaType):
        read(b'{"title":"a"}', content_type)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(SOUP), max_size=20).map(b"".join))
def test_any_bytes_are_a_refusal_at_worst(body: bytes) -> None:
    """Whatever comes in, no other error comes out."""
    with contextlib.suppress(BadRequest, Unprocessable):
        read(body)


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["title", "number", "done", "labels"]),
        st.text() | st.integers() | st.none() | st.dictionaries(st.text(), st.text()),
    )
)
def test_what_is_taken_can_be_kept(value: dict[str, Any]) -> None:
    """No text that was let through holds what PostgreSQL refuses."""
    try:
        body = read(msgspec.json.encode(value))
    except ServiceError:
        return
    for text in (body.title, *body.labels, *body.labels.values()):
        assert "\0" not in text
        text.encode()


@post("/body", dto=StrictBody[Body], return_dto=None, opt={"auth": PUBLIC}, sync_to_thread=False)
def take_body(data: JSONBody[Body]) -> dict[str, str]:
    """A route with a body."""
    return {"title": data.title}


async def send(build: Build, content: bytes, content_type: str | None) -> httpx.Response:
    """One POST."""
    headers = {"Content-Type": content_type} if content_type else {}
    async with client_of(build(take_body)) as client:
        return await client.post("/body", content=content, headers=headers)


@pytest.mark.parametrize(
    ("content", "content_type", "status", "code"),
    [
        (b'{"title":"a"}', JSON, 201, None),
        (b'{"title":5}', JSON, 422, "INVALID_VALUE"),
        (b'{"title":"a","x":1}', JSON, 422, "INVALID_VALUE"),
        (b"{", JSON, 400, "MALFORMED_REQUEST"),
        (b"", JSON, 400, "MALFORMED_REQUEST"),
        (b'{"title":"a"}', "text/plain", 415, "UNSUPPORTED_MEDIA_TYPE"),
        (b'{"title":"a"}', None, 415, "UNSUPPORTED_MEDIA_TYPE"),
        (b'{"title":"' + b"a" * 70_000 + b'"}', JSON, 413, "CONTENT_TOO_LARGE"),
    ],
    ids=["good", "wrong type", "unknown field", "no JSON", "empty", "another type", "no type", "too large"],
)
async def test_route_with_a_body(
    build: Build, content: bytes, content_type: str | None, status: int, code: str | None
) -> None:
    """`dto=StrictBody[Body]` is all that a route says."""
    answer = await send(build, content, content_type)
    assert (answer.status_code, answer.json().get("code")) == (status, code)


async def test_schema_of_a_body_is_the_structs_own(build: Build) -> None:
    """The OpenAPI page shows what the decoder enforces."""
    async with client_of(build(take_body)) as client:
        document = (await client.get("/openapi.json")).json()
    schema = document["components"]["schemas"]["Body"]
    assert schema["required"] == ["title"]
    assert schema["additionalProperties"] is False
    assert (schema["properties"]["title"]["minLength"], schema["properties"]["title"]["maxLength"]) == (1, 10)


def test_framework_rewrites_no_field() -> None:
    """Litestar's own transfer objects have no part in it."""
    assert list(StrictBody.generate_field_definitions(Body)) == []
    assert StrictBody.detect_nested_field(None) is False
