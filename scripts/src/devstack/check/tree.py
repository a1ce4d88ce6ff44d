"""The files under check: those git tracks or would track."""

import subprocess
from pathlib import Path

from devstack.locks import members

NOT_OURS = {"__pycache__", "node_modules"}


def files(root: Path) -> list[Path]:
    """Every file that is, or would be, committed; without git, every file outside hidden folders."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=root, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return sorted(path for path in root.rglob("*") if path.is_file() and not is_left_out(path.relative_to(root)))
    found = {root / name.decode() for name in listed.split(b"\0") if name}
    return sorted(path for path in found if path.is_file())


def is_left_out(relative: Path) -> bool:
    """Whether a path lies in a hidden folder (environments, caches, data) or in one of a tool's."""
    return any(part in NOT_OURS or (part.startswith(".") and part != ".ci") for part in relative.parts[:-1])


def python_files(root: Path) -> list[Path]:
    """The Python among them, executables without a suffix too."""
    return [path for path in files(root) if path.suffix == ".py" or is_python_script(path)]


def is_python_script(path: Path) -> bool:
    """Whether a file without a suffix starts as a Python program does."""
    if path.suffix:
        return False
    with path.open("rb") as file:
        first = file.readline(80)
    return first.startswith(b"#!") and b"python3" in first


def text_of(path: Path) -> str:
    """A file's text; nothing if it is not text."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def services(root: Path) -> dict[str, Path]:
    """The folder of each service, by its name."""
    return {name: path.parent for name, path in members(root).items() if name.endswith("-svc")}


def product_sources(root: Path) -> list[Path]:
    """The modules that go into an image: the library's and the services'."""
    folders = [root / "common/src", *(folder / "src" for folder in services(root).values())]
    return sorted(path for folder in folders for path in folder.rglob("*.py"))
