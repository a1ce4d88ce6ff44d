"""A cluster: our keys go from one of its servers to another under both services, and nobody who asks them notices."""

from typing import Any

from common.events import STREAM
from common.testing import eventually

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
        names = {key.removeprefix(TAG.encode()).partition(b":")[0] for key in cluster.owner.ask("KEYS", f"{TAG}*")}
        assert names == {b"standing", b"throttle", STREAM.encode()}
        assert not [
            key for node in cluster.masters for key in node.ask("KEYS", "*") if not key.startswith(TAG.encode())
        ]


async def test_owner_changes(cluster: Any, serve: Any) -> None:
    """It hands over and lives on, or dies: whoever follows is believed once it is loaded, and logouts hold all along."""
    async with serve(cluster.url) as services:
        good, ended, *late = [await services.log_in() for _ in range(4)]
        await eventually(lambda: is_read_from_redis(services, good))
        await services.log_out(ended)
        for session, last_words in zip(late, (cluster.promote, cluster.bury), strict=True):
            last_words()
            await eventually(lambda: is_believed_again(services, good, ended))
            await services.log_out(session)


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
        await eventually(lambda: is_believed_again(services, good, ended, late))


async def is_read_from_redis(services: Any, session: dict[str, str]) -> bool:
    """Whether todo-svc believes what Redis says of it."""
    return bool((await services.todo_svc.get("/todos", headers=session)).headers["X-Auth-Source"] == "redis")


async def is_believed_again(services: Any, good: dict[str, str], *ended: dict[str, str]) -> bool:
    """The same, where each answer on the way there has to be right."""
    assert await services.statuses(good, *ended) == [200] + [401] * len(ended)
    return await is_read_from_redis(services, good)


def has_taken_an_event(cluster: Any) -> bool:
    """Whether todo-svc has read one from the stream, and was done with it."""
    [group] = cluster.owner.ask("XINFO", "GROUPS", TAG + STREAM)
    fields = group if isinstance(group, dict) else dict(zip(group[::2], group[1::2], strict=True))
    return (fields[b"entries-read"], fields[b"pending"]) == (1, 0)
