"""The pages that mailed links lead to."""

import base64
import hashlib
import re
from collections.abc import Awaitable, Callable
from email.message import EmailMessage
from urllib.parse import urlsplit

import httpx
import pytest

Letters = Callable[..., Awaitable[list[EmailMessage]]]


@pytest.mark.parametrize("path", ["/auth/verify", "/auth/reset-password"])
async def test_a_page_runs_its_own_script_and_no_other(client: httpx.AsyncClient, path: str) -> None:
    """HTML whose policy names the one script by its hash, and lets nothing else in."""
    page = await client.get(path)

    [script] = re.findall(r"<script>(.*?)</script>", page.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = page.headers["content-security-policy"]
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert (page.headers["referrer-policy"], page.headers["cache-control"]) == ("no-referrer", "no-store")


@pytest.mark.parametrize("route", ["/auth/request-verify-token", "/auth/forgot-password"])
async def test_a_mailed_link_leads_to_a_page(client: httpx.AsyncClient, letters: Letters, route: str) -> None:
    """The link's path is served, and opening it uses nothing up."""
    account = {"email": "ann@example.com", "password": "correct horse battery"}
    await client.post("/auth/register", json=account)
    await client.post(route, json={"email": account["email"]})
    [letter] = await letters(1)
    text = letter.get_body(("plain",))
    assert text is not None
    [link] = re.findall(r"http\S+", text.get_content())

    assert (await client.get(urlsplit(link).path)).status_code == 200
