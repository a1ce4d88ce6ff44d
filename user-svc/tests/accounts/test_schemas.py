"""The body of a registration, field by field."""

from typing import Any

import msgspec
import pytest

from user_svc.accounts.schemas import Registration

GOOD: dict[str, Any] = {"email": "ann@example.com", "password": "correct horse"}

REFUSED: dict[str, Any] = {
    "no e-mail": {"password": "correct horse"},
    "no password": {"email": "ann@example.com"},
    "a flag": GOOD | {"is_superuser": True},
    "an id": GOOD | {"id": "01a20c67-5a49-710a-8628-2d167f1c0bcf"},
    "a number for a password": GOOD | {"password": 12345678},
    "null": GOOD | {"email": None},
    "two characters": GOOD | {"email": "a@"},
    "321 characters": GOOD | {"email": "a" * 321},
    "a list": [GOOD],
}


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED)
def test_any_other_shape_is_refused(body: Any) -> None:
    """Both fields, texts, and nothing besides: nobody gives himself a flag."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(msgspec.json.encode(body), type=Registration)
