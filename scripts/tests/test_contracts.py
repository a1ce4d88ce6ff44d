"""What crosses between the services is recorded, and may only grow."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import Struct, defstruct

from devstack import contracts
from devstack.check.contracts import unbroken
from devstack.contracts import crossings, difference
from devstack.contracts.crossings import CROSSINGS, Crossing, present
from devstack.places import ROOT
from devstack.processes import StackError

RECORDED = contracts.recorded(ROOT)
FIELDS: list[tuple[str, Any]] = [("id", int), ("title", str), ("note", str | None)]
OPTIONAL: list[Any] = [*FIELDS, ("color", str, "red")]


def found(old: list[Any], new: list[Any], **options: Any) -> list[str]:
    """What is said of a message whose fields change so."""
    before, after = (crossings.schema(defstruct("Message", fields, **options)) for fields in (old, new))
    return list(difference.compare(before, after, ""))


@pytest.mark.parametrize("version", range(len(RECORDED)))
@pytest.mark.parametrize("crossing", CROSSINGS, ids=lambda crossing: crossing.name)
def test_what_was_written_is_still_understood(version: int, crossing: Crossing) -> None:
    """By the types of today, from every version that was recorded."""
    example = msgspec.json.encode(RECORDED[version][crossing.name]["example"])
    assert isinstance(msgspec.json.decode(example, type=crossing.type), Struct)


@pytest.mark.parametrize("crossing", CROSSINGS, ids=lambda crossing: crossing.name)
def test_examples_are_what_is_written_today(crossing: Crossing) -> None:
    """Field by field."""
    message = msgspec.convert(crossing.example, crossing.type)
    assert msgspec.to_builtins(message) == crossing.example


def test_the_tree_keeps_its_contract() -> None:
    """The last version that was recorded, all of it."""
    assert unbroken(ROOT) == []
    assert RECORDED[-1].keys() <= present().keys()


@pytest.mark.parametrize("options", [{}, {"array_like": True}], ids=["object", "array"])
@pytest.mark.parametrize(
    ("new", "says"),
    [
        (FIELDS[1:], 'field "id" was removed'),
        ([("number", int), *FIELDS[1:]], 'field "id" was removed, renamed|field "id" was removed or renamed'),
        ([("id", str), *FIELDS[1:]], 'field "id" was integer and is string'),
        ([*FIELDS[:2], ("note", str)], 'field "note" was string or null and is string'),
        ([("id", int | None), *FIELDS[1:]], 'field "id" was integer and is integer or null'),
        ([*FIELDS, ("color", str)], 'field "color" is required now'),
    ],
)
def test_what_breaks(new: list[Any], says: str, options: dict[str, Any]) -> None:
    """Is found, and the field is named."""
    lines = "\n".join(found(FIELDS, new, **options))
    assert any(words in lines for words in says.split("|")), lines


@pytest.mark.parametrize("options", [{}, {"array_like": True}], ids=["object", "array"])
def test_what_does_not_break(options: dict[str, Any]) -> None:
    """A field more that may be left out."""
    assert found(FIELDS, OPTIONAL, **options) == []
    assert found(OPTIONAL, FIELDS, **options) != []
    assert found(OPTIONAL, [*FIELDS, ("color", str)], **options) != []


def test_an_array_is_known_by_its_places() -> None:
    """Where an object may be written in any order."""
    turned = [FIELDS[1], FIELDS[0], FIELDS[2]]
    assert found(FIELDS, turned) == []
    assert found(FIELDS, turned, array_like=True) != []


def test_it_looks_inside() -> None:
    """Of lists and of what may be null."""
    inner, thinner = defstruct("Inner", FIELDS), defstruct("Inner", FIELDS[1:])
    assert 'field "items[].id"' in found([("items", list[inner])], [("items", list[thinner])])[0]  # type: ignore[valid-type]
    assert 'field "item.id"' in found([("item", inner | None)], [("item", thinner | None)])[0]


def test_the_line_says_whose_side_it_hurts() -> None:
    """The message, who writes it and who reads it; one that is gone too."""
    old = {"GET /me": {"writer": "user-svc", "reader": "todo-svc", "schema": {"type": "string"}}}
    (line,) = difference.breaks(old, {"GET /me": {"schema": {"type": "integer"}}})
    assert line.startswith("GET /me (user-svc → todo-svc): it was string and is integer")
    assert difference.breaks(old, {}) == ["GET /me: is gone; todo-svc still reads it"]


class TestRecording:
    """`./scripts/contracts`, in a tree of its own."""

    @pytest.fixture(autouse=True)
    def root(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """A tree without a recorded contract."""
        (tmp_path / "common").mkdir()
        monkeypatch.setattr(contracts, "ROOT", tmp_path)
        return tmp_path

    def test_versions(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The first, the same again, and a second that grew."""
        assert unbroken(root) == ["common/contracts holds no recorded contract"]
        assert contracts.main([]) == contracts.main([]) == 0
        assert contracts.recorded(root) == [present()]
        grown = present() | {"GET /new": present()["GET /me"]}
        monkeypatch.setattr(contracts, "present", lambda: grown)
        assert contracts.main([]) == 0
        assert contracts.recorded(root) == [present(), grown]

    def test_a_break_is_refused(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Unless it is meant."""
        contracts.main([])
        monkeypatch.setattr(contracts, "present", dict)
        with pytest.raises(StackError, match="GET /me: is gone"):
            contracts.main([])
        assert contracts.main(["--breaking"]) == 0
        assert contracts.recorded(root) == [present(), {}]
