"""A cluster: our keys go from one of its servers to another under both services, and nobody who asks them notices."""

from typing import Any

from common.auth.standing import READY, TOMBSTONE, key
from common.events import STREAM
from common.testing import eventually, session_of

TAG = "{gatehouse}"
WRONG = {"username": "bob@example.com", "password": "not-his-password"}


async def test_all_that_is_kept_in_redis(cluster: Any, serve: Any) -> None:
    """Standings are read, a logout is told, tries are counted and a deletion is heard of, all at the slot's owner."""
    async with serve(cluster.url) as services:
        good, ended = await services.log_in(), await services.log_in()
        await eventually(lambda: is_read_from_redis(services, good))
        await services.log_out(ended)
        tries = [(await services.user_svc.post("/auth/jwt/login", data=WRONG)).status_code for _ in range(11)]
        assert tries == [400] * 10 + [429]
        assert (await services.user_svc.delete("/users/me", headers=good)).status_code == 204
        await eventually(lambda: has_taken_an_event(cluster))
        names = {key.partition(b":")[0] for node in cluster.masters for key in node.ask("KEYS", "*")}
        assert names == {b"{gatehouse}standing", b"{gatehouse}throttle", b"{gatehouse}user-events"}


async def test_owner_changes(cluster: Any, serve: Any) -> None:
    """It hands over and lives on, or dies: whoever follows is believed once it is loaded, and logouts hold."""
    async with serve(cluster.url) as services:
        good, ended, *late = [await services.log_in() for _ in range(4)]
        await eventually(lambda: is_read_from_redis(services, good))
        await services.log_out(ended)
        for session, last_words in zip(late, (cluster.promote, cluster.bury), strict=True):
            last_words()
            await eventually(lambda: is_read_from_redis(services, good, ended))
            await services.log_out(session)
            assert holds_tombstones(cluster, ended, session)


async def test_slot_moves(cluster: Any, serve: Any) -> None:
    """While a part of our keys is elsewhere Redis counts as away; logouts of before and meanwhile hold."""
    async with serve(cluster.url) as services:
        good, ended, late = [await services.log_in() for _ in range(3)]
        await eventually(lambda: is_read_from_redis(services, good))
        await services.log_out(ended)
        target = cluster.begin_move()
        assert await services.statuses(good, ended) == [200, 401]
        assert (await services.todo_svc.post("/lists", json={"title": "Groceries"}, headers=good)).status_code == 201
        await services.log_out(late)
        cluster.end_move(target)
        await eventually(lambda: is_read_from_redis(services, good, ended, late))
        await eventually(lambda: holds_tombstones(cluster, ended, late))


async def is_read_from_redis(services: Any, good: dict[str, str], *ended: dict[str, str]) -> bool:
    """Whether todo-svc believes what Redis says of a session; each answer on the way there has to be right."""
    assert await services.statuses(*ended) == [401] * len(ended)
    answer = await services.todo_svc.get("/todos", headers=good)
    assert answer.status_code == 200
    return bool(answer.headers["X-Auth-Source"] == "redis")


def holds_tombstones(cluster: Any, *ended: dict[str, str]) -> bool:
    """Whether the owner has been loaded by user-svc, and knows of these sessions."""
    keys = [TAG + key(session_of(each["Authorization"].removeprefix("Bearer "))) for each in ended]
    words: list[bytes] = cluster.owner.ask("MGET", TAG + READY, *keys)
    return words == [cluster.owner.identity(), *[TOMBSTONE] * len(ended)]


def has_taken_an_event(cluster: Any) -> bool:
    """Whether todo-svc has read one from the stream, and was done with it."""
    [group] = cluster.owner.ask("XINFO", "GROUPS", TAG + STREAM)
    fields = group if isinstance(group, dict) else dict(zip(group[::2], group[1::2], strict=True))
    return (fields[b"entries-read"], fields[b"pending"]) == (1, 0)
