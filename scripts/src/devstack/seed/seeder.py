"""The work itself: bring every user, list and todo to what the content says, adding only what is missing."""

import asyncio
from collections.abc import Iterator

from devstack.seed.api import Api, Session
from devstack.seed.content import Content
from devstack.seed.options import Options
from devstack.seed.progress import Progress

KINDS = ("users", "lists", "todos")


class Seeder:
    """Works on several users at once, and on one thing at a time within a user."""

    def __init__(self, options: Options, content: Content, api: Api, progress: Progress) -> None:
        self.created = dict.fromkeys(KINDS, 0)
        self.existing = dict.fromkeys(KINDS, 0)
        self._options = options
        self._content = content
        self._api = api
        self._progress = progress

    async def run(self) -> None:
        """Do all of it.

        Raises:
            SeedError: a service is away, or answered what it should not.

        """
        users = iter(range(self._options.users))
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self._options.concurrency, self._options.users)):
                    group.create_task(self._work(users))
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None

    async def _work(self, users: Iterator[int]) -> None:
        """One worker: the iterator it shares with the others is the queue."""
        for user in users:
            await self._fill_user(user)

    async def _fill_user(self, user: int) -> None:
        account = self._content.account(user)
        created = await self._api.register(account)
        session = await self._api.login(account)
        self._count("users", created=created)
        if self._options.lists:
            known = {} if created else await session.lists()
            for position in range(self._options.lists):
                await self._fill_list(session, user, position, known)

    async def _fill_list(self, session: Session, user: int, position: int, known: dict[str, str]) -> None:
        draft = self._content.todo_list(user, position)
        list_id, created = known.get(draft.title), False
        if list_id is None:
            list_id, created = await session.create_list(draft)
        self._count("lists", created=created)
        present = {} if created or not self._options.todos else await session.todos(list_id)
        for place in range(self._options.todos):
            planned, completed = self._content.todo(user, position, place)
            found = present.get(planned.content)
            todo = found or await session.create_todo(list_id, planned)
            if completed and not todo.completed:
                await session.complete(todo)
            self._count("todos", created=found is None)

    def _count(self, kind: str, *, created: bool) -> None:
        (self.created if created else self.existing)[kind] += 1
        self._progress.advance()
