"""What the ladder keeps to itself: no I/O for a forgery, no token in Redis, one question for many callers."""

import asyncio
import hashlib
from base64 import b64encode, urlsafe_b64encode
from typing import Any

import httpx
import pytest
from litestar import Litestar, get, post

from common.auth import AuthenticatedRequest, KeyRing, Source, TokenVerifier
from common.auth.channel import StandingChannel, identity
from common.auth.flight import Flights
from common.auth.guard import Guard
from common.auth.memory import StandingMemory
from common.auth.remote import GuardedSettings, RemoteAuthenticator, remote_auth
from common.auth.standing import READY, TOMBSTONE, StandingStore, key
from common.auth.userinfo import UserInfoClient
from common.errors import InvalidToken
from common.redis import listen
from common.resp import RespClient
from common.settings import SettingsError, load
from common.testing import FlakyTransport, a_user, client_of, mint_token, random_keys, session_of
from common.values import RedisUrl

HASHES = ("md5", "sha1", "sha256", "sha512", "blake2b", "sha3_256")


async def test_forgery_costs_no_io(verifier: TokenVerifier, silent: Any, forgery: Any) -> None:
    """It is refused without a word to Redis or user-svc, for the reason the proof gives."""
    url = RedisUrl.parse(f"redis://{silent.address}")
    store, user_svc = StandingStore(RespClient(url)), FlakyTransport()
    userinfo = UserInfoClient("http://user-svc.test", transport=user_svc)
    channel = StandingChannel(listen(url), StandingMemory())  # never entered: it would connect by itself
    sealed = RemoteAuthenticator(verifier, channel, store, userinfo)
    with pytest.raises(InvalidToken) as caught:
        await sealed.authenticate(forgery.token, safe=True)
    assert (caught.value.reason, caught.value.source) == (forgery.reason, "proof")
    assert (silent.connections, user_svc.asked) == ([], 0)


async def test_no_token_gets_into_redis(door: Any) -> None:
    """No key and no value holds a token, a part of one, its id or its hash, whatever happened to it."""
    callers = [door.caller() for _ in range(4)]
    door.knows(callers[0].user)
    await door.admit(callers[0])
    await door.admit(callers[0])
    door.refuses()
    await door.refusal(callers[1])
    door.answers(500)
    await door.admit(callers[2])
    await door.redis.set(key(callers[3].session), TOMBSTONE)
    await door.refusal(callers[3])
    everything = b"\n".join([part async for part in contents(door.redis)])
    assert str(callers[0].session).encode() in everything
    assert [trace for caller in callers for trace in traces(caller.token) if trace in everything] == []


async def contents(redis: Any) -> Any:
    """Every key and value of Redis, of whatever type, as bytes."""
    async for name in redis.scan_iter():
        yield name
        yield await redis.dump(name)
        if await redis.type(name) == b"string":
            yield await redis.get(name)


def traces(token: str) -> list[bytes]:
    """What would give a token away: itself, its parts, and the beginnings of their digests in the usual writings."""
    texts = [text.encode() for text in (token, f"Bearer {token}", *token.split("."))]
    digests = [hashlib.new(name, text).digest() for text in texts for name in HASHES]
    return texts + [
        beginning
        for digest in digests
        for beginning in (
            digest[:12],
            digest.hex()[:24].encode(),
            b64encode(digest)[:16],
            urlsafe_b64encode(digest)[:16],
        )
    ]


@pytest.fixture
def boarding(monkeypatch: pytest.MonkeyPatch) -> asyncio.Semaphore:
    """Is released by each caller that joins a flight."""
    semaphore, join = asyncio.Semaphore(0), Flights.join

    async def board(flights: Any, session: Any, start: Any) -> Any:
        semaphore.release()
        return await join(flights, session, start)

    monkeypatch.setattr(Flights, "join", board)
    return semaphore


async def all_ask(door: Any, caller: Any, boarding: asyncio.Semaphore, number: int) -> list[asyncio.Task[Any]]:
    """So many requests of one session, none of which has its answer yet."""
    door.user_svc.held = asyncio.Event()
    asking = [asyncio.create_task(door.admit(caller)) for _ in range(number)]
    for _ in asking:
        await boarding.acquire()
    return asking


async def test_hundred_first_requests_are_one_question(door: Any, boarding: asyncio.Semaphore) -> None:
    """A session's first requests come in a burst: user-svc hears of one."""
    caller = door.caller()
    door.knows(caller.user)
    asking = await all_ask(door, caller, boarding, 100)
    door.user_svc.held.set()
    assert {principal.user for principal in await asyncio.gather(*asking)} == {caller.user}
    assert door.user_svc.asked == 1


async def test_cancelled_caller_cancels_nobody_else(door: Any, boarding: asyncio.Semaphore) -> None:
    """The one who asked hangs up: the others get the answer, and Redis the standing."""
    caller = door.caller()
    door.knows(caller.user)
    first, *others = await all_ask(door, caller, boarding, 4)
    first.cancel()
    await asyncio.wait({first})
    door.user_svc.held.set()
    assert {principal.user for principal in await asyncio.gather(*others)} == {caller.user}
    assert first.cancelled()
    assert await door.kept(caller) is not None
    assert door.user_svc.asked == 1


async def test_refusal_is_everybodys(door: Any, boarding: asyncio.Semaphore) -> None:
    """All who share a question share its answer."""
    caller = door.caller()
    door.refuses()
    asking = await all_ask(door, caller, boarding, 20)
    door.user_svc.held.set()
    refused = await asyncio.gather(*asking, return_exceptions=True)
    assert {type(error) for error in refused} == {InvalidToken}
    assert door.user_svc.asked == 1


