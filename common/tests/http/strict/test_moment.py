"""Times in a query: with a zone, within what every part of the system can hold, and in UTC."""

from datetime import UTC, datetime

import pytest

from common.errors import Unprocessable
from common.http.strict import moment


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-01T12:00:00+02:00", datetime(2026, 1, 1, 10, tzinfo=UTC)),
        ("1900-01-01T00:00:00Z", datetime(1900, 1, 1, tzinfo=UTC)),
        ("9998-12-31T23:59:59.999999Z", datetime(9998, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)),
    ],
)
def test_time_is_taken_in_utc(text: str, expected: datetime) -> None:
    """Whatever zone it came in."""
    taken = moment(text, "query.due_after")
    assert (taken, taken.tzinfo) == (expected, UTC)


@pytest.mark.parametrize(
    "text",
    [
        "1899-12-31T23:59:59Z",
        "9999-01-01T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-23:59",
        "2026-01-01T00:00:00",
        "2026-01-01",
        "0",
        "1767225600",
        "now",
        "",
        "2026-01-01T00:00:00Z\0",
    ],
)
def test_time_that_somebody_cannot_hold_is_refused(text: str) -> None:
    """PostgreSQL, Python and JavaScript do not agree on the far ends; a time without a zone is none."""
    with pytest.raises(Unprocessable) as caught:
        moment(text, "query.due_after")
    assert [error.location for error in caught.value.errors] == ["query.due_after"]
