"""The query parameters of a page of todos: each wrong value is 422 and named, on both routes."""

from typing import Any

import httpx
import pytest

Json = dict[str, Any]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(
            ("limit", value)
            for value in (
                "0",
                "-1",
                "101",
                "1.5",
                "x",
                "",
                "9" * 5000,
                "true",
                "\N{ARABIC-INDIC DIGIT ONE}",
                "1_0",
                "\0",
            )
        ),
        *(("status", value) for value in ("done", "FINISHED", "", "finished ", "0", "\0")),
        *(("priority", value) for value in ("urgent", "High", "", "3", "high,low", "\0")),
        *(("search", value) for value in ("", "x" * 201, "\0")),
        *(("order_by", value) for value in ("", "name", "priority,id", "created_at;", "x" * 33, "\0")),
        *(("cursor", value) for value in ("", "x", "x" * 513, "\0")),
    ],
)
async def test_a_wrong_value_is_named(ann: httpx.AsyncClient, groceries: Json, name: str, value: str) -> None:
    """422 problem+json with exactly this parameter."""
    for path in ("/todos", f"/lists/{groceries['id']}/todos"):
        answer = await ann.get(path, params={name: value})
        assert answer.status_code == 422
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert [error["location"] for error in answer.json()["errors"]] == [f"query.{name}"]


@pytest.mark.parametrize("value", ["x", "", "1", "01a20c69-534a-7647-b26e-d912c579c2bg", "\0"])
async def test_a_list_id_is_a_uuid(ann: httpx.AsyncClient, value: str) -> None:
    """422; a UUID that names no list is an empty page."""
    answer = await ann.get("/todos", params={"list_id": value})
    assert answer.status_code == 422
    assert [error["location"] for error in answer.json()["errors"]] == ["query.list_id"]


@pytest.mark.parametrize("limit", [1, 100])
async def test_limits_that_work(ann: httpx.AsyncClient, milk: Json, limit: int) -> None:
    """Both bounds are within."""
    assert (await ann.get("/todos", params={"limit": limit})).json()["items"] == [milk]


async def test_a_search_may_have_two_hundred_characters(ann: httpx.AsyncClient, groceries: Json) -> None:
    """Characters, not bytes."""
    await ann.post(f"/lists/{groceries['id']}/todos", json={"content": "😀" * 200})
    assert len((await ann.get("/todos", params={"search": "😀" * 200})).json()["items"]) == 1


async def test_a_wrong_value_is_not_repeated(ann: httpx.AsyncClient) -> None:
    """The refusal tells what would be right, not what was sent."""
    answer = await ann.get("/todos", params={"search": "s3cret" * 40, "limit": "s3cret"})
    assert answer.status_code == 422
    assert "s3cret" not in answer.text
