"""The stack under drill: one of its own, or one that runs; steered over the control socket of its `up`."""

import asyncio
import base64
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from common.auth.channel import identity
from common.auth.keys import KeyRing
from devstack import control
from devstack.drill.phases import Phase, Step
from devstack.drill.sessions import Session, signed_by
from devstack.ports import free_port
from devstack.processes import Launch, StackError
from devstack.up.settings import TAKEN
from todo_svc.settings import Settings as TodoSettings
from user_svc.settings import Settings as UserSettings

PIECES: Final = ("postgres", "redis", "user-svc", "todo-svc")
WORKERS: Final = 2
READY_KEY: Final = "standing:ready"
# A developer's own settings of the services would make of each drill another one.
SETTINGS: Final = frozenset(
    name.upper() for kind in (UserSettings, TodoSettings) for name in kind.__struct_fields__
) | frozenset(TAKEN)


class Stack:
    """The running stack whose data are in `folder`."""

    def __init__(self, folder: Path, status: dict[str, Any]) -> None:
        self._folder = folder
        self.urls = {name: str(status[name]["url"]) for name in ("user-svc", "todo-svc")}
        self.redis: Redis = Redis.from_url(status["redis"]["url"], socket_timeout=1, socket_connect_timeout=1)
        self._external = frozenset(name for name in PIECES if status[name]["state"] == "external")
        self._kid = f"drill-{secrets.token_hex(4)}"
        self._secret = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip("=")
        self._known_keys = ""
        self._rotated = False

    @classmethod
    async def of(cls, folder: Path) -> "Stack":
        """Look at the stack that runs on this folder.

        Raises:
            StackError: none does.

        """
        return cls(folder, await asyncio.to_thread(control.ask, folder, "status"))

    async def do(self, step: Step) -> None:
        """Take one step; return when it is done.

        Raises:
            StackError: it cannot be done.

        """
        if step.verb == "flush":
            await self._flush()
        elif step.verb == "rotate":
            self._rotated = True
            await self._ask("stop", step.piece)
            await self._ask("start", step.piece, {"JWT_KEYS": self._ring(step.piece)})
        else:
            await self._ask(step.verb, step.piece)

    async def restore(self) -> None:
        """Have every piece running again, whatever was under way."""
        for name in PIECES:
            state = (await self._ask("status"))[name]["state"]
            if state not in {"running", "external"}:
                await self._ask("resume" if state == "paused" else "start", name)

    async def processes(self, name: str) -> list[int]:
        """The pids of a piece."""
        return list(await self._ask("pids", name))

    async def forget(self, session: Session) -> None:
        """Have Redis know nothing of a session, as if its standing had expired."""
        await self.redis.delete(f"standing:{session.id}")

    async def is_loaded(self) -> bool:
        """Whether user-svc has told this very Redis every tombstone there is."""
        ready = await self.redis.get(READY_KEY)
        return bool(ready == await identity(self.redis))

    def learn_key(self, session: Session) -> None:
        """Find the key that signed a session; it is in the folder unless the stack was given another."""
        with suppress(OSError):
            keys = (self._folder / "jwt-key").read_text(encoding="ascii").strip()
            kid, key = KeyRing.parse(keys).signing
            if session.key_id == kid and signed_by(session.token, key):
                self._known_keys = keys

    def obstacle(self, phase: Phase) -> str | None:
        """Why this phase cannot be played here."""
        if theirs := phase.pieces & self._external:
            return f"{min(theirs)} is not this stack's own"
        if any(step.verb == "rotate" for step in phase.away) and not self._known_keys:
            return "the stack was given its JWT_KEYS"
        return None

    def check_rotation(self, session: Session) -> None:
        """See that the key was rotated, if it was to be.

        Raises:
            StackError: the old key still signs.

        """
        if self._rotated and session.key_id != self._kid:
            raise StackError(f"the key was to be rotated, but {session.key_id} still signs")

    def _ring(self, service: str) -> str:
        """The new key verifies everywhere before it signs anywhere."""
        new = f"{self._kid}:{self._secret}"
        return f"{new},{self._known_keys}" if service == "user-svc" else f"{self._known_keys},{new}"

    async def _flush(self) -> None:
        try:
            await self.redis.flushall()
        except RedisError as error:
            raise StackError(f"redis cannot be flushed: {error}") from error

    async def _ask(self, verb: str, name: str | None = None, variables: Mapping[str, str] | None = None) -> Any:
        return await asyncio.to_thread(control.ask, self._folder, verb, name, variables)


@asynccontextmanager
async def running(folder: Path | None) -> AsyncIterator[Stack]:
    """The stack of the folder, left as it was found; without a folder one of its own, gone at the end."""
    if folder is None:
        async with _own_folder() as own, _stack_of(own) as stack:
            yield stack
        return
    async with _stack_of(folder) as stack:
        try:
            yield stack
        finally:
            await stack.restore()


@asynccontextmanager
async def _stack_of(folder: Path) -> AsyncIterator[Stack]:
    stack = await Stack.of(folder)
    async with stack.redis:
        yield stack


@asynccontextmanager
async def _own_folder() -> AsyncIterator[Path]:
    """Run an `up` that ends with us, however we end; gives its data folder."""
    ports = [f"--{name}-port={free_port()}" for name in ("user", "todo", "postgres", "redis")]
    options = ["--ephemeral", "--no-seed", f"--workers={WORKERS}", *ports]
    said, says = os.pipe()
    process = Launch([sys.executable, "-m", "devstack", "up", *options], env=_environment()).open(signal.SIGTERM, says)
    os.close(says)
    try:
        yield await asyncio.to_thread(_await_ready, said)
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait)
        os.close(said)


def _environment() -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name.removesuffix("_FILE") not in SETTINGS}
    return inherited | {"THROTTLE_ACCOUNT_PER_MINUTE": "0"}  # a drill's few accounts log in all the time


def _await_ready(said: int) -> Path:
    """Read what `up` says until it is ready; its data folder."""
    lines: list[str] = []
    with os.fdopen(said, encoding="utf-8", closefd=False) as reader:
        for line in reader:
            lines.append(line.rstrip())
            if lines[-1] == "ready":
                return Path(next(line for line in lines if line.startswith("data ")).removeprefix("data").strip())
    raise StackError(f"the stack did not start: {lines[-1] if lines else 'it said nothing'}")
