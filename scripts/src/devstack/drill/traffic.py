"""The traffic: what the drill's users do, at a fixed rate whatever the answers are."""

import asyncio
import random
import secrets
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from itertools import cycle
from typing import Any, Final

import msgspec
from redis.exceptions import RedisError

from devstack.drill.judge import CREATED, OK, Answer, Token
from devstack.drill.referee import Referee
from devstack.drill.revocation import Revocation
from devstack.drill.sessions import Sessions, forged, opened
from devstack.drill.stack import Stack
from devstack.drill.wire import Call, Wire, deleting, login, reading, writing

EXPIRED: Final = {"iat": 1, "exp": 601}
RECENT: Final = 20  # of the dead are the ones that may still be believed somewhere
Deed = Callable[[], Coroutine[Any, Any, None]]


class Traffic:
    """Its deeds, in the order of a deck that is shuffled the same way every time."""

    def __init__(self, stack: Stack, wire: Wire, sessions: Sessions, referee: Referee, revocation: Revocation) -> None:
        self._stack = stack
        self._wire = wire
        self._sessions = sessions
        self._referee = referee
        self._revocation = revocation
        self._turn = 0
        # What was promised: the ids of the todos whose creation was answered with 201, by account.
        self.written: dict[str, set[str]] = {account.email: set() for account in sessions.accounts}

    async def run(self, rate: float, ended: asyncio.Event) -> None:
        """Begin `rate` deeds a second until told to end, then wait for those under way."""
        deck = cycle(self._deck())
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            while not ended.is_set():
                self._turn += 1
                await asyncio.sleep(began + self._turn / rate - time.monotonic())
                group.create_task(next(deck)())

    def _deck(self) -> list[Deed]:
        weights: dict[Deed, int] = {
            self._read: 25,
            self._write: 9,
            self._log_in: 5,
            self._log_out: 2,
            self._be_new: 2,
            self._forge: 3,
            self._haunt: 3,
            self._delete: 1,
        }
        deck = [deed for deed, weight in weights.items() for _ in range(weight)]
        random.Random(1).shuffle(deck)  # noqa: S311 - an order, no secret
        return deck

    async def _read(self) -> None:
        """Somebody who works."""
        path = "/todos?limit=20" if self._turn % 3 else "/lists"
        await self._send(reading(next(self._sessions.steady).token, path))

    async def _write(self) -> None:
        """Somebody who is promised something."""
        session = next(self._sessions.steady)
        content = f"drill {secrets.token_hex(8)}"
        answer = await self._send(writing(session.token, session.account.list_id, content))
        if answer.status == CREATED:
            self.written[session.account.email].add(msgspec.json.decode(answer.body)["id"])

    async def _log_in(self) -> None:
        """Somebody comes, through todo-svc, and is not seen yet."""
        account = self._sessions.accounts[self._turn % len(self._sessions.accounts)]
        answer = await self._send(login(account.email, account.password), Token.NONE)
        if answer.status == OK:
            self._sessions.unseen.append(opened(account, answer))

    async def _log_out(self) -> None:
        """Somebody leaves; while nobody could be told, half of them with no process asked at once."""
        session = self._sessions.take()
        if session is None:
            return
        quietly = self._turn % 2 and not self._referee.could_hear(time.monotonic(), time.monotonic())
        death = await (self._revocation.end_quietly(session) if quietly else self._revocation.end(session))
        if death is not None:
            self._sessions.dead.append(death)

    async def _be_new(self) -> None:
        """A session's first request; half of them come when Redis has forgotten the login."""
        if not self._sessions.unseen:
            return
        session = self._sessions.unseen.popleft()
        if self._turn % 2:
            with suppress(RedisError):
                await self._stack.forget(session)
        await self._send(reading(session.token))
        self._sessions.seen.append(session)

    async def _forge(self) -> None:
        """Somebody who does not know the key."""
        claims = EXPIRED if self._turn % 2 else None
        await self._send(reading(forged(next(self._sessions.steady).token, claims=claims)), Token.FORGED)

    async def _haunt(self) -> None:
        """Somebody who has logged out."""
        recent = list(self._sessions.dead)[-RECENT:]
        if not recent:
            return
        death = recent[self._turn % len(recent)]
        call = reading(death.token) if self._turn % 3 else writing(death.token, death.list_id, "of the dead")
        self._referee.see_dead(call, await self._wire.send(call), death)

    async def _delete(self) -> None:
        """Somebody who does what cannot be undone."""
        await self._send(deleting(next(self._sessions.steady).token))

    async def _send(self, call: Call, token: Token = Token.GOOD) -> Answer:
        return self._referee.see(call, await self._wire.send(call), token)
