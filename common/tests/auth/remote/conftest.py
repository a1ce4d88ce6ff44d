"""A remote authenticator between a real Valkey and a user-svc that answers as told; nobody listens to the channel."""

from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import httpx
import msgspec
import pytest
from redis.asyncio import Redis

from common.auth import KeyRing, Principal, TokenVerifier
from common.auth.channel import StandingChannel, identity
from common.auth.memory import StandingMemory
from common.auth.remote import BlindPolicy, RemoteAuthenticator
from common.auth.standing import READY, StandingStore, key
from common.auth.userinfo import UserInfoClient
from common.dto import User
from common.errors import InvalidToken
from common.redis import listen
from common.resp import RespClient
from common.testing import FlakyTransport, a_user, mint_token
from common.values import RedisUrl


class Caller(NamedTuple):
    """Somebody with a session and a good token of it."""

    token: str
    user: User
    session: UUID


class Door:
    """What a service asks about its callers, and all that stands behind."""

    def __init__(self, keys: KeyRing, verifier: TokenVerifier, clock: Any, redis: Redis, redis_url: str) -> None:
        self.keys = keys
        self.server = b""
        self.clock = clock
        self.redis = redis
        self.user_svc = FlakyTransport()
        self._verifier = verifier
        self._redis_url = redis_url
        self._made: list[RemoteAuthenticator] = []
        self._default: RemoteAuthenticator | None = None

    def authenticator(
        self, *, blind: BlindPolicy = "read", redis_url: str = "", user_svc_url: str = ""
    ) -> RemoteAuthenticator:
        """Another one, with another policy, another Redis, or a user-svc at a real address."""
        url = RedisUrl.parse(redis_url or self._redis_url)
        channel = StandingChannel(listen(url), StandingMemory(now=self.clock))
        channel.server = self.server
        made = RemoteAuthenticator(
            self._verifier,
            channel,
            StandingStore(RespClient(url), clock=self.clock),
            UserInfoClient(user_svc_url or "http://user-svc.test", transport=None if user_svc_url else self.user_svc),
            blind=blind,
            clock=self.clock,
        )
        self._made.append(made)
        return made

    async def admit(self, caller: Caller, *, safe: bool = True) -> Principal:
        """What the usual one decides."""
        self._default = self._default or self.authenticator()
        return await self._default.authenticate(caller.token, safe=safe)

    async def refusal(self, caller: Caller) -> tuple[str, str]:
        """Why, and by whom, the usual one refuses."""
        with pytest.raises(InvalidToken) as caught:
            await self.admit(caller)
        return caught.value.reason, caught.value.source

    def caller(self, user: User | None = None, **changes: Any) -> Caller:
        """A new session."""
        user, session = user or a_user(), uuid4()
        now = self.clock()
        signed = {"sub": str(user.id), "sid": str(session), "iat": now, "exp": now + 600} | changes
        return Caller(mint_token(self.keys, **signed), user, session)

    def knows(self, user: User) -> None:
        """From now on `/me` says that this is the user."""
        self.answers(200, msgspec.json.encode(user))

    def refuses(self) -> None:
        """From now on `/me` refuses."""
        self.answers(401, b"", **{"WWW-Authenticate": 'Bearer error="invalid_token"'})

    def answers(self, status: int, body: bytes = b"", **headers: str) -> None:
        """From now on `/me` answers so."""
        self.user_svc.fail = lambda: httpx.Response(status, content=body, headers=headers)

    async def kept(self, caller: Caller) -> bytes | None:
        """What Redis holds for the caller's session."""
        value = await self.redis.get(key(caller.session))
        assert value is None or isinstance(value, bytes)
        return value

    async def close(self) -> None:
        """End all that were made."""
        for made in self._made:
            await made.__aexit__(None, None, None)


@pytest.fixture
async def door(
    keys: KeyRing, verifier: TokenVerifier, clock: Callable[[], float], redis: Redis, redis_url: str
) -> AsyncIterator[Door]:
    """An empty Valkey, and a user-svc that is away until told what to say."""
    door = Door(keys, verifier, clock, redis, redis_url)
    door.server = await identity(redis)
    await redis.set(READY, door.server)
    yield door
    await door.close()
