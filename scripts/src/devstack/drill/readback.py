"""Reading back whether everything is there that was promised."""

import httpx
import msgspec
from msgspec import Struct

from common.dto import Page
from devstack.drill.judge import OK
from devstack.drill.sessions import Sessions
from devstack.drill.wire import Wire, reading
from devstack.processes import StackError


class Kept(Struct, frozen=True):
    """What is read of a todo."""

    id: str


async def lost(wire: Wire, sessions: Sessions, written: dict[str, set[str]]) -> int:
    """How many todos were answered with 201 and are not there.

    Raises:
        StackError: the todos cannot be read.

    """
    missing = 0
    for account in sessions.accounts:
        session = await sessions.open(wire, account)
        missing += len(written[account.email] - await _kept(wire, session.token))
    return missing


async def _kept(wire: Wire, token: str) -> set[str]:
    found: set[str] = set()
    cursor: str | None = ""
    while cursor is not None:
        path = httpx.URL("/todos", params={"limit": "100"} | ({"cursor": cursor} if cursor else {}))
        answer = await wire.send(reading(token, str(path)))
        if answer.status != OK:
            raise StackError(f"what was written cannot be read back: the answer was {answer.status or 'none'}")
        page = msgspec.json.decode(answer.body, type=Page[Kept])
        found.update(todo.id for todo in page.items)
        cursor = page.next_cursor
    return found
