"""The OpenAPI document: valid, guarded unless open, and saying what is done."""

import json
import re
from collections.abc import Callable
from typing import Annotated, Any

import msgspec
import pytest
from litestar import Litestar, get, patch, post
from litestar.params import FromPath, FromQuery, JSONBody

from common.auth import PUBLIC
from common.docs.forms import LoginOperation
from common.docs.responses import BODY, problems
from common.dto import Page
from common.http.etag import TAGGED
from common.http.idempotency import KEYED
from common.http.problems import MEDIA_TYPE
from common.http.strict import StrictBody
from common.testing import client_of

Build = Callable[..., Litestar]


class Body(msgspec.Struct, forbid_unknown_fields=True):
    """A body."""

    title: str


class Change(msgspec.Struct, kw_only=True):
    """A body whose fields may all be left out."""

    number: Annotated[int, msgspec.Meta(ge=1)] | msgspec.UnsetType = msgspec.UNSET
    note: str | msgspec.UnsetType | None = msgspec.UNSET


class Numbered(msgspec.Struct):
    """An item of a page."""

    number: int


@get("/numbers", sync_to_thread=False)
def get_numbers() -> Page[Numbered]:
    """A page of numbers."""
    return Page([Numbered(1)], None)


@patch("/numbers", dto=StrictBody[Change], return_dto=None, responses=problems(401, *BODY), sync_to_thread=False)
def change_numbers(data: JSONBody[Change]) -> Page[Numbered]:
    """Another one."""
    return Page([Numbered(data.number or 0)], None)


@get("/lists/{number:int}", responses=problems(401, 422), sync_to_thread=False)
def get_list(number: FromPath[int], limit: FromQuery[int] = 1) -> dict[str, int]:
    """One list."""
    return {"number": number, "limit": limit}


@post(
    "/lists",
    dto=StrictBody[Body],
    return_dto=None,
    opt=KEYED | TAGGED,
    responses=problems(401, *BODY),
    sync_to_thread=False,
)
def create_list(data: JSONBody[Body]) -> dict[str, str]:
    """Make a list."""
    return {"title": data.title}


@get(["/me", "/users/me"], sync_to_thread=False)
def me() -> None:
    """Two paths of one handler."""


@post(
    "/auth/jwt/login",
    opt={"auth": PUBLIC},
    security=[],
    operation_class=LoginOperation,
    responses=problems(400),
    sync_to_thread=False,
)
def login() -> None:
    """Log in."""


@pytest.fixture
async def document(build: Build) -> Any:
    """The document of a service with these routes."""
    async with client_of(build(get_list, create_list, get_numbers, change_numbers, me, login)) as client:
        answer = await client.get("/openapi.json")
    assert answer.headers["Content-Type"].startswith("application/json")
    return answer.json()


def test_document_introduces_the_service(document: Any) -> None:
    """OpenAPI 3.1, with the service's name and version."""
    assert document["openapi"].startswith("3.1")
    assert document["info"]["title"] == "Gatehouse svc-common"
    assert document["info"]["version"]


def test_names_are_sayable(document: Any) -> None:
    """A generator makes a class of each: letters alone, and every reference leads to one."""
    schemas = document["components"]["schemas"]
    assert "NumberedPage" in schemas
    assert all(name.isalpha() and schema["title"] == name for name, schema in schemas.items())
    assert set(re.findall(r'"#/components/schemas/([^"]*)"', json.dumps(document))) <= schemas.keys()


def test_no_choice_of_one(document: Any) -> None:
    """What may be left out is no union: a generator would make one."""
    change = document["components"]["schemas"]["Change"]["properties"]
    assert change["number"] == {"type": "integer", "minimum": 1}
    assert change["note"] == {"oneOf": [{"type": "string"}, {"type": "null"}]}


def test_guarded_is_the_default(document: Any) -> None:
    """What is not opened shows the lock; what is open shows none."""
    assert document["security"] == [{"OAuth2": []}]
    assert "security" not in document["paths"]["/lists/{number}"]["get"]
    assert document["paths"]["/auth/jwt/login"]["post"]["security"] == []
    assert document["paths"]["/health/live"]["get"]["security"] == []


