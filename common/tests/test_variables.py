"""What a struct's variables may be, in words."""

from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta, Struct

from common.values import Secret
from common.variables import Variable, shown, values, variables


class Dial(Struct, frozen=True, kw_only=True):
    """A struct with one of each."""

    speed: Annotated[int, Meta(ge=1, le=9, description="how fast")] = 3
    key: Annotated[Secret, Meta(description="the key")]
    names: list[str] = msgspec.field(default_factory=list)
    mode: Literal["on", "off"] | None = None


def test_variables() -> None:
    """Those that must be set come first; each with its default, its values and its meaning."""
    assert variables(Dial) == [
        Variable("KEY", None, "", "the key"),
        Variable("SPEED", "3", "1 to 9", "how fast"),
        Variable("NAMES", "", "texts, separated by commas", ""),
        Variable("MODE", "", "one of on, off", ""),
    ]


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (bool, "true or false"),
        (int, "a number"),
        (Annotated[int, Meta(ge=60)], "from 60"),
        (Annotated[int, Meta(ge=0, le=5)] | None, "0 to 5"),
        (str, ""),
        (list[Literal["a", "b"]], "one of a, b, separated by commas"),
    ],
)
def test_values(kind: Any, words: str) -> None:
    """As a sentence would go on after "must be"."""
    assert values(kind) == words


@pytest.mark.parametrize(
    ("value", "text"), [(None, ""), (True, "true"), (3, "3"), (["a", "b"], "a,b"), (Secret("geheim"), "***")]
)
def test_shown(value: Any, text: str) -> None:
    """As it would stand in the environment, but for a secret."""
    assert shown(value) == text
