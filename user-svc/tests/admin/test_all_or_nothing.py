"""A change of several rows that PostgreSQL refuses in the middle has not been: all of it stands, or nothing."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

Change = Callable[[httpx.AsyncClient, Any, Any], Awaitable[httpx.Response]]
Rows = Callable[..., Awaitable[list[tuple[Any, ...]]]]

TABLES = ("accounts", "sessions", "refresh_tokens", "outbox", "audit", "erasures")
PASSWORDS = {"current_password": "correct horse battery", "new_password": "another horse battery"}
FAULT = """
CREATE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'the disk is full' USING ERRCODE = 'disk_full'; END $$
"""
CHANGES: dict[str, tuple[Change, tuple[str, ...]]] = {
    "deletion": (
        lambda client, ann, root: client.delete(ann.path, headers=root.headers),
        ("accounts", "outbox", "audit", "erasures"),
    ),
    "deactivation": (
        lambda client, ann, root: client.patch(ann.path, json={"is_active": False}, headers=root.headers),
        ("accounts", "sessions", "outbox", "audit"),
    ),
    "password": (
        lambda client, ann, _: client.post("/users/me/password", json=PASSWORDS, headers=ann.headers),
        ("accounts", "sessions", "outbox"),
    ),
}
PLACES = [(name, table) for name, (_, tables) in CHANGES.items() for table in tables]


@pytest.mark.parametrize(("name", "table"), PLACES)
async def test_refused_in_the_middle(
    client: httpx.AsyncClient,
    root: Any,
    ann: Any,
    rows: Rows,
    *,
    name: str,
    table: str,
) -> None:
    """Whichever table it was: every row is as before, everybody's session stands, and the next try succeeds."""
    change = CHANGES[name][0]
    before = await _all_of_it(rows)
    await rows(FAULT)
    await rows(f"CREATE TRIGGER fault BEFORE INSERT OR UPDATE OR DELETE ON {table} EXECUTE FUNCTION fault()")
    assert (await change(client, ann, root)).status_code in {500, 503}
    await rows(f"DROP TRIGGER fault ON {table}")
    assert await _all_of_it(rows) == before
    assert (await client.get("/me", headers=ann.headers)).status_code == 200
    assert (await change(client, ann, root)).status_code in {200, 204}


async def _all_of_it(rows: Rows) -> list[Any]:
    return [await rows(f"SELECT t::text FROM {table} t ORDER BY 1") for table in TABLES]
