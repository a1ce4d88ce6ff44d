"""The ladder between a real Valkey and a user-svc that answers as told."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import httpx
import msgspec
import pytest
from redis.asyncio import Redis

from common.auth import KeyRing, Principal, TokenVerifier
from common.auth.channel import StandingChannel, identity
from common.auth.memory import StandingMemory
from common.auth.remote import RemoteAuthenticator
from common.auth.standing import READY, StandingStore, encode, key
from common.auth.userinfo import UserInfoClient
from common.dto import User
from common.redis import listen
from common.resp import RespClient
from common.testing import AUDIENCE, ISSUER, FlakyTransport, a_user, eventually, mint_token
from common.values import RedisUrl

SOON = 10.0  # seconds a busy machine may take


class Caller(NamedTuple):
    """Somebody with a session and a good token of it."""

    token: str
    user: User
    session: UUID


class UserSvc(FlakyTransport):
    """Counts, besides, how many questions are under way at once."""

    def __init__(self) -> None:
        super().__init__()
        self.most = self._now = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer as told, after a moment."""
        self._now += 1
        self.most = max(self.most, self._now)
        try:
            await asyncio.sleep(0)
            return await super().handle_async_request(request)
        finally:
            self._now -= 1


class Ladder:
    """One process' authenticator, and everything it can ask."""

    def __init__(self, keys: KeyRing, redis: Redis, url: str, stack: AsyncExitStack) -> None:
        self.keys = keys
        self.redis = redis
        self.user_svc = UserSvc()
        self._url = url
        self._stack = stack

    async def start(self, *, redis: str = "", user_svc: str = "", channel: str = "", **options: Any) -> None:
        """Run it, with another Redis or user-svc than the usual ones where they are named, and subscribe."""
        self.memory = StandingMemory()
        self.channel = StandingChannel(listen(RedisUrl(channel or redis or self._url)), self.memory)
        self.store = StandingStore(RespClient(RedisUrl(redis or self._url)))
        self.userinfo = UserInfoClient(
            user_svc or "http://user-svc.test", transport=None if user_svc else self.user_svc
        )
        verifier = TokenVerifier(self.keys, issuer=ISSUER, audience=AUDIENCE)
        self.guard = RemoteAuthenticator(verifier, self.channel, self.store, self.userinfo, **options)
        await self._stack.enter_async_context(self.guard)
        if not redis:
            await eventually(lambda: self.memory.listening)

    async def load(self) -> None:
        """Say, as user-svc does, that every tombstone is there."""
        await self.redis.set(READY, await identity(self.redis))

    def caller(self, user: User | None = None, **changes: Any) -> Caller:
        """A new session."""
        user, session = user or a_user(), uuid4()
        return Caller(mint_token(self.keys, sub=str(user.id), sid=str(session), **changes), user, session)

    async def admit(self, caller: Caller, *, safe: bool = True, fresh: bool = False) -> Principal:
        """What the guard decides."""
        return await self.guard.authenticate(caller.token, safe=safe, fresh=fresh)

    def knows(self, user: User) -> None:
        """From now on `/me` says that this is the user."""
        self.answers(200, msgspec.json.encode(user))

    def refuses(self) -> None:
        """From now on `/me` refuses."""
        self.answers(401, b"", **{"WWW-Authenticate": 'Bearer error="invalid_token"'})

    def answers(self, status: int, body: bytes = b"", **headers: str) -> None:
        """From now on `/me` answers so."""
        self.user_svc.fail = lambda: httpx.Response(status, content=body, headers=headers)

    async def keep(self, caller: Caller, age: float = 0.0, **changes: Any) -> bytes:
        """Let Redis hold a standing of this age."""
        user = msgspec.structs.replace(caller.user, **changes)
        value = encode(user, time.time() - age)
        await self.redis.set(key(caller.session), value, ex=60)
        return value

    async def kept(self, caller: Caller) -> Any:
        """What Redis holds of this session."""
        return await self.redis.get(key(caller.session))

    async def landed(self) -> None:
        """Wait until nobody asks user-svc any more, whatever came of it."""
        while flying := list(self.guard._flights._tasks.values()):
            with suppress(Exception):
                await asyncio.wait(flying, timeout=SOON)
            await asyncio.sleep(0)


@pytest.fixture
async def unstarted(keys: KeyRing, redis_url: str) -> AsyncIterator[Ladder]:
    """All that is needed, not yet running; user-svc is away."""
    async with Redis.from_url(redis_url) as redis, AsyncExitStack() as stack:
        yield Ladder(keys, redis, redis_url, stack)


@pytest.fixture
async def ladder(unstarted: Ladder) -> Ladder:
    """Running and subscribed, with every tombstone loaded; user-svc is away."""
    await unstarted.load()
    await unstarted.start()
    return unstarted
