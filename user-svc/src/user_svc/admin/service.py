"""Changing and deleting accounts: all that follows from it happens in the same transaction, or not at all."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from uuid import UUID

import msgspec
from uuid_utils.compat import uuid7

from common.database import Database
from common.dto import User, UserEvent
from common.errors import Conflict, NotFound
from user_svc.admin.repository import AdminChanges
from user_svc.admin.schemas import Actor, Flags

DELETED: Final = "user.deleted"
DEACTIVATED: Final = "user.deactivated"


class Administration:
    """What can be done to an account by somebody with the power to."""

    def __init__(self, database: Database, *, token_lifetime: int) -> None:
        self._database = database
        self._token_lifetime = token_lifetime

    async def change(self, actor: Actor, account: UUID, flags: Flags) -> User:
        """Set flags. Who loses power or access loses every session.

        Raises:
            NotFound: there is no such account.
            Conflict: nobody would be left to administrate.

        """
        given = {name: value for name, value in msgspec.structs.asdict(flags).items() if value is not msgspec.UNSET}
        async with self._transaction() as changes:
            before = await _held(changes, account)
            after = msgspec.structs.replace(before, **given)
            if after == before:
                return before
            if _has_power(before) and not _has_power(after):
                await _keep_one(changes, account)
            await changes.change(after)
            if (before.is_active and not after.is_active) or (before.is_superuser and not after.is_superuser):
                await changes.end_sessions(account)
            if before.is_active and not after.is_active:
                await changes.announce(UserEvent(DEACTIVATED, account))
            await changes.audit(uuid7(), actor, "user.change", account, given)
        return after

    async def delete(self, actor: Actor, account: UUID) -> None:
        """Delete an account, here and, before long, everywhere.

        Raises:
            NotFound: there is no such account.
            Conflict: nobody would be left to administrate.

        """
        async with self._transaction() as changes:
            if _has_power(await _held(changes, account)):
                await _keep_one(changes, account)
            await changes.end_sessions(account)
            sequence = await changes.erase(account)
            await changes.announce(UserEvent(DELETED, account, sequence))
            await changes.audit(uuid7(), actor, "user.delete", account, {})

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[AdminChanges]:
        async with self._database.transaction() as connection:
            yield AdminChanges(connection, token_lifetime=self._token_lifetime)


async def _held(changes: AdminChanges, account: UUID) -> User:
    user = await changes.hold(account)
    if user is None:
        raise no_such_user()
    return user


async def _keep_one(changes: AdminChanges, account: UUID) -> None:
    if not await changes.has_other_superuser(account):
        raise Conflict("this is the last superuser", code="LAST_SUPERUSER")


def _has_power(user: User) -> bool:
    return user.is_superuser and user.is_active


def no_such_user() -> NotFound:
    """The one 404 of accounts."""
    return NotFound("there is no such user", code="USER_NOT_FOUND")
