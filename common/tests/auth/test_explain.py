"""`auth explain`: each place's line, the verdict of the real ladder, and nothing that anybody could use."""

import asyncio
import json
import time
from base64 import urlsafe_b64decode
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner
from redis.asyncio import Redis

from common.auth import KeyRing
from common.auth.channel import identity
from common.auth.decisions import fingerprint
from common.auth.explain import Explanation, commands, explain
from common.auth.remote import GuardedSettings
from common.auth.standing import READY, TOMBSTONE, encode, key
from common.dto import User
from common.settings import load
from common.testing import a_user, b64, mint_token, random_keys, session_of, sign

HEADER = {"alg": "HS256", "typ": "at+jwt", "kid": "test"}
ANN = a_user()
NOBODY = "http://127.0.0.1:1"


class UserSvc(asyncio.Protocol):
    """Answers every request with the same bytes."""

    answer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport

    def data_received(self, _data: bytes) -> None:
        self.transport.write(self.answer)


def good(user: User) -> bytes:
    """`/me` of this user."""
    body = msgspec.json.encode(user)
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


REFUSED = b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer\r\nContent-Length: 0\r\n\r\n"
BROKEN = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"


class Desk:
    """Where a token is explained."""

    def __init__(self, variables: dict[str, str], redis: Redis) -> None:
        self.variables = variables
        self.redis = redis
        self.keys = KeyRing.parse(variables["JWT_KEYS"])
        self.token = mint_token(self.keys, sub=str(ANN.id))

    async def explain(self, token: str = "", **changes: str) -> dict[str, str]:
        """What it says of each place."""
        self.explanation: Explanation = await explain(
            load(GuardedSettings, self.variables | changes), token or self.token
        )
        return dict(self.explanation.lines)

    async def keep(self, value: bytes) -> None:
        """Let Redis hold this for the token's session."""
        await self.redis.set(key(session_of(self.token)), value, ex=60)


@pytest.fixture
async def desk(redis_url: str) -> AsyncIterator[Desk]:
    """Redis is loaded and knows nobody; user-svc says that the token's user is in good standing."""
    UserSvc.answer = good(ANN)
    server = await asyncio.get_running_loop().create_server(UserSvc, "127.0.0.1", 0)
    async with server, Redis.from_url(redis_url) as redis:
        await redis.set(READY, await identity(redis))
        yield Desk(
            {
                "DATABASE_URL": "postgresql://127.0.0.1:1/none",
                "REDIS_URL": redis_url,
                "JWT_KEYS": random_keys("test"),
                "USER_SVC_URL": "http://{}:{}".format(*server.sockets[0].getsockname()),
            },
            redis,
        )


async def test_good_token(desk: Desk) -> None:
    """Each place has its line, in the order the ladder asks, and the verdict is for what a request can ask for."""
    lines = await desk.explain()
    assert list(lines) == ["token", "key", "claims", "proof", "memory", "redis", "user-svc", "verdict"]
    assert lines["token"].startswith(fingerprint(desk.token))
    assert lines["key"] == "test (of the ring)"
    assert f"sub {ANN.id}" in lines["claims"]
    assert f"sid {session_of(desk.token)}" in lines["claims"]
    assert lines["proof"].startswith("good")
    assert lines["redis"] == "nothing; holds every tombstone"
    assert lines["user-svc"] == "good"
    assert lines["verdict"].startswith("GET allowed (user-svc), POST allowed (")
    assert desk.explanation.allowed


async def test_times_are_told_from_now(desk: Desk) -> None:
    """How long the token lives, and since when."""
    now = int(time.time())
    lines = await desk.explain(mint_token(desk.keys, iat=now - 100, exp=now + 500))
    left = int(lines["claims"].split(f"exp {now + 500} (")[1].split(" ")[0])
    assert 490 <= left <= 500


async def test_standing_in_redis(desk: Desk) -> None:
    """How old it is."""
    await desk.keep(encode(ANN, time.time() - 7))
    lines = await desk.explain()
    assert lines["redis"].startswith("good, as of 7.")
    assert lines["verdict"].startswith("GET allowed (redis)")


async def test_tombstone(desk: Desk) -> None:
    """Redis says that it ended, and every request is 401, though user-svc has not noticed."""
    await desk.keep(TOMBSTONE)
    lines = await desk.explain()
    assert lines["redis"] == "a tombstone: the session has ended"
    assert lines["verdict"] == "GET 401 (redis), POST 401 (memory), FRESH 401 (memory)"
    assert not desk.explanation.allowed


async def test_refusal_of_user_svc(desk: Desk) -> None:
    """The session ended where the truth is."""
    UserSvc.answer = REFUSED
    lines = await desk.explain()
    assert lines["user-svc"] == "refused: the session has ended"
    assert lines["verdict"].startswith("GET 401 (user-svc)")
    assert not desk.explanation.allowed


async def test_user_svc_without_a_verdict(desk: Desk) -> None:
    """It says which fault, and that proof carries what it may."""
    UserSvc.answer = BROKEN
    lines = await desk.explain()
    assert lines["user-svc"] == "no verdict: status_500"
    assert lines["verdict"] == "GET allowed (proof), POST allowed (proof), FRESH 503 (NOT_FRESH)"


async def test_redis_that_was_flushed(desk: Desk) -> None:
    """It may lack tombstones, and so the guard is blind."""
    await desk.redis.flushall()
    lines = await desk.explain(USER_SVC_URL=NOBODY)
    assert lines["redis"] == "nothing; may lack tombstones"
    assert lines["verdict"] == "GET allowed (blind), POST 503 (CANNOT_JUDGE), FRESH 503 (NOT_FRESH)"


