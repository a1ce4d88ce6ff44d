"""The login's form: whatever is in it, the answer is in OAuth2's words and never a 5xx."""

import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

Call = Callable[..., Awaitable[httpx.Response]]
Rows = Callable[..., Awaitable[list[tuple[Any, ...]]]]

URL = "/auth/jwt/login"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
PASSWORD = "correct horse battery"
GOOD = f"username=ann%40example.com&password={PASSWORD.replace(' ', '+')}".encode()

BAD_FORMS: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "invalid_request"),
    "no password": (b"username=ann%40example.com", "invalid_request"),
    "no username": (b"password=x", "invalid_request"),
    "empty fields": (b"username=&password=", "invalid_request"),
    "names alone": (b"username&password", "invalid_request"),
    "JSON in the body": (b'{"username": "ann@example.com", "password": "x"}', "invalid_request"),
    "a field twice": (GOOD + b"&password=other", "invalid_request"),
    "the same field twice": (GOOD + b"&username=ann%40example.com", "invalid_request"),
    "17 fields": (GOOD + b"".join(b"&f%d=1" % number for number in range(15)), "invalid_request"),
    "ten thousand separators": (b"&" * 10_000, "invalid_request"),
    "NUL in the username": (b"username=ann%00&password=x", "invalid_request"),
    "NUL in the password": (b"username=ann&password=x%00", "invalid_request"),
    "NUL in an unknown field": (GOOD + b"&x%00=1", "invalid_request"),
    "a raw NUL": (b"username=ann\0&password=x", "invalid_request"),
    "percent-encoded Latin-1": (b"username=ren%e9%40example.com&password=x", "invalid_request"),
    "a percent-encoded surrogate": (b"username=%ed%a0%80&password=x", "invalid_request"),
    "raw bytes that are no UTF-8": (b"username=\xff\xfe&password=x", "invalid_request"),
    "a username over any address": (b"username=" + b"a" * 321 + b"&password=x", "invalid_request"),
    "broken percent signs": (b"username=%zz%&password=%4", "invalid_grant"),
    "accents without an end": (b"username=ann&password=" + "\u0315\u0327".encode() * 15_000, "invalid_grant"),
    "another grant": (GOOD + b"&grant_type=client_credentials", "unsupported_grant_type"),
    "a refresh": (b"grant_type=refresh_token&refresh_token=x", "unsupported_grant_type"),
}

NO_FORM: dict[str, dict[str, str]] = {
    "nothing": {},
    "JSON": {"Content-Type": "application/json"},
    "a file": {"Content-Type": "multipart/form-data; boundary=x"},
    "Latin-1": {"Content-Type": "application/x-www-form-urlencoded; charset=latin-1"},
}


async def test_a_bad_form_is_refused_in_oauth2s_words(client: httpx.AsyncClient, register: Call, rows: Rows) -> None:
    """Whatever the form holds: 400 with an `error` of RFC 6749 section 5.2, in no time, and no session."""
    await register()
    started = time.process_time()

    answers = {name: await client.post(URL, content=content, headers=FORM) for name, (content, _) in BAD_FORMS.items()}

    assert {name: (answer.status_code, answer.json().get("error")) for name, answer in answers.items()} == {
        name: (400, error) for name, (_, error) in BAD_FORMS.items()
    }
    assert time.process_time() - started < 1.0
    assert await rows("SELECT * FROM sessions") == []
    for answer in answers.values():
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["error_description"] == answer.json()["detail"]
        assert PASSWORD not in answer.text


@pytest.mark.parametrize("headers", NO_FORM.values(), ids=NO_FORM)
async def test_what_does_not_say_it_is_a_form_is_415(client: httpx.AsyncClient, headers: dict[str, str]) -> None:
    """JSON instead of a form, or a form of another encoding, is told apart from a wrong password."""
    answer = await client.post(URL, content=GOOD, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")


async def test_a_form_over_64_kib_is_too_large(login: Call) -> None:
    """70 KB are 413, before any of it is hashed."""
    answer = await login(password="x" * 70_000)

    assert (answer.status_code, answer.json()["code"]) == (413, "CONTENT_TOO_LARGE")


@pytest.mark.parametrize("extra", [b"&grant_type=password", b"&grant_type=", b"&scope=&client_id=&client_secret=x"])
async def test_what_other_clients_send_besides_is_taken(
    client: httpx.AsyncClient, register: Call, extra: bytes
) -> None:
    """The docs page, browsers and libraries add a grant, a scope and a client."""
    await register()

    assert (await client.post(URL, content=GOOD + extra, headers=FORM)).status_code == 200
