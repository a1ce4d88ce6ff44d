"""The bodies of todos: exact types, lengths in characters, times with a zone, ranks."""

import msgspec
import pytest
from msgspec import UNSET

from common.errors import ServiceError
from common.http.strict import decode
from todo_svc.todos.schemas import RANKS, CreateTodo, Priority, UpdateTodo

JSON = "application/json"


def _created(body: bytes) -> CreateTodo:
    return decode(body, CreateTodo, content_type=JSON)


def _changed(body: str) -> UpdateTodo:
    return decode(body.encode(), UpdateTodo, content_type=JSON)


def _content(text: object) -> bytes:
    return msgspec.json.encode({"content": text})


@pytest.mark.parametrize("text", ["x", "x" * 1000, "👩‍👩‍👧" * 200, "שלום עולם", "Z̤͔a̘l͜g̺o̸", "<script>", "a\u202eb"])
def test_content_is_taken_as_it_is(text: str) -> None:
    """From 1 to 1000 characters of any script, direction and composition."""
    assert _created(_content(text)).content == text


@pytest.mark.parametrize("text", ["", " \t ", "x" * 1001, "😀" * 1001, None, 1, False, [], "a\0b"])
def test_other_contents_are_refused(text: object) -> None:
    """Blank, too long, another type, or a NUL: 422 that names the place."""
    with pytest.raises(ServiceError) as refusal:
        _created(_content(text))
    assert [error.location for error in refusal.value.errors] == ["body.content"]


@pytest.mark.parametrize(
    "body", [b'{"content": "\\ud800"}', b'{"content": "\\udc00\\ud800"}', b'{"content": "\xed\xa0\x80"}']
)
def test_lone_surrogates_are_no_json(body: bytes) -> None:
    """Half a character is refused before it reaches the database."""
    with pytest.raises(ServiceError) as refusal:
        _created(body)
    assert refusal.value.status == 400


def test_defaults_of_a_new_todo() -> None:
    """Medium, without a description and without a due time."""
    assert _created(_content("x")) == CreateTodo("x", Priority.MEDIUM, None, None)


@pytest.mark.parametrize("when", ["2030-01-01T00:00:00Z", "2030-01-01T01:00:00+01:00", "2029-12-31T10:00:00-14:00"])
def test_due_times_with_any_zone_are_one_moment(when: str) -> None:
    """RFC 3339 with a zone; all three are the same instant."""
    due_at = _created(msgspec.json.encode({"content": "x", "due_at": when})).due_at
    assert due_at is not None
    assert due_at.timestamp() == 1893456000


@pytest.mark.parametrize(
    "when",
    [
        "2030-01-01T00:00:00",
        "2016-12-31T23:59:60Z",
        "2030-02-30T00:00:00Z",
        "2030-01-01",
        "tomorrow",
        "",
        0,
        1893456000,
        True,
        ["2030-01-01T00:00:00Z"],
    ],
)
def test_other_due_times_are_refused(when: object) -> None:
    """No zone, a leap second, a day that never was, a date alone, a number: 422."""
    with pytest.raises(ServiceError) as refusal:
        _created(msgspec.json.encode({"content": "x", "due_at": when}))
    assert [error.location for error in refusal.value.errors] == ["body.due_at"]


@pytest.mark.parametrize(
    "text", ["NaN", "Infinity", "-Infinity", "1e400", "-1e400", "1e16", "true", '"5"', "null", "[1]"]
)
def test_a_position_is_a_finite_number(text: str) -> None:
    """Neither what JSON does not know, nor what no float holds, nor a boolean or a string."""
    with pytest.raises(ServiceError):
        _changed(f'{{"position": {text}}}')


@pytest.mark.parametrize("text", ["0", "-0.0", "5e-324", "1e15", "-1e15", "1536.5"])
def test_any_position_within_reason(text: str) -> None:
    """Whole or not, of either sign."""
    assert _changed(f'{{"position": {text}}}').position == float(text)


@pytest.mark.parametrize("text", ["0", "1", '"true"', "null", "[]"])
def test_completed_is_a_boolean(text: str) -> None:
    """`0` and `1` are numbers."""
    with pytest.raises(ServiceError):
        _changed(f'{{"completed": {text}}}')


@pytest.mark.parametrize("field", ["content", "priority", "completed", "list_id", "position"])
def test_null_clears_only_what_may_be_empty(field: str) -> None:
    """Everything but `description` and `due_at` always has a value."""
    with pytest.raises(ServiceError):
        _changed(f'{{"{field}": null}}')


def test_a_change_tells_absent_from_null() -> None:
    """What is absent stays unset, what is null is None."""
    assert _changed("{}") == UpdateTodo()
    change = _changed('{"description": null, "due_at": null}')
    assert (change.description, change.due_at, change.content) == (None, None, UNSET)


def test_priorities_have_ranks() -> None:
    """Low before medium before high, which no alphabet knows."""
    assert [priority.rank for priority in (Priority.LOW, Priority.MEDIUM, Priority.HIGH)] == [1, 2, 3]
    assert RANKS == (Priority.LOW, Priority.MEDIUM, Priority.HIGH)
