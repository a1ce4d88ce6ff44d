"""RemoteAuthenticator: the ladder from proof to standing to proof alone, in order, for every service but user-svc."""

import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from math import ceil
from time import perf_counter
from types import TracebackType
from typing import Annotated, Final, Literal, Self
from uuid import UUID

import httpx
from msgspec import Meta

from common.auth import decisions
from common.auth.channel import StandingChannel
from common.auth.flight import Flights
from common.auth.memory import GOOD_FOR, StandingMemory
from common.auth.principal import Claims, Principal, Source
from common.auth.settings import TokenSettings, verifier
from common.auth.standing import (
    STALE_AFTER,
    Recollection,
    Revoked,
    Standing,
    StandingStore,
    StoreUnavailable,
    standing,
)
from common.auth.tokens import TokenVerifier
from common.auth.userinfo import NoVerdict, UserInfoClient
from common.dto import User
from common.errors import InvalidToken, Unavailable
from common.redis import listen
from common.resp import RespClient
from common.values import HttpUrl

BlindPolicy = Literal["read", "all", "none"]
FRESH_FOR: Final = 5.0  # seconds a standing may be old where a handler asks for a fresh one
REFUSAL_HOLDS: Final = 10.0  # seconds a refusal of user-svc is remembered
RETRY_AFTER: Final = 2  # seconds
ENDING: Final = 5.0  # seconds before its end in which a token may be refused for its age, by a clock ahead of ours


class GuardedSettings(TokenSettings, frozen=True, kw_only=True):
    """What every service but user-svc is told besides."""

    user_svc_url: Annotated[HttpUrl, Meta(description="where user-svc answers, without a path")]
    auth_blind: Annotated[BlindPolicy, Meta(description="what passes when neither Redis nor user-svc can be asked")] = (
        "read"
    )


class _TooOldError(Exception):
    """user-svc refused a token at its end."""


