"""What the checks need of Markdown: links, headings, fenced blocks, tables."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

FENCE = re.compile(r"^\s*(```+|~~~+)\s*(\w*)")
LINK = re.compile(r"\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)|^\s*\[[^\]]+\]:\s+(\S+)|(?:href|src)=\"([^\"]+)\"")
HEADING = re.compile(r"^#{1,6}\s+(.*?)\s*#*$")
CODE = re.compile(r"`([^`]+)`")

Line = tuple[int, str]


@dataclass(frozen=True)
class Row:
    """One row of a table: where it stands, the heading of its first column, and its first cell."""

    line: int
    heading: str
    first: str

    def code(self) -> list[str]:
        """What the first cell shows as code."""
        return CODE.findall(self.first)


def prose(text: str) -> list[Line]:
    """The numbered lines outside fenced blocks."""
    return [line for language, line in fenced(text) if language is None]


def shell(text: str) -> list[Line]:
    """The numbered lines of blocks that are to be typed."""
    return [line for language, line in fenced(text) if language in {"sh", "bash", "shell", "console"}]


def fenced(text: str) -> Iterator[tuple[str | None, Line]]:
    """Each line with the language of the block it stands in; None outside any."""
    fence, language = "", ""
    for number, line in enumerate(text.splitlines(), start=1):
        mark = FENCE.match(line)
        if mark and not fence:
            fence, language = mark[1], mark[2]
        elif mark and mark[1].startswith(fence):
            fence = ""
        else:
            yield (language if fence else None), (number, line)


def links(text: str) -> list[Line]:
    """Every link's target outside code."""
    found = []
    for number, line in prose(text):
        found += [(number, "".join(groups)) for groups in LINK.findall(CODE.sub("", line))]
    return found


def anchors(text: str) -> set[str]:
    """The anchor of every heading, as GitHub makes it."""
    seen: Counter[str] = Counter()
    found = set(re.findall(r"<a (?:id|name)=\"([^\"]+)\"", text))
    for _, line in prose(text):
        if heading := HEADING.match(line):
            name = (
                re.sub(r"[^\w\- ]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading[1])).lower().replace(" ", "-")
            )
            found.add(f"{name}-{seen[name]}" if seen[name] else name)
            seen[name] += 1
    return found


def table_rows(text: str) -> list[Row]:
    """The body rows of every table."""
    rows: list[Row] = []
    heading: str | None = None
    for number, line in prose(text):
        if not line.lstrip().startswith("|"):
            heading = None
            continue
        first = re.split(r"(?<!\\)\|", line.strip().removeprefix("|"))[0].strip()
        if heading is None:
            heading = first.lower()
        elif not re.fullmatch(r":?-+:?", first):
            rows.append(Row(number, heading, first))
    return rows
