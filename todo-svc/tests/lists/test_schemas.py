"""The bodies of lists: what is taken, what is refused, what is left out of an answer."""

from datetime import UTC, datetime
from uuid import uuid4

import msgspec
import pytest
from msgspec import UNSET

from common.errors import ServiceError
from common.http.strict import decode
from todo_svc.lists.schemas import CreateList, TodoList, UpdateList

JSON = "application/json"


def _new(**fields: object) -> CreateList:
    return decode(msgspec.json.encode(fields), CreateList, content_type=JSON)


@pytest.mark.parametrize(
    "title", ["x", "x" * 200, "😀" * 200, " x ", "قائمة التسوق", "e\u0301", "'; DROP TABLE lists --"]
)
def test_titles_are_taken_as_they_are(title: str) -> None:
    """From 1 to 200 characters of any script, counted as characters and kept unchanged."""
    assert _new(title=title).title == title


@pytest.mark.parametrize(
    "title", ["", " ", "\t\n", "\u3000", "x" * 201, "😀" * 201, None, 5, True, ["x"], {"x": 1}, "\0"]
)
def test_other_titles_are_refused(title: object) -> None:
    """Blank, too long, of another type, or holding what PostgreSQL cannot keep."""
    with pytest.raises(ServiceError) as refusal:
        _new(title=title)
    assert [error.location for error in refusal.value.errors] == ["body.title"]
    assert refusal.value.status == 422


def test_description_may_be_empty_or_missing_and_has_an_end() -> None:
    """Up to 10 000 characters; none at all is null."""
    assert _new(title="x").description is None
    assert _new(title="x", description="").description == ""
    assert len(_new(title="x", description="d" * 10_000).description or "") == 10_000
    with pytest.raises(ServiceError, match="not acceptable"):
        _new(title="x", description="d" * 10_001)


@pytest.mark.parametrize("field", ["id", "owner_id", "version", "created_at", "todos"])
def test_nobody_sets_what_the_service_sets(field: str) -> None:
    """An unknown field is refused, so that no owner, id or version comes from a body."""
    with pytest.raises(ServiceError, match="not acceptable"):
        _new(title="x", **{field: "x"})


def test_a_change_tells_absent_from_null() -> None:
    """What is absent stays; `null` clears the description, and is no title."""
    assert decode(b"{}", UpdateList, content_type=JSON) == UpdateList(title=UNSET, description=UNSET)
    assert decode(b'{"description": null}', UpdateList, content_type=JSON).description is None
    with pytest.raises(ServiceError, match="not acceptable"):
        decode(b'{"title": null}', UpdateList, content_type=JSON)


def test_todos_are_left_out_unless_asked_for() -> None:
    """A list without `include=todos` has neither `todos` nor `todos_next_cursor`, not even as null."""
    now = datetime.now(UTC)
    plain = TodoList(uuid4(), "x", None, now, now, 1)
    names = set(msgspec.to_builtins(plain))
    assert names == {"id", "title", "description", "created_at", "updated_at", "version"}
    nested = msgspec.structs.replace(plain, todos=[], todos_next_cursor=None)
    assert set(msgspec.to_builtins(nested)) - names == {"todos", "todos_next_cursor"}
