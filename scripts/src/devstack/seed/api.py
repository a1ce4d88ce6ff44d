"""The routes that seeding needs, as typed calls: accounts at user-svc, lists and todos at todo-svc."""

from collections.abc import AsyncIterator, Callable
from typing import TypeVar

import httpx
from msgspec import Struct, structs

from common.dto import Page, TokenResponse
from devstack.seed.content import Account, ListDraft, TodoDraft
from devstack.seed.service import ATTEMPTS, Call, LostError, SeedError, Service, problem_code

T = TypeVar("T")


class ListItem(Struct, frozen=True):
    """What seeding reads of a list."""

    id: str
    title: str


class TodoItem(Struct, frozen=True):
    """What seeding reads of a todo."""

    id: str
    content: str
    completed: bool


class Completion(Struct, frozen=True):
    """The body of `PATCH /todos/{id}` that completes it."""

    completed: bool = True


class Api:
    """What can be asked without a token."""

    def __init__(self, client: httpx.AsyncClient, user_url: str, todo_url: str, notice: Callable[[str], None]) -> None:
        self.user_svc = Service("user-svc", user_url, client, notice)
        self.todo_svc = Service("todo-svc", todo_url, client, notice)

    @property
    def requests(self) -> int:
        """How many requests were sent."""
        return self.user_svc.requests + self.todo_svc.requests

    async def check(self) -> None:
        """See that both services are there, or raise SeedError."""
        await self.user_svc.check()
        await self.todo_svc.check()

    async def register(self, account: Account) -> bool:
        """Create the account; false when it was there."""
        call = Call(method="POST", path="/auth/register", body=account, expect=frozenset({201, 409}))
        answer = await self.user_svc.send(call)
        return answer.status_code == httpx.codes.CREATED

    async def login(self, account: Account) -> "Session":
        """Log in through todo-svc."""
        return Session(self, account, await self.token(account))

    async def token(self, account: Account) -> str:
        """The access token of a new session.

        Raises:
            SeedError: the account has another password.

        """
        form = {"grant_type": "password", "username": account.email, "password": account.password}
        call = Call(method="POST", path="/auth/jwt/login", form=form, expect=frozenset({200, 400}))
        answer = await self.todo_svc.send(call)
        if answer.status_code != httpx.codes.OK:
            raise SeedError(f"{account.email} exists with another password: choose another --seed")
        return self.todo_svc.read(answer, TokenResponse).access_token


class Session:
    """One user at todo-svc; logs in again when the token has expired."""

    def __init__(self, api: Api, account: Account, token: str) -> None:
        self._api = api
        self._service = api.todo_svc
        self._account = account
        self._token = token

    async def create_list(self, draft: ListDraft) -> tuple[str, bool]:
        """Create a list, or find the one that has its title; returns the id and whether it was created."""
        call = Call(method="POST", path="/lists", body=draft, expect=frozenset({201, 409}))
        answer = await self._send(call)
        if answer.status_code == httpx.codes.CREATED:
            return self._service.read(answer, ListItem).id, True
        known = await self.lists()
        if draft.title not in known:
            reason = problem_code(answer)
            raise SeedError(f"{self._service} refused the list {draft.title!r} ({reason}) but does not have it")
        return known[draft.title], False

    async def create_todo(self, list_id: str, draft: TodoDraft) -> TodoItem:
        """Create a todo in a list of the user's; when an answer is lost, look before trying again."""
        path = f"/lists/{list_id}/todos"
        call = Call(method="POST", path=path, body=draft, expect=frozenset({201}), repeatable=False)
        attempt = 0
        while True:
            attempt += 1
            try:
                return self._service.read(await self._send(call), TodoItem)
            except LostError:
                found = (await self.todos(list_id)).get(draft.content)
                if found is not None:
                    return found
                if attempt == ATTEMPTS:
                    raise

    async def complete(self, todo: TodoItem) -> None:
        """Tick a todo off."""
        path = f"/todos/{todo.id}"
        await self._send(Call(method="PATCH", path=path, body=Completion(), expect=frozenset({200})))

    async def lists(self) -> dict[str, str]:
        """The ids of all lists of the user, by title."""
        return {item.title: item.id async for item in self._pages("/lists", Page[ListItem])}

    async def todos(self, list_id: str) -> dict[str, TodoItem]:
        """All todos of a list, by content."""
        path = f"/lists/{list_id}/todos"
        return {item.content: item async for item in self._pages(path, Page[TodoItem])}

    async def _pages(self, path: str, kind: type[Page[T]]) -> AsyncIterator[T]:
        params = {"limit": "100"}
        while True:
            call = Call(method="GET", path=path, params=params, expect=frozenset({200}))
            page = self._service.read(await self._send(call), kind)
            for item in page.items:
                yield item
            if page.next_cursor is None:
                return
            params = {**params, "cursor": page.next_cursor}

    async def _send(self, call: Call) -> httpx.Response:
        expired = frozenset({httpx.codes.UNAUTHORIZED})
        answer = await self._service.send(self._authorized(call, call.expect | expired))
        if answer.status_code not in expired:
            return answer
        self._token = await self._api.token(self._account)
        return await self._service.send(self._authorized(call, call.expect))

    def _authorized(self, call: Call, expect: frozenset[int]) -> Call:
        headers = {**call.headers, "Authorization": f"Bearer {self._token}"}
        return structs.replace(call, headers=headers, expect=expect)
