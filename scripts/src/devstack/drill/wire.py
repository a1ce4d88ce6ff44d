"""The wire: sends one request and says what came back, or that nothing did."""

import asyncio
import time
from typing import Final, Self
from urllib.parse import urlsplit

import httpx
from msgspec import Struct

from devstack.drill.judge import NO_ANSWER, Act, Answer

PATIENCE: Final = 20.0  # seconds; the services answer or give up long before
IDLE: Final = 4.0  # seconds; uvicorn closes after 5
NOWHERE: Final = "00000000-0000-7000-8000-000000000000"  # no list has this id


class Call(Struct, frozen=True, kw_only=True):
    """A request to a service."""

    act: Act
    service: str
    method: str
    path: str
    token: str | None = None
    body: dict[str, str] | None = None
    form: dict[str, str] | None = None
    patience: float = PATIENCE


class Wire:
    """The way to the services, over shared connections."""

    def __init__(self, urls: dict[str, str]) -> None:
        self.urls = urls
        # trust_env: a proxy set in the environment would be asked for 127.0.0.1 as well
        self._client = httpx.AsyncClient(trust_env=False, limits=httpx.Limits(max_keepalive_connections=32))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_failure: object) -> None:
        await self._client.aclose()

    async def send(self, call: Call) -> Answer:
        """Send it."""
        return await exchange(self._client, self.urls[call.service], call)

    async def connect(self, service: str) -> "Connection | None":
        """A connection of its own, which one process of the service holds; None when nobody is there."""
        connection = Connection(self.urls[service])
        if await connection.open():
            return connection
        await connection.close()
        return None


class Connection:
    """One kept connection, one request at a time, so that all go to the same process."""

    def __init__(self, url: str) -> None:
        self.remote = urlsplit(url).port or 0
        self.local = 0
        self._url = url
        self._client = httpx.AsyncClient(trust_env=False, limits=httpx.Limits(max_connections=1))
        self._turn = asyncio.Lock()
        self._used = time.monotonic()
        self._closed = False

    async def open(self) -> bool:
        """Connect, and learn our own port."""
        try:
            answer = await self._client.get(f"{self._url}/health/live", timeout=1)
        except httpx.TransportError:
            return False
        self.local = answer.extensions["network_stream"].get_extra_info("client_addr")[1]
        return True

    @property
    def lost(self) -> bool:
        """Whether it broke, or was left alone so long that the server may close it and httpx would make another."""
        return self._closed or (not self._turn.locked() and time.monotonic() - self._used > IDLE)

    async def send(self, call: Call) -> Answer | None:
        """Send it when its turn has come; None if the connection has broken meanwhile, and nothing was sent."""
        async with self._turn:
            if self._closed:
                return None
            answer = await exchange(self._client, self._url, call)
            self._used = time.monotonic()
            self._closed |= answer.status == NO_ANSWER
            return answer

    async def close(self) -> None:
        """Give it up."""
        self._closed = True
        await self._client.aclose()


async def exchange(client: httpx.AsyncClient, url: str, call: Call) -> Answer:
    """One request and its answer; no answer has the status 0."""
    headers = {"Authorization": f"Bearer {call.token}"} if call.token else {}
    sent = time.monotonic()
    try:
        answer = await client.request(
            call.method, url + call.path, headers=headers, json=call.body, data=call.form, timeout=call.patience
        )
    except httpx.TransportError:
        return Answer(NO_ANSWER, sent, time.monotonic())
    return Answer(
        status=answer.status_code,
        sent=sent,
        answered=time.monotonic(),
        source=answer.headers.get("X-Auth-Source", ""),
        age=float(answer.headers.get("X-Auth-Age", 0)),
        retry_after="Retry-After" in answer.headers,
        body=answer.content,
    )


def reading(token: str, path: str = "/lists") -> Call:
    """A guarded GET."""
    return Call(act=Act.READ, service="todo-svc", method="GET", path=path, token=token)


def writing(token: str, list_id: str, content: str) -> Call:
    """A guarded POST."""
    path = f"/lists/{list_id}/todos"
    return Call(act=Act.WRITE, service="todo-svc", method="POST", path=path, token=token, body={"content": content})


def deleting(token: str) -> Call:
    """What needs a fresh standing; the list is nobody's."""
    return Call(act=Act.FRESH, service="todo-svc", method="DELETE", path=f"/lists/{NOWHERE}", token=token)


def login(email: str, password: str) -> Call:
    """The password grant, through todo-svc."""
    form = {"grant_type": "password", "username": email, "password": password}
    return Call(act=Act.LOGIN, service="todo-svc", method="POST", path="/auth/jwt/login", form=form)


def logout(token: str) -> Call:
    """The end of a session, at user-svc."""
    return Call(act=Act.LOGOUT, service="user-svc", method="POST", path="/auth/jwt/logout", token=token)
