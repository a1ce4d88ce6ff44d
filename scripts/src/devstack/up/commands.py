"""What `stack` may ask of a running `up`, one request at a time."""

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from devstack.processes import Server, StackError, wait_until
from devstack.up.pieces import Pieces
from devstack.up.service import Service

READY_WITHIN = 5.0
EXTERNAL = "{name} is external: it is neither started nor stopped from here"


class Commands:
    """Carries out the requests that come over the control socket."""

    def __init__(self, stack: Pieces, pool: ThreadPoolExecutor) -> None:
        self._stack = stack
        self._pool = pool
        self._one_at_a_time = asyncio.Lock()
        self._verbs: dict[str, Callable[[Server], str]] = {
            "start": self._start,
            "stop": _stop,
            "kill": _kill,
            "pause": _pause,
            "resume": _resume,
        }

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read one request, write one answer."""
        try:
            request = json.loads(await reader.readline())
            answer = {"done": await self._carry_out(request["verb"], request["name"], request.get("variables", {}))}
        except StackError as error:
            answer = {"error": str(error)}
        except (ValueError, KeyError, TypeError):
            answer = {"error": "that was no request"}
        writer.write(json.dumps(answer).encode() + b"\n")
        writer.close()

    async def _carry_out(self, verb: str, name: str | None, variables: dict[str, str]) -> Any:
        loop = asyncio.get_running_loop()
        if verb == "status":
            return await loop.run_in_executor(self._pool, self._stack.status)
        if not (server := self._stack.servers.get(str(name))):
            raise StackError(EXTERNAL.format(name=name))
        if verb == "pids":
            return server.pids()
        async with self._one_at_a_time:
            if variables:
                _equip(server, variables)
            return await loop.run_in_executor(self._pool, self._verbs[verb], server)

    def _start(self, server: Server) -> str:
        if (state := server.state) == "running":
            return f"{server.name} is already running"
        if state == "paused":
            raise StackError(f"{server.name} is paused: resume it")
        server.start()
        if isinstance(server, Service) and self._database_runs():
            wait_until(server.ready, READY_WITHIN)
        return f"{server.name} runs"

    def _database_runs(self) -> bool:
        return self._stack.postgres is None or self._stack.postgres.state == "running"


def _equip(server: Server, variables: dict[str, str]) -> None:
    """Change the environment of the next start, and of all that follow."""
    if not isinstance(server, Service):
        raise StackError(f"{server.name} takes no variables: only a service does")
    if server.alive:
        raise StackError(f"{server.name} runs: stop it first, then start it with its new variables")
    server.environment = server.environment | variables


def _stop(server: Server) -> str:
    if (state := server.state) == "stopped":
        return f"{server.name} is already stopped"
    server.stop()
    return f"{server.name} is stopped" + (" (it was dead)" if state == "dead" else "")


def _kill(server: Server) -> str:
    if not server.alive:
        return f"{server.name} is not running"
    server.kill()
    return f"{server.name} is killed"


def _pause(server: Server) -> str:
    if (state := server.state) == "paused":
        return f"{server.name} is already paused"
    if state != "running":
        raise StackError(f"{server.name} is {state}: start it first")
    server.pause()
    return f"{server.name} is paused"


def _resume(server: Server) -> str:
    if (state := server.state) == "running":
        return f"{server.name} is already running"
    if state != "paused":
        raise StackError(f"{server.name} is {state}: start it")
    server.resume()
    return f"{server.name} runs again"
