"""Entity tags: read as RFC 9110 has them, and told to the client with each answer."""

from collections.abc import Callable
from uuid import UUID

import httpx
import pytest
from litestar import Litestar, Response, get, put
from litestar.di import NamedDependency

from common.auth import PUBLIC
from common.errors import PreconditionFailed
from common.http.etag import (
    IF_MATCH,
    IF_NONE_MATCH,
    Tags,
    not_modified,
    page_tag,
    parse,
    require,
    tagged,
    version_tag,
)
from common.testing import client_of

Build = Callable[..., Litestar]

ANN, BOB = UUID(int=0xA1), UUID(int=0xB0B)
BROKEN = ["", ",", "7", '"7', '7"', '"7" x', '*, "7"', '"7", *', 'w/"7"', "**", 'W/ "7"', '"7";"8"', '"\t"', "\xff\0"]


@get("/thing", opt={"auth": PUBLIC}, dependencies=IF_NONE_MATCH)
async def read_thing(if_none_match: NamedDependency[Tags | None]) -> Response[dict[str, int]]:
    """Version 7 of it."""
    if if_none_match is not None and if_none_match.match_weakly(version_tag(7)):
        return not_modified(version_tag(7))
    return tagged({"version": 7}, version_tag(7))


@put("/thing", opt={"auth": PUBLIC}, dependencies=IF_MATCH)
async def write_thing(if_match: NamedDependency[Tags | None]) -> Response[dict[str, int]]:
    """Make version 8 of it."""
    require(if_match, version_tag(7), {"version": 7})
    return tagged({"version": 8}, version_tag(8))


async def ask(build: Build, method: str, *headers: tuple[str, str]) -> httpx.Response:
    """One request with these header lines."""
    async with client_of(build(read_thing, write_thing)) as client:
        return await client.request(method, "/thing", headers=list(headers))


@pytest.mark.parametrize(
    ("field", "strongly", "weakly"),
    [
        ('"7"', True, True),
        ('W/"7"', False, True),
        ('"6" , "7"', True, True),
        (', "6",,W/"7" ,', False, True),
        (" * ", True, True),
        ('"6"', False, False),
        ('"07"', False, False),
        ('""', False, False),
        ('"a,b", "7"', True, True),
        ('"é", "7"', True, True),
        *((field, False, False) for field in BROKEN),
    ],
)
def test_comparison(field: str, *, strongly: bool, weakly: bool) -> None:
    """Strong for `If-Match`, weak for `If-None-Match` (section 8.8.3.2); what cannot be read names nothing."""
    tags = parse(field)
    assert (tags.match('"7"'), tags.match_weakly('"7"')) == (strongly, weakly)


def test_a_comma_may_stand_in_a_tag() -> None:
    """Section 8.8.3: it is an ordinary character there."""
    assert parse('"a,b","c"').tags == {'"a,b"', '"c"'}


def test_clocks_of_page_tags() -> None:
    """Those of today's representation, weak or not, and no number that PostgreSQL has not."""
    good = f"{page_tag(ANN, 12)}, W/{page_tag(ANN, 0)}"
    bad = [page_tag(ANN, 12).replace("p12-1", other) for other in ("p13-0", "p14", "p015-1", f"p{10**18}-1", "p-1-1")]
    assert sorted(parse(", ".join(['"7"', good, *bad, '"p16-1"'])).clocks(ANN)) == [0, 12]


def test_a_page_tag_is_its_owners() -> None:
    """What one caller was given says nothing of another's page, though their clocks show the same."""
    assert page_tag(ANN, 1) != page_tag(BOB, 1)
    assert parse(page_tag(ANN, 1)).clocks(BOB) == []


def test_a_setting_in_a_page_tag() -> None:
    """A page in which it shows is another one where it is another, and no page without it."""
    tags = parse(f"{page_tag(ANN, 1)}, {page_tag(ANN, 2, 7)}, {page_tag(ANN, 3, 30)}")
    assert [tags.clocks(ANN, setting) for setting in (None, 7, 30, 8)] == [[1], [2], [3], []]


async def test_an_answer_has_its_tag(build: Build) -> None:
    """It can be sent back as it is."""
    answer = await ask(build, "GET")
    assert (answer.status_code, answer.headers["ETag"], answer.json()) == (200, '"7"', {"version": 7})


@pytest.mark.parametrize("field", ['"7"', 'W/"7"', "*", '"1", "7"'])
async def test_not_modified(build: Build, field: str) -> None:
    """304: the tag, no content, and no word of a content's type."""
    answer = await ask(build, "GET", ("If-None-Match", field))
    assert (answer.status_code, answer.headers["ETag"], answer.content) == (304, '"7"', b"")
    assert not answer.headers.keys() & {"content-type", "content-length"}


async def test_failed_precondition(build: Build) -> None:
    """412 with the tag that the object has, in the header and in the problem."""
    answer = await ask(build, "PUT", ("If-Match", '"6"'))
    assert (answer.status_code, answer.headers["ETag"]) == (412, '"7"')
    assert (answer.json()["code"], answer.json()["current"]) == ("PRECONDITION_FAILED", {"version": 7})


@pytest.mark.parametrize("field", BROKEN)
async def test_what_cannot_be_read(build: Build, field: str) -> None:
    """A change that was meant to be careful is not made; a reading is whole."""
    lines = [(name, field.encode("latin-1")) for name in (b"If-Match", b"If-None-Match")]
    async with client_of(build(read_thing, write_thing)) as client:
        assert (await client.put("/thing", headers=lines[:1])).status_code == 412
        assert (await client.get("/thing", headers=lines[1:])).status_code == 200


@pytest.mark.parametrize(
    ("field", "versions"),
    [('"7"', [7]), ('"7", W/"8", "p9-1", "x", "007", "0", "12345678901"', [7]), ("*", None), ("7", []), ("", [])],
)
def test_versions_of_an_item(field: str, versions: list[int] | None) -> None:
    """What the WHERE of a change compares: only what is the strong tag of an item, and fits its column."""
    assert parse(field).versions == versions


async def test_lines_are_one_list(build: Build) -> None:
    """Section 5.3: a list may come in several lines."""
    lines = [(name, tag) for name in ("If-Match", "If-None-Match") for tag in ('"6"', '"7"')]
    assert (await ask(build, "PUT", *lines)).json() == {"version": 8}
    assert (await ask(build, "GET", *lines)).status_code == 304


async def test_no_condition(build: Build) -> None:
    """Who names no tag is held back by none."""
    assert (await ask(build, "PUT")).headers["ETag"] == '"8"'
    require(None, '"7"')
    with pytest.raises(PreconditionFailed):
        require(parse(""), '"7"')


def test_conditions_are_documented(build: Build) -> None:
    """OpenAPI names both headers, as optional."""
    path = build(read_thing, write_thing).openapi_schema.to_schema()["paths"]["/thing"]
    told = [parameter for method in ("get", "put") for parameter in path[method]["parameters"]]
    assert [(each["name"], each["in"], each["required"]) for each in told] == [
        ("If-None-Match", "header", False),
        ("If-Match", "header", False),
    ]
