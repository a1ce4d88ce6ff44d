"""A todo-svc of today beside a user-svc of each recorded contract, as during a release."""

from typing import Any

import httpx
import pytest

from common.auth import KeyRing
from common.settings import load
from common.testing import client_of, mint_token
from devstack.contracts import recorded
from devstack.places import ROOT
from todo_svc.app import create_app
from todo_svc.settings import Settings

RECORDED = recorded(ROOT)


@pytest.mark.parametrize("version", range(1, len(RECORDED) + 1))
async def test_the_guard_takes_the_me_of(version: int, variables: dict[str, str]) -> None:
    """The caller is let in, and user-svc has vouched."""
    me: dict[str, Any] = RECORDED[version - 1]["GET /me"]["example"]
    settings = load(Settings, variables)
    user_svc = httpx.MockTransport(lambda request: httpx.Response(200 if request.url.path == "/me" else 404, json=me))
    token = mint_token(KeyRing.parse(variables["JWT_KEYS"]), sub=me["id"])
    async with client_of(create_app(settings, transport=user_svc)) as client:
        answer = await client.get("/lists", headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.headers["X-Auth-Source"]) == (200, "user-svc")