def test_a_guarded_answer_says_who_vouched(document: Any) -> None:
    """And a refusal how to come back; an open route says neither."""
    paths = document["paths"]
    responses = paths["/lists"]["post"]["responses"]
    vouched = responses["201"]["headers"]
    assert vouched["X-Auth-Source"]["schema"]["enum"] == ["memory", "redis", "user-svc", "proof", "blind"]
    assert vouched["X-Auth-Age"]["schema"]["type"] == "integer"
    assert set(responses["401"]["headers"]) == {"WWW-Authenticate"}
    assert "X-Auth-Source" not in json.dumps(paths["/auth/jwt/login"])


def test_what_is_made_has_a_tag(document: Any) -> None:
    """Where the route says so."""
    assert "ETag" in document["paths"]["/lists"]["post"]["responses"]["201"]["headers"]
    assert "ETag" not in json.dumps(document["paths"]["/numbers"])


def test_operations_have_names_of_their_own(document: Any) -> None:
    """A generated client's methods are called after the handlers."""
    names = [operation["operationId"] for path in document["paths"].values() for operation in path.values()]
    assert len(names) == len(set(names))
    assert {"get_list", "create_list", "login"} <= set(names)


def test_docstrings_are_the_descriptions(document: Any) -> None:
    """Said once, in the code."""
    assert document["paths"]["/lists"]["post"]["description"] == "Make a list."


def test_errors_are_problems(document: Any) -> None:
    """Each with the one media type and the one schema; 500 and 503 can come of any route."""
    responses = document["paths"]["/lists"]["post"]["responses"]
    assert set(responses) == {"201", "400", "401", "409", "413", "415", "422", "500", "503"}
    for status in set(responses) - {"201"}:
        assert list(responses[status]["content"]) == [MEDIA_TYPE]
        assert responses[status]["content"][MEDIA_TYPE]["schema"] == {"$ref": "#/components/schemas/Problem"}
        assert responses[status]["description"]


def test_a_route_that_takes_a_key_says_so(document: Any) -> None:
    """The header, the refusal that may pass, and the mark on an answer given again; other routes say nothing of it."""
    operation = document["paths"]["/lists"]["post"]
    assert [(parameter["name"], parameter["required"]) for parameter in operation["parameters"]] == [
        ("Idempotency-Key", False)
    ]
    assert set(operation["responses"]["409"]["headers"]) == {"Retry-After"}
    assert "Idempotency-Replayed" in operation["responses"]["201"]["headers"]
    assert [parameter["name"] for parameter in document["paths"]["/lists/{number}"]["get"]["parameters"]] == [
        "number",
        "limit",
    ]


def test_wrong_parameter_is_422_and_not_400(document: Any) -> None:
    """The 400 that Litestar writes beside every parameter is never given."""
    assert set(document["paths"]["/lists/{number}"]["get"]["responses"]) == {"200", "401", "422", "500", "503"}


def test_bodies_are_closed(document: Any) -> None:
    """As they are read: no field that is not known."""
    assert document["components"]["schemas"]["Body"]["additionalProperties"] is False
    assert document["components"]["schemas"]["Problem"].get("additionalProperties") is not False


def test_login_is_a_form(document: Any) -> None:
    """RFC 6749 section 4.3.2: what the page's Authorize sends."""
    body = document["paths"]["/auth/jwt/login"]["post"]["requestBody"]
    schema = body["content"]["application/x-www-form-urlencoded"]["schema"]
    assert body["required"] is True
    assert (schema["required"], set(schema["properties"])) == (
        ["username", "password"],
        {"grant_type", "username", "password", "scope"},
    )


def test_own_pages_are_not_described(document: Any) -> None:
    """They are no interface."""
    assert set(document["paths"]) == {
        "/lists/{number}",
        "/lists",
        "/numbers",
        "/me",
        "/users/me",
        "/auth/jwt/login",
        "/health/live",
        "/health/ready",
    }


@pytest.mark.parametrize(
    ("statuses", "expected"), [((), [500, 503]), ((422, 401), [401, 422, 500, 503]), ((503, 418), [418, 500, 503])]
)
def test_problem_answers(statuses: tuple[int, ...], expected: list[int]) -> None:
    """The given ones and the two that any route can give, in order; an unusual one is described by its phrase."""
    answers = problems(*statuses)
    assert list(answers) == expected
    assert all(spec.description and spec.media_type == MEDIA_TYPE for spec in answers.values())
