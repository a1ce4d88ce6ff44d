"""Revocation: a session that all processes hold in memory is ended, and each is asked until it refuses."""

import asyncio
import time
from typing import Final

from devstack.drill.judge import NO_CONTENT, REFUSED, Answer
from devstack.drill.processes import Processes
from devstack.drill.referee import Referee
from devstack.drill.sessions import Death, Session
from devstack.drill.wire import Connection, Wire, logout, reading

PAUSE: Final = 0.005  # seconds between two questions to one process
LONGEST: Final = 3.0  # seconds
TOMBSTONES: Final = ("memory", "redis")  # who refuses from a tombstone that stays in memory


class Revocation:
    """Logs sessions out."""

    def __init__(self, wire: Wire, processes: Processes, referee: Referee) -> None:
        self._wire = wire
        self._processes = processes
        self._referee = referee

    async def end_quietly(self, session: Session) -> Death | None:
        """Log out, and tell nobody; None when it is not known whether the session has ended."""
        call = logout(session.token)
        answer = self._referee.see(call, await self._wire.send(call))
        if answer.status != NO_CONTENT:
            return None
        return Death(session.token, session.account.list_id, answer.answered)

    async def end(self, session: Session) -> Death | None:
        """Log out, and measure until when the token was good somewhere."""
        connections = await self._processes.all()
        began = time.monotonic()
        await asyncio.gather(*(self._warm(connection, session) for connection in connections))
        death = await self.end_quietly(session)
        if death is not None and connections:
            refusals = await asyncio.gather(*(self._refused(connection, death) for connection in connections))
            self._conclude(death, began, refusals)
        return death

    async def _warm(self, connection: Connection, session: Session) -> None:
        call = reading(session.token)
        if answer := await connection.send(call):
            self._referee.see(call, answer)

    async def _refused(self, connection: Connection, death: Death) -> Answer | None:
        """The first refusal of one process; None when it did not come, or the process went away."""
        call = reading(death.token)
        while time.monotonic() < death.at + LONGEST and (answer := await connection.send(call)):
            self._referee.see_dead(call, answer, death)
            if answer.status == REFUSED:
                return answer
            await asyncio.sleep(PAUSE)
        return None

    def _conclude(self, death: Death, began: float, refusals: list[Answer | None]) -> None:
        came = [answer for answer in refusals if answer]
        last = max((answer.answered for answer in came), default=time.monotonic())
        told = self._referee.could_hear(began, last)
        if len(came) < len(refusals):
            self._referee.enter_lag(None, told=told)
            return
        self._referee.enter_lag(last - death.at, told=told)
        if told and all(answer.source in TOMBSTONES for answer in came):
            death.heard_at = last
