"""Batches: what may be very many rows is changed so many at a time, by statements that are well within their time."""

from typing import Any, Final

from common.database import Statements

BATCH: Final = 10_000  # rows


async def in_batches(transaction: Statements, statement: str, *arguments: Any) -> int:
    """Run a statement until nothing is left for it; how many rows it changed in all.

    Its last argument is how many it may change at once, and its answer how many it did.
    """
    changed, full = 0, True
    while full:
        [row] = await transaction.rows(statement, *arguments, BATCH)
        changed += row[0]
        full = row[0] == BATCH
    return changed
