"""Turns: whoever writes takes the owner's clock first, and keeps it until the commit that makes the change visible.

Nothing else of the owner's is ever waited for, so that no two writes can wait for each other.
"""

from contextlib import AbstractAsyncContextManager
from typing import Final
from uuid import UUID

from common.database import Transaction, Transactions

_TAKE: Final = "SELECT seq FROM owners WHERE owner_id = {owner} FOR NO KEY UPDATE"
TURN: Final = f"({_TAKE.format(owner='$1')}) AS turn"
"""For the FROM of a statement that is a whole write; without a row where the owner has never written."""


def turn(database: Transactions, owner: UUID) -> AbstractAsyncContextManager[Transaction]:
    """A transaction of this owner's that writes; each of its statements sees what the turn before has committed."""
    return database.owned(owner, first=_TAKE.format(owner="'{owner}'"))
