"""What is measured: each case with the service it drives and the requests it sends."""

import re
from collections.abc import Awaitable, Callable, Iterator
from itertools import repeat
from urllib.parse import urlencode
from uuid import UUID, uuid4

import asyncpg
import msgspec
from msgspec import Struct, structs
from redis.asyncio import Redis

from common.auth import KeyRing
from common.auth.standing import key
from common.testing import mint_token, session_of
from devstack.bench.bed import PASSWORD, STRANGER, TODOS, Bed
from devstack.bench.crowd import cursor
from devstack.bench.load import Expect, Span
from devstack.up.service import Service

OPEN, KNOWN = "hello, guard off", "hello, new session, Redis"
READ, CREATE, ME = "read, guard off", "create, guard off", "/me, quiet"
PAGE, TODO, INSERT = "page, bare", "todo, bare", "create, bare"
FIRST = "page, guarded, of 100,100"
MANY = 32  # connections
FEW = 8  # for what is slow: more would wait for each other, past the time the guard gives user-svc to answer
FASTEST = 8000  # sessions a second that a case of new sessions could at most use up

_CLONE = """
INSERT INTO sessions
SELECT (jsonb_populate_record(session, jsonb_build_object('id', fresh))).*
FROM sessions session, unnest($2::uuid[]) AS fresh WHERE session.id = $1
"""

GREETED = Expect(header="content-type: application/json")  # a look at the head too: the load must cost alike
FROM_MEMORY, FROM_REDIS, ASKED = (
    Expect(header=f"x-auth-source: {source}") for source in ("memory", "redis", "user-svc")
)


class Case(Struct, frozen=True, kw_only=True):
    """One row of the result; `prepare` makes the requests of one run, which may end before its time is up.

    `beside` is what the service has to do meanwhile; it is in no figure.
    """

    name: str
    service: Service
    prepare: Callable[[Span], Awaitable[Iterator[bytes]]]
    expect: Expect = Expect()
    baseline: str | None = READ
    connections: int = MANY
    beside: "Case | None" = None


def chosen(every: list[Case], pattern: str) -> list[Case]:
    """Those whose name it is found in, and the baselines they are compared with."""
    names = {case.name for case in every if re.search(pattern, case.name)}
    names |= {case.baseline for case in every if case.name in names and case.baseline}
    return [case for case in every if case.name in names]


def cases(bed: Bed) -> list[Case]:
    """All of them; each baseline stands before what is compared with it."""
    work = Work(bed)
    created = Expect(201)
    guarded = bed.todo_svc
    login = Case(name="login", service=bed.login_svc, prepare=work.login, connections=FEW)
    return [
        Case(name=OPEN, service=bed.bare, prepare=work.greet_anybody, expect=GREETED, baseline=None),
        Case(name="hello, same session", service=bed.bare, prepare=work.greet, expect=FROM_MEMORY, baseline=OPEN),
        Case(name="hello, Redis only", service=bed.forgetful, prepare=work.greet, expect=FROM_REDIS, baseline=OPEN),
        Case(name=KNOWN, service=bed.bare, prepare=work.greet_primed, expect=FROM_REDIS, baseline=OPEN),
        Case(
            name="hello, new session, asked",
            service=bed.bare,
            prepare=work.greet_unknown,
            expect=ASKED,
            baseline=KNOWN,
            connections=FEW,
        ),
        Case(name=READ, service=bed.unguarded, prepare=work.read, baseline=None),
        Case(name="read, same session", service=guarded, prepare=work.read),
        Case(name="read, new session, Redis", service=guarded, prepare=work.read_primed, expect=FROM_REDIS),
        Case(
            name="read, new session, asked",
            service=guarded,
            prepare=work.read_unknown,
            expect=ASKED,
            connections=FEW,
        ),
        Case(name=CREATE, service=bed.unguarded, prepare=work.create, expect=created, baseline=None),
        Case(name="create, same session", service=guarded, prepare=work.create, expect=created, baseline=CREATE),
        Case(name=PAGE, service=bed.raw, prepare=work.read, baseline=None),
        Case(name="page, guarded", service=guarded, prepare=work.read, baseline=PAGE),
        Case(name=FIRST, service=guarded, prepare=work.read_first, baseline=None),
        Case(name="page, guarded, at 100,000", service=guarded, prepare=work.read_deep, baseline=FIRST),
        Case(name=TODO, service=bed.raw, prepare=work.read_one, baseline=None),
        Case(name="todo, guarded", service=guarded, prepare=work.read_one, baseline=TODO),
        Case(name=INSERT, service=bed.raw, prepare=work.create, expect=created, baseline=None),
        Case(name="create, guarded", service=guarded, prepare=work.create, expect=created, baseline=INSERT),
        login,
        Case(name=ME, service=bed.login_svc, prepare=work.me, baseline=None, connections=FEW),
        Case(
            name="/me, login storm",
            service=bed.login_svc,
            prepare=work.me,
            baseline=ME,
            connections=FEW,
            beside=structs.replace(login, connections=MANY),
        ),
    ]


