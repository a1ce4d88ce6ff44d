"""The checks that are tools of the field: ruff, mypy, import-linter."""

import os
import subprocess
import sys
from pathlib import Path

from devstack.check.tree import files, is_python_script
from devstack.locks import members


def lint(root: Path) -> list[str]:
    """Ruff's rules."""
    return output_if_failed(root, "ruff", "check", "--quiet", "--output-format=concise", ".", *executables(root))


def formatting(root: Path) -> list[str]:
    """Ruff's formatter."""
    return output_if_failed(
        root, "ruff", "format", "--check", "--quiet", "--output-format=concise", ".", *executables(root)
    )


def imports(root: Path) -> list[str]:
    """Who may import whom: the contracts of the root pyproject."""
    return output_if_failed(root, "lint-imports", "--config", "pyproject.toml")


def types(root: Path) -> list[str]:
    """Mypy, strict: all sources together, then each package's tests, whose modules share names with others'."""
    folders = [path.parent for path in members(root).values()]
    sources = [str(folder / "src") for folder in folders]
    found = output_if_failed(root, "mypy", *sources, "scripts/bootstrap.py")
    for folder in folders:
        if (folder / "tests").is_dir():
            found += output_if_failed(root, "mypy", str(folder / "tests"), MYPYPATH=str(folder))
    return found


def executables(root: Path) -> list[str]:
    """The Python programs without a suffix, which ruff would pass over."""
    return [str(path.relative_to(root)) for path in files(root) if is_python_script(path)]


def output_if_failed(root: Path, tool: str, *words: str, **variables: str) -> list[str]:
    """Run one of the environment's tools; what it says if it fails."""
    command = [str(Path(sys.executable).with_name(tool)), *words]
    environment = {**os.environ, **variables}
    result = subprocess.run(
        command, cwd=root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    return result.stdout.decode(errors="replace").splitlines() if result.returncode else []