class RemoteAuthenticator:
    """Believes the nearest place that knows the standing; an outage never looks like a logout."""

    def __init__(
        self,
        verifier: TokenVerifier,
        channel: StandingChannel,
        store: StandingStore,
        userinfo: UserInfoClient,
        *,
        blind: BlindPolicy = "read",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._verifier = verifier
        self._channel = channel
        self._memory = channel.memory
        self._store = store
        self._userinfo = userinfo
        self._blind = blind
        self._clock = clock
        self._flights: Flights[UUID, User | None] = Flights()
        self.recall = self._memory.caller

    async def authenticate(self, token: str, *, safe: bool, fresh: bool = False) -> Principal:
        """Judge a token; see `Authenticator`."""
        started = perf_counter()
        try:
            claims = self._verifier.verify(token)
            principal = self._from_memory(claims, fresh=fresh)
            if principal is None:
                principal = await self._from_afar(token, claims, safe=safe, fresh=fresh)
        except InvalidToken as error:
            decisions.refused(error, token, started)
            raise
        except Unavailable as error:
            decisions.undecided(error.code, token, started)
            raise
        decisions.allowed(principal, token, started)
        if claims.expires_at - self._clock() > GOOD_FOR:
            self._memory.remember_caller(b"Bearer " + token.encode(), principal)
        return principal

    async def __aenter__(self) -> Self:
        await self._channel.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        async with AsyncExitStack() as closing:
            closing.push_async_callback(self._userinfo.close)
            closing.push_async_callback(self._store.close)
            closing.push_async_exit(self._channel)
            closing.push_async_callback(self._flights.close)

    def _from_memory(self, claims: Claims, *, fresh: bool) -> Principal | None:
        """What this process knows, without asking anybody."""
        if self._memory.is_dead(claims.session):
            raise _revoked(Source.MEMORY)
        known = self._memory.good(claims.session)
        return self._believe(claims, known, Source.MEMORY, fresh=fresh) if known is not None else None

    async def _from_afar(self, token: str, claims: Claims, *, safe: bool, fresh: bool) -> Principal:
        """Redis, then user-svc, then what follows from the silence of either."""
        found = await self._recall(claims)
        if found is not None and isinstance(found.standing, Standing) and self._is_sealed(found):
            principal = self._believe(claims, found.standing, Source.REDIS, fresh=fresh)
            if principal is not None:
                self._memory.remember(claims.session, found.standing)
                if self._clock() - principal.as_of > STALE_AFTER:
                    self._flights.launch(claims.session, lambda: self._fly(token, claims, found))
                return principal
        asked = await self._ask(token, claims, found, fresh=fresh)
        return asked or self._without_verdict(claims, found, safe=safe, fresh=fresh)

    async def _recall(self, claims: Claims) -> Recollection | None:
        """What Redis says; None if it says nothing."""
        try:
            found = await self._store.recall(claims.session)
        except StoreUnavailable:
            return None
        if found.standing is Revoked.REVOKED:
            self._memory.bury(claims.session, claims.expires_at)
            raise _revoked(Source.REDIS)
        return found

    def _is_sealed(self, found: Recollection) -> bool:
        """Whether a tombstone, if there were one, would be there: not in a Redis flushed or restored since the load."""
        return found.ready is not None and found.ready == self._channel.server

    def _believe(self, claims: Claims, known: Standing, source: Source, *, fresh: bool) -> Principal | None:
        """The principal of a standing, if it is this user's and young enough; an inactive user is refused."""
        if known.id != claims.subject:
            return None
        if not known.is_active:
            raise _revoked(source)
        if fresh and self._clock() - known.as_of > FRESH_FOR:
            return None
        return Principal(claims.subject, claims.session, source, known.as_of, known)

    async def _ask(self, token: str, claims: Claims, found: Recollection | None, *, fresh: bool) -> Principal | None:
        """What `/me` says, asked once per session at a time; None is no verdict."""
        try:
            user = await self._flights.join(claims.session, lambda: self._fly(token, claims, found, fresh=fresh))
        except NoVerdict:
            return None
        except _TooOldError:
            if self._is_ending(claims):
                raise InvalidToken("expired", "the access token expired", source=Source.USER_SVC) from None
            # It was another token of the session that was too old.
            return await self._ask(token, claims, found, fresh=fresh)
        if user is None:
            raise _revoked(Source.USER_SVC)
        if user.id != claims.subject:
            return None
        return Principal(claims.subject, claims.session, Source.USER_SVC, self._clock(), user)

    async def _fly(self, token: str, claims: Claims, found: Recollection | None, *, fresh: bool = False) -> User | None:
        if self._memory.is_dead(claims.session):  # another's flight has landed since this caller looked
            return None
        if (known := self._memory.good(claims.session)) is not None and known.as_of > self._clock() - GOOD_FOR:
            return known
        asked_at = self._clock()  # a profile announced while user-svc answers is newer than its answer
        user = await self._userinfo.ask(token, pressing=fresh)
        if user is None and self._is_ending(claims):
            raise _TooOldError
        if user is None:
            self._memory.bury(claims.session, self._clock() + REFUSAL_HOLDS)
        elif user.id == claims.subject:
            self._memory.remember(claims.session, standing(user, asked_at))
            if found is not None:
                await self._store.remember(claims.session, user, expires_at=claims.expires_at, instead_of=found.raw)
        return user

    def _is_ending(self, claims: Claims) -> bool:
        """Whether a refusal may be about the token alone, and says nothing of its session."""
        return claims.expires_at - self._clock() <= ENDING

    def _without_verdict(self, claims: Claims, found: Recollection | None, *, safe: bool, fresh: bool) -> Principal:
        """Neither yes nor no. Proof alone carries the request where Redis would show a tombstone if there were one."""
        if fresh:
            detail = "this needs to ask user-svc about the session, and it does not answer"
            raise Unavailable(detail, code="NOT_FRESH", retry_after=ceil(self._userinfo.wait) or RETRY_AFTER)
        if found is not None and self._is_sealed(found):
            return Principal(claims.subject, claims.session, Source.PROOF, claims.issued_at)
        if self._blind == "all" or (self._blind == "read" and safe):
            return Principal(claims.subject, claims.session, Source.BLIND, claims.issued_at)
        detail = "whether this session still stands cannot be asked right now"
        raise Unavailable(detail, code="CANNOT_JUDGE", retry_after=RETRY_AFTER)


def remote_auth(settings: GuardedSettings, *, transport: httpx.AsyncBaseTransport | None = None) -> RemoteAuthenticator:
    """The authenticator of every service but user-svc; `create_service` starts and stops it."""
    return RemoteAuthenticator(
        verifier(settings),
        StandingChannel(listen(settings.redis_url), StandingMemory()),
        StandingStore(RespClient(settings.redis_url)),
        UserInfoClient(settings.user_svc_url.reveal(), transport=transport),
        blind=settings.auth_blind,
    )


def _revoked(source: Source) -> InvalidToken:
    return InvalidToken("revoked", "the session of this access token has ended", source=source)