class Work:
    """Makes the requests."""

    def __init__(self, bed: Bed) -> None:
        self._bed = bed
        self._keys = KeyRing.parse(bed.keys)

    @property
    def _path(self) -> str:
        return f"/lists/{self._bed.list_id}/todos?limit={TODOS}"

    async def greet_anybody(self, _span: Span) -> Iterator[bytes]:
        """What nobody is asked for, though a token is sent."""
        return repeat(_request("GET", "/open", self._bed.login()))

    async def greet(self, _span: Span) -> Iterator[bytes]:
        """The same session over and over, where nothing else costs much."""
        return repeat(_request("GET", "/guarded", self._bed.login()))

    async def greet_primed(self, span: Span) -> Iterator[bytes]:
        """A new session each time, as a login leaves it: user-svc has told Redis."""
        return await self._new("/guarded", span, primed=True)

    async def greet_unknown(self, span: Span) -> Iterator[bytes]:
        """A new session each time, of which only user-svc knows."""
        return await self._new("/guarded", span, primed=False)

    async def read(self, _span: Span) -> Iterator[bytes]:
        """The same session over and over."""
        return repeat(_request("GET", self._path, self._bed.login()))

    async def read_first(self, _span: Span) -> Iterator[bytes]:
        """The first page of a long list."""
        return repeat(_request("GET", await self._long(), self._bed.login()))

    async def read_deep(self, _span: Span) -> Iterator[bytes]:
        """A page of it behind 100,000 todos."""
        return repeat(_request("GET", f"{await self._long()}&cursor={cursor()}", self._bed.login()))

    async def _long(self) -> str:
        return f"/lists/{await self._bed.crowded()}/todos?limit={TODOS}"

    async def read_one(self, _span: Span) -> Iterator[bytes]:
        """One todo, by the same session over and over."""
        return repeat(_request("GET", f"/todos/{self._bed.todo_id}", self._bed.login()))

    async def read_primed(self, span: Span) -> Iterator[bytes]:
        """As `greet_primed`."""
        return await self._new(self._path, span, primed=True)

    async def read_unknown(self, span: Span) -> Iterator[bytes]:
        """As `greet_unknown`."""
        return await self._new(self._path, span, primed=False)

    async def create(self, _span: Span) -> Iterator[bytes]:
        """Todos, in a list of their own, so that no run meets the rows of another."""
        token = self._bed.login()
        path = f"/lists/{self._bed.new_list(f'Written {uuid4()}', token)}/todos"
        body = msgspec.json.encode({"content": "Buy oat milk", "priority": "high"})
        return repeat(_request("POST", path, token, body))

    async def login(self, _span: Span) -> Iterator[bytes]:
        """The password grant."""
        form = urlencode({"username": STRANGER, "password": PASSWORD}).encode()
        return repeat(_request("POST", "/auth/jwt/login", None, form, "application/x-www-form-urlencoded"))

    async def me(self, _span: Span) -> Iterator[bytes]:
        """What user-svc itself is asked; it looks into PostgreSQL each time."""
        return repeat(_request("GET", "/me", self._bed.login()))

    async def _new(self, path: str, span: Span, *, primed: bool) -> Iterator[bytes]:
        fresh = [uuid4() for _ in range(int(FASTEST * (span.warmup + span.measured)))]
        model = session_of(self._bed.login())
        await self._clone(model, fresh)
        if primed:
            await self._prime(model, fresh)
        owner = self._bed.owner
        tokens = [mint_token(self._keys, sub=owner, sid=str(session)) for session in fresh]
        return iter([_request("GET", path, token) for token in tokens])

    async def _clone(self, model: UUID, fresh: list[UUID]) -> None:
        """Copy a session that a login made, in PostgreSQL: thousands of logins would take minutes."""
        connection = await asyncpg.connect(self._bed.postgres.dsn("user_svc"))
        try:
            await connection.execute(_CLONE, model, fresh)
        finally:
            await connection.close()

    async def _prime(self, model: UUID, fresh: list[UUID]) -> None:
        """Copy what the login told Redis."""
        async with Redis.from_url(self._bed.redis.url) as redis:
            standing = await redis.get(key(model)) or b""
            async with redis.pipeline(transaction=False) as pipeline:
                for session in fresh:
                    pipeline.set(key(session), standing, ex=600)
                await pipeline.execute()


def _request(
    method: str, path: str, token: str | None, body: bytes = b"", media_type: str = "application/json"
) -> bytes:
    """The bytes of a request; made before the clock runs."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1"]
    if token:
        lines.append(f"Authorization: Bearer {token}")
    if body:
        lines += [f"Content-Type: {media_type}", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body