async def test_who_misses_a_refusals_flight_does_not_ask_again(door: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It looked at Redis before the refusal came, and would have asked after it."""
    caller, join, looked, delay = door.caller(), Flights.join, asyncio.Event(), asyncio.Event()

    async def join_late(flights: Any, session: Any, start: Any) -> Any:
        looked.set()
        await delay.wait()
        return await join(flights, session, start)

    door.refuses()
    with monkeypatch.context() as patch:
        patch.setattr(Flights, "join", join_late)
        late = asyncio.create_task(door.refusal(caller))
        await looked.wait()
    await door.refusal(caller)
    delay.set()
    assert await late == ("revoked", "user-svc")
    assert door.user_svc.asked == 1


async def test_sessions_do_not_share(door: Any) -> None:
    """Two callers at once are two questions, each with its own token."""
    callers = [door.caller(), door.caller()]
    asked: list[str] = []

    def me(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers["Authorization"].removeprefix("Bearer "))
        return httpx.Response(500)

    door.user_svc.inner = httpx.MockTransport(me)
    await asyncio.gather(*map(door.admit, callers))
    assert set(asked) == {caller.token for caller in callers}


async def test_closing_leaves_nothing_behind(door: Any) -> None:
    """At shutdown the question under way ends, and so do the connections."""
    door.user_svc.held = asyncio.Event()
    async with door.authenticator() as authenticator:
        asking = asyncio.create_task(authenticator.authenticate(door.caller().token, safe=True))
        await door.user_svc.arrived.wait()
    await asyncio.wait({asking})
    assert asking.cancelled()


ENVIRONMENT = {
    "DATABASE_URL": "postgresql://h/db",
    "REDIS_URL": "redis://127.0.0.1:1",
    "JWT_KEYS": random_keys(),
    "USER_SVC_URL": "http://user-svc.test",
}


@get("/mine", sync_to_thread=False)
def mine(request: AuthenticatedRequest) -> str:
    """Who is asking."""
    return str(request.user.id)


@post("/mine", sync_to_thread=False)
def write() -> None:
    """Write nothing."""


def service(build: Any, transport: FlakyTransport, **environment: str) -> tuple[Litestar, KeyRing]:
    """A service behind the real guard, and the keys of its tokens."""
    settings = load(GuardedSettings, ENVIRONMENT | environment)
    return build(mine, write, settings=settings, auth=remote_auth(settings, transport=transport)), settings.jwt_keys


def guard_of(app: Any) -> Any:
    """What judges in this service."""
    layer = app.asgi_handler
    while not isinstance(layer, Guard):
        layer = layer.app
    return layer.authenticator


async def test_whole_service_tells_how_it_decided(build: Any, redis: Any, redis_url: str) -> None:
    """From the settings to the header: user-svc, then memory; at the next process Redis, then a tombstone's 401."""
    user = a_user()
    user_svc = FlakyTransport.answering(lambda: httpx.Response(200, json=_wire(user)))
    await redis.set(READY, await identity(redis))
    answers: list[httpx.Response] = []
    token = ""
    for _ in range(3):
        app, keys = service(build, user_svc, REDIS_URL=redis_url)
        token = token or mint_token(keys, sub=str(user.id))
        async with client_of(app, token=token) as client, asyncio.timeout(10):
            await guard_of(app)._channel.subscribed.wait()
            answers += [await client.get("/mine"), await client.post("/mine")]
        if len(answers) == 4:
            await redis.set(key(session_of(token)), TOMBSTONE)
    assert [answer.status_code for answer in answers] == [200, 201, 200, 201, 401, 401]
    told = [answer.headers["X-Auth-Source"] for answer in answers]
    assert told == [Source.USER_SVC, Source.MEMORY, Source.REDIS, Source.MEMORY, Source.REDIS, Source.MEMORY]
    assert {answer.text for answer in answers[0:3:2]} == {str(user.id)}
    assert user_svc.asked == 1


async def test_whole_service_in_the_dark(build: Any) -> None:
    """Redis and user-svc away: a read passes blind, a write is 503 with Retry-After, a forgery 401 as ever."""
    app, keys = service(build, FlakyTransport())
    async with client_of(app, token=mint_token(keys)) as client:
        read, written = await client.get("/mine"), await client.post("/mine")
        forged = await client.get("/mine", headers={"Authorization": "Bearer a.b.c"})
    assert (read.status_code, read.headers["X-Auth-Source"]) == (200, "blind")
    assert (written.status_code, written.headers["Retry-After"], written.json()["code"]) == (503, "2", "CANNOT_JUDGE")
    assert (forged.status_code, forged.headers["X-Auth-Source"]) == (401, "proof")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("USER_SVC_URL", "", "USER_SVC_URL is not set"),
        ("USER_SVC_URL", "user-svc:8001", "USER_SVC_URL must look like http://host:port"),
        ("AUTH_BLIND", "write", "AUTH_BLIND must be one of read, all, none"),
    ],
)
def test_wrong_setting_is_named(name: str, value: str, message: str) -> None:
    """A guarded service that cannot know whom to ask does not start."""
    with pytest.raises(SettingsError) as caught:
        load(GuardedSettings, ENVIRONMENT | {name: value})
    assert str(caught.value) == message


def _wire(user: Any) -> Any:
    return {"id": str(user.id), "email": user.email, "is_active": True, "is_superuser": False, "is_verified": False}
