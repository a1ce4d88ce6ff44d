"""Starts the pieces, watches them, does what `stack` asks, stops them."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from devstack import control
from devstack.processes import Server
from devstack.up import demo, folder, mail, pieces, report
from devstack.up.commands import Commands
from devstack.up.databases import create_missing
from devstack.up.options import Options
from devstack.up.pieces import Pieces

ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
INTERRUPTED = 130


class Supervisor:
    """One stack in one data folder."""

    def __init__(self, options: Options, data: Path) -> None:
        self.options = options
        self.folder = data
        # Pieces are tied to the threads that started them, so these last until all pieces are stopped.
        self.pool = ThreadPoolExecutor(8, thread_name_prefix="pieces")

    async def run(self) -> int:
        """Bring everything up, stay until told to end, take everything down."""
        with folder.held(self.folder):
            folder.rotate_logs(self.folder)
            stack = pieces.build(self.options, self.folder)
            for server in stack.servers.values():
                server.end_leftover()
            stack.check_ports()
            async with self._controlled(stack):
                return await self._live(stack)

    async def _live(self, stack: Pieces) -> int:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        for number in ENDINGS:
            loop.add_signal_handler(number, task.cancel if task else lambda: None)
        loop.add_signal_handler(signal.SIGCHLD, self._notice_deaths, stack)
        ended = INTERRUPTED
        try:
            await self._bring_up(stack)
            ended = 0
            await mail.tell(stack.mail_folder)
        except asyncio.CancelledError:
            report.say("stopping...")
        finally:
            for number in ENDINGS:
                loop.add_signal_handler(number, lambda: None)
            await asyncio.to_thread(self._take_down, stack)
        return ended

    async def _bring_up(self, stack: Pieces) -> None:
        await self._all(server.start for server in (stack.postgres, stack.redis) if server)
        stack.settle()
        if stack.database_server:
            await create_missing(stack.database_server)
        await self._all(service.migrate for service in stack.services)
        await self._all(service.start for service in stack.services)
        await self._all(service.wait_healthy for service in stack.services)
        if self.options.seed:
            await self._all([lambda: demo.seed(self.options.user_port, self.options.todo_port)])
        report.show(stack)

    async def _all(self, work: Iterable[Callable[[], None]]) -> None:
        """Do the pieces' blocking work side by side."""
        loop = asyncio.get_running_loop()
        await asyncio.gather(*(loop.run_in_executor(self.pool, job) for job in work))

    def _take_down(self, stack: Pieces) -> None:
        """Stop the services, then the servers; once more for what a start under way brought up meanwhile."""
        _stop(stack)
        self.pool.shutdown(cancel_futures=True)
        _stop(stack)

    def _notice_deaths(self, stack: Pieces) -> None:
        for server in stack.servers.values():
            if server.serving and not server.alive:
                server.serving = False
                report.say(f"{server.name} ended by itself: ./scripts/stack start {server.name} (log: {server.log})")
                self.pool.submit(server.end_orphans)

    @contextlib.asynccontextmanager
    async def _controlled(self, stack: Pieces) -> AsyncIterator[None]:
        """Listen to `stack` while the block runs."""
        commands = Commands(stack, self.pool)
        with control.address(self.folder) as path:
            server = await asyncio.start_unix_server(commands.answer, path)
        _make_private(self.folder / control.SOCKET)
        try:
            with folder.announced(self.folder):
                yield
        finally:
            server.close()
            (self.folder / control.SOCKET).unlink(missing_ok=True)


def _make_private(socket: Path) -> None:
    socket.chmod(0o600)


def _stop(stack: Pieces) -> None:
    servers = [server for server in (stack.redis, stack.postgres) if server]
    with ThreadPoolExecutor() as side_by_side:
        for group in (stack.services, servers):
            list(side_by_side.map(Server.stop, group))
