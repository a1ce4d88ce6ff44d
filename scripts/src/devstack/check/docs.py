"""Whether what the documents point at is there: linked files and headings, scripts to type."""

import os
import re
from pathlib import Path
from urllib.parse import unquote

from devstack.check import markdown
from devstack.check.tree import files

COMMAND = re.compile(r"(?:^|[\s;|&(])\./scripts/([\w-]+)")
ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:|//")


def links(root: Path) -> list[str]:
    """Every relative link leads to a file, and its anchor to a heading there."""
    return [
        f"{page.relative_to(root)}:{line} {message}"
        for page in pages(root)
        for line, target in markdown.links(page.read_text(encoding="utf-8"))
        if not ELSEWHERE.match(target) and (message := broken(page, target))
    ]


def commands(root: Path) -> list[str]:
    """Every `./scripts/NAME` in a block to be typed is a program."""
    return [
        f"{page.relative_to(root)}:{line} ./scripts/{name} is no program"
        for page in pages(root)
        for line, text in markdown.shell(page.read_text(encoding="utf-8"))
        for name in COMMAND.findall(text)
        if not os.access(root / "scripts" / name, os.X_OK)
    ]


def pages(root: Path) -> list[Path]:
    """The documents."""
    return [path for path in files(root) if path.suffix == ".md"]


def broken(page: Path, target: str) -> str:
    """What is wrong with a link from a page; empty if nothing is."""
    name, _, anchor = unquote(target).partition("#")
    linked = page.parent / name if name else page
    if not linked.exists():
        return f"links to {name}, which is not there"
    if anchor and linked.suffix == ".md" and anchor not in markdown.anchors(linked.read_text(encoding="utf-8")):
        return f"links to #{anchor}, and {linked.name} has no such heading"
    return ""
