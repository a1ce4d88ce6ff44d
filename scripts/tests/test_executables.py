"""The executables in `scripts/`: what a person types, before anything is installed."""

import ast
import stat
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[1]
EXECUTABLES = sorted(path for path in SCRIPTS.iterdir() if path.is_file() and not path.suffix)


@pytest.mark.parametrize("script", EXECUTABLES, ids=lambda path: path.name)
def test_executables_are_thin(script: Path) -> None:
    """Each script is executable, under 15 lines, and needs the standard library and the bootstrap alone."""
    source = script.read_text()
    assert source.startswith("#!/usr/bin/env python3\n")
    assert stat.S_IMODE(script.stat().st_mode) & 0o111 == 0o111
    assert len(source.splitlines()) < 15
    assert imported_by(source) <= sys.stdlib_module_names | {"bootstrap"}


def test_bootstrap_is_standard_library() -> None:
    """It runs before anything is installed."""
    assert imported_by((SCRIPTS / "bootstrap.py").read_text()) <= sys.stdlib_module_names


def imported_by(source: str) -> set[str]:
    """The top-level modules that a program imports."""
    nodes = list(ast.walk(ast.parse(source)))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    named = {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    return {name.partition(".")[0] for name in plain | named}
