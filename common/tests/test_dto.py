"""What crosses the wire, byte for byte."""

from uuid import UUID

import msgspec

from common.dto import FieldError, Page, Problem, TokenResponse, User

ID = UUID("0198c0f4-0000-7000-8000-000000000001")


def test_user_on_the_wire() -> None:
    """The fields of `/me`, all of them always."""
    user = User(ID, "ann@example.com", is_active=True, is_superuser=False, is_verified=True)
    assert msgspec.json.encode(user).decode() == (
        f'{{"id":"{ID}","email":"ann@example.com","is_active":true,"is_superuser":false,"is_verified":true}}'
    )


def test_token_response_on_the_wire() -> None:
    """RFC 6749 section 5.1."""
    assert msgspec.json.encode(TokenResponse("a.b.c", "bearer", 600, "r")) == (
        b'{"access_token":"a.b.c","token_type":"bearer","expires_in":600,"refresh_token":"r"}'
    )


def test_page_on_the_wire() -> None:
    """The last page says so with null, not by leaving out."""
    assert msgspec.json.encode(Page([1, 2], None)) == b'{"items":[1,2],"next_cursor":null}'


def test_problem_on_the_wire() -> None:
    """What does not apply is left out (RFC 9457 section 3.1)."""
    problem = Problem("about:blank", "Not Found", 404, "there is no such list", "/lists/1", "LIST_NOT_FOUND")
    assert msgspec.json.decode(msgspec.json.encode(problem)) == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "there is no such list",
        "instance": "/lists/1",
        "code": "LIST_NOT_FOUND",
    }
    wrong = msgspec.structs.replace(problem, errors=[FieldError("query.limit", "is no number")])
    assert msgspec.json.decode(msgspec.json.encode(wrong))["errors"] == [
        {"location": "query.limit", "message": "is no number"}
    ]
