"""`user-svc users`: what an operator does with accounts; the first superuser is made here."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar
from uuid import UUID

import click
from msgspec import Struct

from common.cli import load_or_exit
from common.database import Database
from common.dto import User
from common.errors import ServiceError
from common.unit_of_work import UnitOfWork
from user_svc.accounts.schemas import Registration
from user_svc.accounts.service import AccountService
from user_svc.admin.queries import AdminQueries
from user_svc.admin.schemas import Actor, Flags
from user_svc.admin.service import Administration, no_such_user
from user_svc.passwords import Passwords
from user_svc.sessions.repository import SessionRepository
from user_svc.settings import Settings

NAME = "user-svc"
OPERATOR = Actor("cli")
NOBODY = UUID(int=0)

T = TypeVar("T")


class Desk(Struct, frozen=True):
    """What the commands work with."""

    accounts: AccountService
    administration: Administration
    queries: AdminQueries
    sessions: SessionRepository

    async def find(self, email: str) -> User:
        """The account of an address; raises `NotFound`."""
        found = await self.queries.by_email(email)
        if found is None:
            raise no_such_user()
        return found


@click.group(help="Accounts: create, promote, demote, deactivate, delete, list, sessions.")
def users() -> None:
    """The group."""


@users.command(help="Make an account; the password comes from a prompt, or from one line of standard input.")
@click.argument("email")
@click.option("--superuser", is_flag=True, help="Give it the power to administrate.")
def create(email: str, superuser: bool) -> None:
    """Make an account."""
    password = _password()

    async def work(desk: Desk) -> User:
        made = await desk.accounts.register(Registration(email, password))
        flags = Flags(is_superuser=True, is_verified=True) if superuser else Flags()
        return await desk.administration.change(OPERATOR, made.id, flags)

    _show(_run(work))


@users.command(help="Give an account the power to administrate.")
@click.argument("email")
def promote(email: str) -> None:
    """Make a superuser."""
    _change(email, Flags(is_superuser=True))


@users.command(help="Take that power away, and end the account's sessions.")
@click.argument("email")
def demote(email: str) -> None:
    """Make a superuser a user."""
    _change(email, Flags(is_superuser=False))


@users.command(help="Close an account, and end its sessions.")
@click.argument("email")
def deactivate(email: str) -> None:
    """Close an account."""
    _change(email, Flags(is_active=False))


@users.command(help="Delete an account, here and before long in every service.")
@click.argument("email")
@click.confirmation_option("--yes", prompt="This cannot be undone. Delete it?")
def delete(email: str) -> None:
    """Delete an account."""

    async def work(desk: Desk) -> User:
        found = await desk.find(email)
        await desk.administration.delete(OPERATOR, found.id)
        return found

    click.echo(f"deleted {_run(work).id}")


@users.command("list", help="List accounts, the oldest first.")
@click.option("--email", help="Only those whose address holds this.")
def list_users(email: str | None) -> None:
    """List accounts."""

    async def work(desk: Desk) -> None:
        cursor: str | None = None
        while True:
            page = await desk.queries.page(email, 100, cursor)
            for user in page.items:
                _show(user)
            cursor = page.next_cursor
            if cursor is None:
                return

    _run(work)


@users.command(help="List an account's open sessions.")
@click.argument("email")
def sessions(email: str) -> None:
    """List sessions."""

    async def work(desk: Desk) -> None:
        for session in await desk.sessions.open((await desk.find(email)).id, NOBODY):
            agent = "".join(each if each.isprintable() else "?" for each in session.user_agent or "")
            click.echo(f"{session.id}  {session.last_used_at:%Y-%m-%d %H:%M}  {session.address}  {agent}")

    _run(work)


def _change(email: str, flags: Flags) -> None:
    async def work(desk: Desk) -> User:
        return await desk.administration.change(OPERATOR, (await desk.find(email)).id, flags)

    _show(_run(work))


def _run(work: Callable[[Desk], Awaitable[T]]) -> T:
    """Do it, or end with one line that says why not."""

    async def run() -> T:
        async with _desk() as desk:
            return await work(desk)

    try:
        return asyncio.run(run())
    except ServiceError as error:
        reasons = [error.members.get("reason", ""), *(fault.message for fault in error.errors)]
        raise click.ClickException(": ".join(filter(None, (error.detail, *reasons)))) from None


@asynccontextmanager
async def _desk() -> AsyncIterator[Desk]:
    settings = load_or_exit(NAME, Settings)
    dsn = settings.session_url.reveal()
    unit_of_work = UnitOfWork(dsn, size=1, application=f"{NAME} users")
    passwords = Passwords.of(settings)
    lifetime = settings.jwt_max_seconds
    try:
        async with Database(dsn, size=1, application=f"{NAME} users") as database:
            yield Desk(
                AccountService(unit_of_work, passwords),
                Administration(database, token_lifetime=lifetime),
                AdminQueries(database),
                SessionRepository(database, token_lifetime=lifetime),
            )
    finally:
        passwords.close()
        await unit_of_work.close()


def _password() -> str:
    """From a prompt, twice and unseen; or a line of standard input. Never an argument: those are seen by everybody."""
    if sys.stdin.isatty():
        return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))
    return sys.stdin.readline().rstrip("\r\n")


def _show(user: User) -> None:
    marks = [
        name
        for name, holds in (
            ("superuser", user.is_superuser),
            ("verified", user.is_verified),
            ("inactive", not user.is_active),
        )
        if holds
    ]
    click.echo("  ".join((str(user.id), user.email, *marks)))