async def test_everybody_away(desk: Desk) -> None:
    """Each place says that it is, within the ladder's own budgets, and the policy decides."""
    lines = await desk.explain(USER_SVC_URL=NOBODY, REDIS_URL="redis://127.0.0.1:1/0", AUTH_BLIND="none")
    assert (lines["redis"], lines["user-svc"]) == ("away", "no verdict: unreachable")
    assert lines["verdict"] == "GET 503 (CANNOT_JUDGE), POST 503 (CANNOT_JUDGE), FRESH 503 (NOT_FRESH)"
    assert not desk.explanation.allowed


async def test_expired_token(desk: Desk) -> None:
    """Nobody is asked: proof says which rule it broke."""
    now = int(time.time())
    lines = await desk.explain(mint_token(desk.keys, iat=now - 700, exp=now - 100))
    assert list(lines) == ["token", "key", "claims", "proof", "verdict"]
    assert lines["proof"].startswith("bad, expired")
    assert lines["verdict"] == "401"
    assert not desk.explanation.allowed


async def test_forged_token(desk: Desk) -> None:
    """A known key's name, another's signature."""
    forged = mint_token(KeyRing.parse(random_keys("test")))
    lines = await desk.explain(forged)
    assert (lines["key"], lines["proof"].split(":")[0]) == ("test (of the ring)", "bad, signature")


async def test_unknown_key(desk: Desk) -> None:
    """Somebody else's, or one that was rotated out."""
    lines = await desk.explain(mint_token(KeyRing.parse(random_keys("other"))))
    assert (lines["key"], lines["proof"].split(":")[0]) == ("other (not of the ring)", "bad, unknown_key")


def unsigned(header: str, payload: str) -> str:
    """These two, and nobody's signature."""
    return f"{b64(header.encode())}.{b64(payload.encode())}.x"


DEEP = '{"x":' + "[" * 100_000
GARBAGE: dict[str, str] = {
    "nothing": "",
    "a word": "hello",
    "three words": "a.b.c",
    "not ASCII": "\u00e9.\u00e9.\u00e9",
    "bytes that are no text": "\udcff.\udcff.\udcff",
    "JSON that is no object": unsigned("[]", "1"),
    "deep JSON": unsigned(DEEP, DEEP),
    "kid of another type": unsigned('{"kid": [1]}', "{}"),
    "a date beyond measure": unsigned("{}", f'{{"exp": 1{"0" * 400}}}'),
    "a date that is no number": unsigned("{}", '{"exp": true, "iat": "x"}'),
}


@pytest.mark.parametrize("token", GARBAGE.values(), ids=list(GARBAGE))
async def test_garbage(desk: Desk, token: str) -> None:
    """Whatever it is given, it is explained as bad, and never with a traceback."""
    desk.token = token
    lines = await desk.explain()
    assert lines["proof"].startswith("bad, malformed")
    assert (lines["verdict"], desk.explanation.allowed) == ("401", False)


async def test_shows_neither_token_nor_email(desk: Desk) -> None:
    """What is shown can be pasted into a ticket: no part of the token, nobody's address, no password, no key."""
    token = sign(desk.keys, HEADER, json.loads(_payload(desk.token)) | {"email": "claimed@example.com"})
    await desk.keep(encode(ANN, time.time()))
    text = str([await desk.explain(), await desk.explain(token)])
    secrets = [*desk.token.split("."), *token.split("."), "@example.com", *desk.variables["JWT_KEYS"].split(":")[1:]]
    assert [secret for secret in secrets if secret in text] == []


@pytest.mark.parametrize("value", ["\x1b[2J\x1b]0;x\x07", "a\nverdict   GET allowed"], ids=["escapes", "newline"])
async def test_claims_of_a_forger_cannot_draw_on_the_terminal(desk: Desk, value: str) -> None:
    """A token from anywhere is shown as text: no control characters, no lines of its own."""
    forged = sign(desk.keys, HEADER | {"kid": value}, {"iss": value, "sub": {"x": value}, "jti": [value]})
    lines = await desk.explain(forged)
    assert [line for line in lines.values() if not line.isprintable()] == []


def _payload(token: str) -> bytes:
    return urlsafe_b64decode(token.split(".")[1] + "==")


def run(variables: dict[str, str], *arguments: str, given: str = "") -> Any:
    """The command as a person runs it."""
    group = commands("todo-svc", GuardedSettings)
    return CliRunner().invoke(group, ["explain", *arguments], env=variables, input=given)


@pytest.mark.parametrize("place", ["argument", "standard input"])
async def test_command_ends_with_zero_for_a_good_token(desk: Desk, place: str) -> None:
    """As an argument, or from standard input so that it stays out of the list of processes."""
    arguments, given = ([desk.token], "") if place == "argument" else (["-"], f"{desk.token}\n")
    ran = await asyncio.to_thread(run, desk.variables, *arguments, given=given)
    assert ran.exit_code == 0
    assert [line.split()[0] for line in ran.output.splitlines()] == [
        *("token", "key", "claims", "proof", "memory", "redis", "user-svc", "verdict")
    ]


async def test_command_ends_with_one_for_a_bad_token(desk: Desk) -> None:
    """So that a script can tell."""
    ran = await asyncio.to_thread(run, desk.variables, "a.b.c")
    assert (ran.exit_code, ran.output.splitlines()[-1]) == (1, "verdict   401")


async def test_command_ends_with_two_for_wrong_settings(desk: Desk) -> None:
    """One line that names what is missing."""
    ran = await asyncio.to_thread(run, desk.variables | {"USER_SVC_URL": ""}, desk.token)
    assert (ran.exit_code, ran.output) == (2, "todo-svc: USER_SVC_URL is not set\n")
