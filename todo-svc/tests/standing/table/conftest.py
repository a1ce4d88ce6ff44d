"""The stage of the state table: a todo-svc for each state of user-svc, and the one Redis that they share."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import pytest

from devstack.fixtures import RunningStack, started


def page(status: str, kind: str, body: str) -> bytes:
    """An answer that is not user-svc's own."""
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


ANSWERS = {
    "500": page("500 Internal Server Error", "application/json", '{"status":500}'),
    "429": page("429 Too Many Requests", "application/json", '{"status":429}'),
    "html": page("200 OK", "text/html", "<!doctype html><title>Be right back</title>"),
}


class Impostor:
    """Stands where a todo-svc looks for user-svc, and has one answer to everything."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self.answered = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer until the other side leaves."""
        with suppress(OSError, asyncio.IncompleteReadError):
            while await reader.readuntil(b"\r\n\r\n"):
                self.answered += 1
                writer.write(self._answer)
        writer.close()


class Stage:
    """The stack, and one todo-svc for each state of user-svc that it is to meet."""

    def __init__(self, stack: RunningStack, folders: pytest.TempPathFactory) -> None:
        self.stack = stack
        self._folders = folders
        self.impostors: dict[str, Impostor] = {}

    @asynccontextmanager
    async def seen_from(self, *states: str) -> AsyncIterator[dict[str, str]]:
        """New processes of todo-svc from whose places user-svc is in these states, and their addresses."""
        async with AsyncExitStack() as ending:
            replicas = {}
            for state in states:
                url = await self._user_url(state, ending)
                replicas[state] = self.stack.another_todo_svc(self._folders.mktemp(state), user_url=url)
            ending.enter_context(started(*replicas.values()))
            yield {state: service.url for state, service in replicas.items()}

    async def _user_url(self, state: str, ending: AsyncExitStack) -> str:
        """Where user-svc is in this state: up or paused it is the stack's own."""
        if state == "stopped":
            nobody = ending.enter_context(socket.socket())
            nobody.bind(("127.0.0.1", 0))  # and does not listen
            return f"http://127.0.0.1:{nobody.getsockname()[1]}"
        if state not in ANSWERS:
            return self.stack.user_url
        self.impostors[state] = Impostor(ANSWERS[state])
        server = await asyncio.start_server(self.impostors[state].serve, "127.0.0.1")
        await ending.enter_async_context(server)
        return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.fixture
def stage(running_stack: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """The stage; whatever the test did to the stack's pieces is undone after it."""
    yield Stage(running_stack, tmp_path_factory)
    running_stack.restore()
