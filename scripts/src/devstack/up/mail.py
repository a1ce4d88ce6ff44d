"""The links of the mails that user-svc writes to its folder, shown as they come."""

import asyncio
import email
import re
from collections.abc import Iterable
from email.policy import default
from pathlib import Path
from typing import NamedTuple

from devstack.up.report import say

POLL = 0.5  # seconds
SHOWN = 3  # mails of before


class Letter(NamedTuple):
    """What is worth a line of a mail."""

    to: str
    subject: str
    link: str

    def __str__(self) -> str:
        return f"mail   {self.to}: {self.subject}\n       {self.link}"


async def tell(folder: Path | None) -> None:
    """Show the newest mails there are, and every one that comes, for ever."""
    known = _files(folder)
    _show(known[-SHOWN:])
    while True:
        await asyncio.sleep(POLL)
        files = _files(folder)
        _show(file for file in files if file not in known)
        known = files


def _files(folder: Path | None) -> list[Path]:
    """The oldest first: their names begin with the time."""
    return sorted(folder.glob("*.eml")) if folder else []


def _show(files: Iterable[Path]) -> None:
    for file in files:
        if letter := read(file):
            say(str(letter))


def read(file: Path) -> Letter | None:
    """A mail's link; None where it is gone already, or has none."""
    try:
        message = email.message_from_bytes(file.read_bytes(), policy=default)
    except OSError:
        return None
    body = message.get_body(("plain",))
    link = re.search(r"https?://\S+", str(body.get_content())) if body else None
    return Letter(str(message["To"]), str(message["Subject"]), link[0]) if link else None
