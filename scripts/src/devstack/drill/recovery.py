"""Recovery: waiting until the whole stack was seen to work again, in every process."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from redis.exceptions import RedisError

from devstack.drill.judge import OK, Act
from devstack.drill.processes import Processes
from devstack.drill.sessions import Session, Sessions, opened
from devstack.drill.stack import Stack
from devstack.drill.wire import Call, Connection, login, reading

PAUSE: Final = 0.1  # seconds between two looks
EVERY_WAY: Final = frozenset({"user-svc", "redis", "memory"})


class Recovery:
    """Looks at both services' databases, at Redis' tombstones, and at how each todo-svc process judges.

    It must pass logins on (their circuit breaker has closed), judge a session that Redis has forgotten by user-svc (its
    circuit breaker too) and then from memory (the channel is heard), and one that has just logged in from Redis.
    """

    def __init__(self, stack: Stack, sessions: Sessions, todo: Processes, user: Processes) -> None:
        self._stack = stack
        self._sessions = sessions
        self._todo = todo
        self._user = user

    async def wait(self, patience: float) -> bool:
        """Return True as soon as all works, False if it does not within so many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self._until_it_works()
                return True
        return False

    async def _until_it_works(self) -> None:
        await _until(lambda: _is_ready(self._user))
        await _until(lambda: _is_ready(self._todo))
        await _until(self._tombstones_are_loaded)
        await asyncio.gather(*map(self._knows_every_way, await self._todo.all()))

    async def _tombstones_are_loaded(self) -> bool:
        with suppress(RedisError):
            return await self._stack.is_loaded()
        return False

    async def _knows_every_way(self, connection: Connection) -> None:
        """Ask this process about two new sessions until each way has been seen."""
        forgotten, primed = await self._new_session(connection), await self._new_session(connection)
        with suppress(RedisError):
            await self._stack.forget(forgotten)
        seen: set[str] = set()

        async def seen_all() -> bool:
            for session in (forgotten, forgotten, primed):
                if answer := await connection.send(reading(session.token)):
                    seen.add(answer.source)
            return seen >= EVERY_WAY

        await _until(seen_all)

    async def _new_session(self, connection: Connection) -> Session:
        """Log in at this process; it may not ask user-svc for a while."""
        account, found = self._sessions.accounts[0], list[Session]()

        async def logged_in() -> bool:
            answer = await connection.send(login(account.email, account.password))
            if answer is not None and answer.status == OK:
                found.append(opened(account, answer))
            return bool(found)

        await _until(logged_in)
        return found[0]


async def _until(holds: Callable[[], Awaitable[bool]]) -> None:
    while True:
        if await holds():
            return
        await asyncio.sleep(PAUSE)


async def _is_ready(service: Processes) -> bool:
    """Whether every process of it reaches its database."""
    call = Call(act=Act.READ, service=service.name, method="GET", path="/health/ready", patience=2.0)
    answers = await asyncio.gather(*(connection.send(call) for connection in await service.all()))
    return service.complete and all(answer and answer.status == OK for answer in answers)
