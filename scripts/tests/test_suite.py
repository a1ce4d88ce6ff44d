"""What `./scripts/test` adds to pytest: paths from where the user stands, and the coverage gate."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO, cast

import pytest
from coverage import Coverage

from devstack import suite


class FakeCoverage:
    """Coverage of a given percentage with a gate of 95."""

    def __init__(self, percentage: float) -> None:
        self.percentage = percentage

    def combine(self) -> None:
        """Nothing to combine."""

    def report(self, file: TextIO) -> float:
        """Write a table that names what was missed."""
        file.write("guard.py 12-14")
        return self.percentage

    def get_option(self, _name: str) -> int:
        """The gate."""
        return 95


@pytest.fixture
def handed_on(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What pytest is called with."""
    calls: list[list[str]] = []

    def main(words: list[str]) -> int:
        calls.append(words)
        return 5

    monkeypatch.setattr(pytest, "main", main)
    return calls


def test_options_go_to_pytest(handed_on: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With arguments pytest alone decides; a path is meant from the user's folder, other words are left."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "test_a.py").touch()
    assert suite.main(["-k", "guard", "test_a.py::test_x"]) == 5
    assert handed_on == [["-k", "guard", f"{tmp_path}/test_a.py::test_x"]]
    assert Path.cwd() == suite.ROOT


@pytest.mark.parametrize(("words", "measured"), [([], False), (["--coverage"], True)])
def test_everything_is_run(monkeypatch: pytest.MonkeyPatch, words: list[str], *, measured: bool) -> None:
    """Every test in two parts, measured or not; a part that fails does not keep the other from running."""
    chosen: list[str] = []

    def run(marks: str, _workers: int) -> int:
        chosen.append(marks)
        return int(marks != suite.UNMEASURED)

    @contextmanager
    def measuring() -> Iterator[None]:
        chosen.append("measured")
        yield

    monkeypatch.setattr(suite, "side_by_side", run)
    monkeypatch.setattr(suite, "measuring", measuring)
    monkeypatch.setattr(suite, "gate", lambda _coverage: pytest.fail("there is no gate behind a failure"))
    assert suite.main(words) == 1
    assert chosen == ["measured"] * measured + [f"not ({suite.UNMEASURED})", suite.UNMEASURED]


def test_words_at_the_root_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the project's folder `-k common` names no path, though there is such a folder."""
    monkeypatch.chdir(suite.ROOT)
    assert suite.absolute("common") == "common"


@pytest.mark.parametrize(("covered", "code"), [(95.0, 0), (94.9, 1)])
def test_gate(covered: float, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Enough coverage is one line; too little fails and shows where."""
    assert suite.gate(cast("Coverage", FakeCoverage(covered))) == code
    out = capsys.readouterr().out
    assert out.splitlines()[-1] == f"coverage: {covered} % (95 % are needed)"
    assert ("guard.py 12-14" in out) is bool(code)
