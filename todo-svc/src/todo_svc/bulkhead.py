"""A bulkhead per owner: whose changes wait for each other must not keep the connections that others want."""

import asyncio
from typing import Any, Final
from uuid import UUID

from litestar.types import ASGIApp, Receive, Scope, Send

from common.errors import Unavailable
from common.http.headers import SAFE
from common.http.problems import respond

WRITES: Final = 3  # of one owner's under way at once in a process: PostgreSQL lets them do their work in turn anyhow
PATIENCE: Final = 5.0  # seconds


class Bulkhead:
    """A layer behind the guard; a request that finds no place for `PATIENCE` seconds is 503."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._places: dict[UUID, _Places] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Reads pass, and what is nobody's."""
        user: Any = scope.get("user")
        if user is None or scope.get("method") in SAFE:
            await self.app(scope, receive, send)
            return
        places = self._places.get(user.id) or self._places.setdefault(user.id, _Places())
        places.wanted += 1
        try:
            if await places.has_one():
                try:
                    await self.app(scope, receive, send)
                finally:
                    places.free.release()
            else:
                await respond(
                    scope, send, Unavailable("other changes of this account are under way; try again", retry_after=1)
                )
        finally:
            places.wanted -= 1
            if not places.wanted:
                del self._places[user.id]


class _Places:
    """Those of one owner; `wanted` is how many requests have one or wait."""

    def __init__(self) -> None:
        self.free = asyncio.Semaphore(WRITES)
        self.wanted = 0

    async def has_one(self) -> bool:
        """Take a place, as soon as there is one."""
        if not self.free.locked():
            return await self.free.acquire()
        try:
            async with asyncio.timeout(PATIENCE):
                return await self.free.acquire()
        except TimeoutError:
            return False
