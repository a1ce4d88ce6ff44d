"""The drill's users and their sessions: some work all the time, some were never seen, some are dead."""

import asyncio
import base64
import hashlib
import hmac
import secrets
from collections import deque
from collections.abc import Iterator
from itertools import cycle
from typing import Any, Final

import msgspec
from msgspec import Struct

from common.dto import TokenResponse
from devstack.drill.judge import CREATED, OK, Act, Answer
from devstack.drill.wire import Call, Wire, login
from devstack.processes import StackError

USERS: Final = 4
STOCK: Final = 24  # sessions in reserve: nobody can log in while user-svc is away
MOST_KEPT: Final = 200


class Account(Struct, frozen=True):
    """A user of the drill, with a list to write to."""

    email: str
    password: str
    list_id: str = ""


class Session(Struct, frozen=True):
    """One login."""

    account: Account
    token: str

    @property
    def id(self) -> str:
        """`sid`: what Redis knows it by."""
        return str(_part(self.token, 1)["sid"])

    @property
    def key_id(self) -> str:
        """`kid`: the name of the key that signed."""
        return str(_part(self.token, 0)["kid"])


class Death(Struct):
    """A session whose logout was answered, when, and since when every process knows; times are monotonic."""

    token: str
    list_id: str
    at: float
    heard_at: float | None = None


class Sessions:
    """Who is there to send requests."""

    def __init__(self) -> None:
        self.accounts: list[Account] = []
        self.steady: Iterator[Session] = iter(())
        self.unseen: deque[Session] = deque(maxlen=MOST_KEPT)
        self.seen: deque[Session] = deque(maxlen=MOST_KEPT)
        self.dead: deque[Death] = deque(maxlen=MOST_KEPT)

    async def prepare(self, wire: Wire) -> None:
        """Make the users, two steady sessions each, and a reserve.

        Raises:
            StackError: the stack does not take them.

        """
        run = secrets.token_hex(4)
        for number in range(USERS):
            await self._settle(wire, Account(f"drill-{run}-{number}@example.com", secrets.token_urlsafe(16)))
        self.steady = cycle([await self.open(wire, account) for account in self.accounts * 2])
        for _ in range(STOCK // USERS):
            self.unseen.extend(await asyncio.gather(*(self.open(wire, account) for account in self.accounts)))

    async def open(self, wire: Wire, account: Account) -> Session:
        """Log in, while everything is there."""
        return opened(account, _made(await wire.send(login(account.email, account.password)), OK, "log in"))

    def take(self) -> Session | None:
        """A session to be ended, rather one that was used."""
        stock = self.seen or self.unseen
        return stock.popleft() if stock else None

    async def _settle(self, wire: Wire, account: Account) -> None:
        body = {"email": account.email, "password": account.password}
        registration = Call(act=Act.WRITE, service="user-svc", method="POST", path="/auth/register", body=body)
        _made(await wire.send(registration), CREATED, "register")
        session = await self.open(wire, account)
        title = {"title": "Drill"}
        creation = Call(
            act=Act.WRITE, service="todo-svc", method="POST", path="/lists", body=title, token=session.token
        )
        made = _made(await wire.send(creation), CREATED, "make a list")
        self.accounts.append(Account(account.email, account.password, msgspec.json.decode(made.body)["id"]))


def opened(account: Account, answer: Answer) -> Session:
    """The session that a login's answer holds."""
    return Session(account, msgspec.json.decode(answer.body, type=TokenResponse).access_token)


def forged(token: str, *, claims: dict[str, Any] | None = None) -> str:
    """The token with a signature that proves nothing; with other claims if given."""
    head, payload, signature = token.split(".")
    if claims:
        payload = _encode(msgspec.json.encode(_part(token, 1) | claims))
    noise = bytes(byte ^ 0x55 for byte in _decode(signature))
    return f"{head}.{payload}.{_encode(noise)}"


def signed_by(token: str, key: bytes) -> bool:
    """Whether this key made the token's signature."""
    proven, _, signature = token.rpartition(".")
    return hmac.compare_digest(hmac.digest(key, proven.encode(), hashlib.sha256), _decode(signature))


def _made(answer: Answer, status: int, deed: str) -> Answer:
    if answer.status != status:
        raise StackError(f"the drill's users cannot {deed}: the answer was {answer.status or 'none'}, not {status}")
    return answer


def _part(token: str, position: int) -> dict[str, Any]:
    part: dict[str, Any] = msgspec.json.decode(_decode(token.split(".")[position]))
    return part


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
