"""`If-Match` on changes: of several that saw the same state one is made, the others learn the new one."""

import asyncio
from typing import Any
from uuid import uuid4

import httpx
import pytest

from todo_svc.lists.queries import ListQueries
from todo_svc.todos.queries import TodoQueries

Json = dict[str, Any]
THINGS = ["list", "todo"]


@pytest.fixture
def things(groceries: Json, milk: Json) -> dict[str, tuple[str, Json, Json]]:
    """Where it is, how it is, and a change of it."""
    return {
        "list": (f"/lists/{groceries['id']}", groceries, {"title": "Changed"}),
        "todo": (f"/todos/{milk['id']}", milk, {"content": "Changed"}),
    }


@pytest.mark.parametrize("kind", THINGS)
async def test_ten_with_one_tag(ann: httpx.AsyncClient, things: Any, kind: str) -> None:
    """One 200 with the next tag, nine 412 with that tag and with what the one made of it."""
    path, _, change = things[kind]
    answers = await asyncio.gather(*(ann.patch(path, json=change, headers={"If-Match": '"1"'}) for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 9
    assert {answer.headers["ETag"] for answer in answers} == {'"2"'}
    [made] = [answer.json() for answer in answers if answer.status_code == 200]
    for answer in answers:
        if answer.status_code == 412:
            problem = answer.json()
            assert answer.headers["Content-Type"] == "application/problem+json"
            assert (problem["code"], problem["current"]) == ("PRECONDITION_FAILED", made)


@pytest.mark.parametrize("kind", THINGS)
async def test_old_state(ann: httpx.AsyncClient, things: Any, kind: str) -> None:
    """412 for a change, an empty change and a deletion; nothing is changed, and what is there is shown."""
    path, was, change = things[kind]
    for field in ('"2"', 'W/"1"', '"x"', "garbage", '"p1-1"'):
        condition = {"If-Match": field}
        for answer in (
            await ann.patch(path, json=change, headers=condition),
            await ann.patch(path, json={}, headers=condition),
            await ann.delete(path, headers=condition),
        ):
            assert (answer.status_code, answer.headers["ETag"], answer.json()["current"]) == (412, '"1"', was)
    assert (await ann.get(path)).json() == was


@pytest.mark.parametrize("kind", THINGS)
@pytest.mark.parametrize("headers", [{}, {"If-Match": "*"}], ids=["none", "any"])
async def test_who_sets_no_condition_misses_none(
    ann: httpx.AsyncClient, things: Any, monkeypatch: pytest.MonkeyPatch, kind: str, headers: dict[str, str]
) -> None:
    """What was in the trash for the change is 404 for its caller, also where it is restored in that moment."""
    path, _, change = things[kind]
    assert (await ann.delete(path)).status_code == 204

    async def restored(*_: Any, **__: Any) -> Any:
        raise AssertionError("it was read again")

    monkeypatch.setattr(ListQueries, "one", restored)
    monkeypatch.setattr(TodoQueries, "one", restored)
    for answer in (await ann.patch(path, json=change, headers=headers), await ann.delete(path, headers=headers)):
        assert answer.status_code == 404


@pytest.mark.parametrize("kind", THINGS)
async def test_right_state(ann: httpx.AsyncClient, things: Any, kind: str) -> None:
    """One of several tags, or any with `*`; each answer carries the tag for the next change."""
    path, _, change = things[kind]
    first = await ann.patch(path, json=change, headers={"If-Match": '"9", "1"'})
    again = await ann.patch(path, json={}, headers={"If-Match": first.headers["ETag"]})
    last = await ann.patch(path, json=change, headers={"If-Match": "*"})
    assert [answer.headers["ETag"] for answer in (first, again, last)] == ['"2"', '"2"', '"3"']
    assert (await ann.delete(path, headers={"If-Match": '"3"'})).status_code == 204


async def test_new_ones_have_a_tag(ann: httpx.AsyncClient) -> None:
    """201 carries it too."""
    made = await ann.post("/lists", json={"title": "New"})
    todo = await ann.post(f"/lists/{made.json()['id']}/todos", json={"content": "New"})
    assert (made.headers["ETag"], todo.headers["ETag"]) == ('"1"', '"1"')


@pytest.mark.parametrize("path", ["/lists/{}", "/todos/{}"])
async def test_what_is_not_there_has_no_state(ann: httpx.AsyncClient, path: str) -> None:
    """404, whatever the condition."""
    for field in ('"1"', "*"):
        for method, body in (("PATCH", {}), ("PATCH", {"description": None}), ("DELETE", None)):
            answer = await ann.request(method, path.format(uuid4()), json=body, headers={"If-Match": field})
            assert answer.status_code == 404


async def test_what_was_read_among_others(ann: httpx.AsyncClient, groceries: Json, milk: Json) -> None:
    """A page's tag is of no single thing, and holds a change back; each thing's own is its version in quotes."""
    path = f"/lists/{groceries['id']}"
    answer = await ann.get(path, params={"include": "todos"})
    assert (await ann.patch(path, json={}, headers={"If-Match": answer.headers["ETag"]})).status_code == 412
    for where, thing in ((path, answer.json()), (f"/todos/{milk['id']}", answer.json()["todos"][0])):
        tag = f'"{thing["version"]}"'
        assert (await ann.patch(where, json={}, headers={"If-Match": tag})).status_code == 200
        assert (await ann.get(where)).headers["ETag"] == tag
