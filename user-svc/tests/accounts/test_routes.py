"""Registration and `/me`, over HTTP."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from uuid import UUID

import httpx
import pytest
from argon2 import PasswordHasher

from common.testing import session_of

Call = Callable[..., Awaitable[httpx.Response]]
Rows = Callable[..., Awaitable[list[tuple[object, ...]]]]

URL = "/auth/register"
JSON = {"Content-Type": "application/json"}
ANN = "ann@example.com"
PASSWORD = "correct horse battery"

SPELLINGS = (
    "ren\u00e9@example.com",
    "RENE\u0301@Example.com",
    "\uff32en\u00c9@EXAMPLE.COM",
    "Rene\u0301@example\u3002com",
)


def body(**changes: object) -> bytes:
    """A good registration but for the changes."""
    return json.dumps({"email": ANN, "password": PASSWORD} | changes).encode()


MALFORMED = {
    "nothing": b"",
    "half an object": body()[:-1],
    "two objects": body() + body(),
    "single quotes": body().replace(b'"', b"'"),
    "not UTF-8": body(password="correct horse \xff").replace(b"\\u00ff", b"\xff"),
    "UTF-16": body().decode().encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf" + body(),
    "a lone surrogate in the address": body(email="\ud800@example.com"),
    "a lone surrogate in the password": body(password="correct horse \udfff"),
    "half a surrogate pair": body(password="\\ud83d\\u0041 correct horse").replace(b"\\\\", b"\\"),
    "a raw control character": body(password="correct\\nhorse").replace(b"\\\\n", b"\n"),
    "a form": b"email=ann%40example.com&password=correct+horse",
}

INVALID = {
    "a list": b"[]",
    "a text": b'"ann@example.com"',
    "null": b"null",
    "no e-mail": b'{"password": "correct horse battery"}',
    "no password": b'{"email": "ann@example.com"}',
    "a number for an e-mail": body(email=5),
    "a number for a password": body(password=1234567890),
    "a boolean for a password": body(password=True),
    "null for a password": body(password=None),
    "a list for a password": body(password=[PASSWORD]),
    "an object for an e-mail": body(email={"address": ANN}),
    "a flag": body(is_superuser=True),
    "another flag": body(is_verified=True),
    "an inactive flag": body(is_active=False),
    "an id": body(id="01a20c67-5a49-710a-8628-2d167f1c0bcf"),
    "a hash": body(password_hash="$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaA"),
    "an unknown field": body(emaill=ANN),
    "NUL in the e-mail": body(email="ann\0@example.com"),
    "NUL in the password": body(password="correct\0horse"),
    "an empty e-mail": body(email=""),
    "no address": body(email="ann"),
    "a long e-mail": body(email=f"{'a' * 309}@example.com"),
    "an e-mail too long to compare": body(email="\ufdfa" * 21 + "@example.com"),
    "nesting without an end": b"[" * 60_000,
    "deep nesting in a field": b'{"email":' + b"[" * 30_000 + b"]" * 30_000 + b"}",
    "deep nesting in an unknown field": b'{"x":' + b"[" * 30_000 + b"]" * 30_000 + b"}",
    "a header in the e-mail": body(email="ann@example.com\r\nBcc: bob@example.com"),
}

UNACCEPTABLE = {
    "an empty password": ("", "a password needs at least 8 characters"),
    "a short password": ("1234567", "a password needs at least 8 characters"),
    "a password of 1025 characters": ("x" * 1025, "a password has at most 1024 characters"),
    "60 000 characters": ("x" * 60_000, "a password has at most 1024 characters"),
    "accents without an end": ("\u0315\u0327" * 5_000, "a password has at most 1024 characters"),
}

NO_JSON = {
    "nothing": {},
    "text": {"Content-Type": "text/plain"},
    "a form": {"Content-Type": "application/x-www-form-urlencoded"},
    "a file": {"Content-Type": "multipart/form-data; boundary=x"},
    "JSON of something": {"Content-Type": "application/problem+json"},
    "Latin-1": {"Content-Type": "application/json; charset=iso-8859-1"},
    "junk": {"Content-Type": ";;=,"},
}


async def test_a_registration_answers_the_user_and_no_more(client: httpx.AsyncClient, rows: Rows) -> None:
    """201 with the five fields of `User`; what was answered is committed, and the password is an argon2id hash."""
    answer = await client.post(URL, json={"email": "Ann@Example.com", "password": PASSWORD})

    user = answer.json()
    identifier = UUID(user.pop("id"))
    [(stored, email, key, password_hash, *flags)] = await rows(
        "SELECT id, email, email_key, password_hash, is_active, is_superuser, is_verified FROM accounts"
    )
    assert (answer.status_code, answer.headers["content-type"]) == (201, "application/json")
    assert user == {"email": "Ann@example.com", "is_active": True, "is_superuser": False, "is_verified": False}
    assert (stored, email, key, flags) == (identifier, "Ann@example.com", ANN, [True, False, False])
    assert identifier.version == 7
    assert str(password_hash).startswith("$argon2id$")
    assert PasswordHasher().verify(str(password_hash), PASSWORD)


async def test_an_address_registers_once(register: Call, rows: Rows) -> None:
    """The second time is 409 with FastAPI-Users' code, and changes neither password nor row."""
    await register(ANN)
    before = await rows("SELECT * FROM accounts")

    answer = await register("ANN@EXAMPLE.COM", "another password")

    assert (answer.status_code, answer.json()["code"]) == (409, "REGISTER_USER_ALREADY_EXISTS")
    assert answer.headers["content-type"] == "application/problem+json"
    assert await rows("SELECT * FROM accounts") == before


async def test_twenty_at_once_make_one_account(register: Call, rows: Rows) -> None:
    """However one address is spelt, and however close together: one 201, nineteen 409, one row."""
    answers = await asyncio.gather(*(register(SPELLINGS[number % 4]) for number in range(20)))

    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: 19}
    assert await rows("SELECT email_key FROM accounts") == [("ren\u00e9@example.com",)]


@pytest.mark.parametrize(
    "password", ["tp8#Kw2z", "x" * 1024, "caf\u00e9 \U0001f40e\u200d\u2764 \u05d0\u05d1", " spaces kept "]
)
async def test_any_long_enough_password_logs_in(register: Call, login: Call, password: str) -> None:
    """From eight to 1024 characters of any script: what was registered logs in, unchanged and uncut."""
    assert (await register(password=password)).status_code == 201

    answers = [await login(password=typed) for typed in (password, password[:-1], password.strip() + "x")]

    assert [answer.status_code for answer in answers] == [200, 400, 400]


async def test_passwords_that_look_the_same_are_the_same(register: Call, login: Call) -> None:
    """Another keyboard's form of the same text logs in (NFKC)."""
    await register(password="caf\u00e9 \ufb01sh")

    assert (await login(password="cafe\u0301 fish")).status_code == 200


async def refusals(client: httpx.AsyncClient, bodies: dict[str, bytes]) -> dict[str, tuple[int, str, str]]:
    """Status, media type and code of each answer, by the body's name."""
    answers = {name: await client.post(URL, content=content, headers=JSON) for name, content in bodies.items()}
    assert not any(PASSWORD in answer.text for answer in answers.values()), "a password was echoed"
    return {
        name: (answer.status_code, answer.headers["content-type"], answer.json()["code"])
        for name, answer in answers.items()
    }


@pytest.mark.parametrize(
    ("bodies", "expected"),
    [(MALFORMED, (400, "MALFORMED_REQUEST")), (INVALID, (422, "INVALID_VALUE"))],
    ids=["malformed", "invalid"],
)
async def test_a_bad_body_is_refused_and_stores_nothing(
    client: httpx.AsyncClient, rows: Rows, bodies: dict[str, bytes], expected: tuple[int, str]
) -> None:
    """What is no JSON is 400, JSON of another shape 422: problem+json, no password echoed, no row, in no time."""
    status, code = expected
    started = time.process_time()

    found = await refusals(client, bodies)

    assert found == dict.fromkeys(bodies, (status, "application/problem+json", code))
    assert time.process_time() - started < 1.0
    assert await rows("SELECT * FROM accounts") == []


async def test_an_invalid_body_names_the_place(client: httpx.AsyncClient) -> None:
    """A client can show each message beside its field."""
    bodies = {"email": body(email=5), "password": body(password=None), "email ": body(email="ann")}

    answers = [await client.post(URL, content=content, headers=JSON) for content in bodies.values()]

    assert [answer.json()["errors"][0]["location"] for answer in answers] == [
        "body.email",
        "body.password",
        "body.email",
    ]


@pytest.mark.parametrize(("password", "reason"), UNACCEPTABLE.values(), ids=UNACCEPTABLE)
async def test_an_unacceptable_password_is_refused_with_its_reason(
    register: Call, rows: Rows, password: str, reason: str
) -> None:
    """422 in FastAPI-Users' words, with what to do about it."""
    answer = await register(password=password)

    assert answer.status_code == 422
    assert (answer.json()["code"], answer.json()["reason"]) == ("REGISTER_INVALID_PASSWORD", reason)
    assert await rows("SELECT * FROM accounts") == []


@pytest.mark.parametrize("headers", [JSON, {"Content-Type": "text/plain"}])
async def test_a_body_over_64_kib_is_too_large(client: httpx.AsyncClient, headers: dict[str, str]) -> None:
    """70 KB are 413, whatever is in them and with or without their length said before."""

    async def chunks() -> AsyncIterator[bytes]:
        yield body(password="x" * 70_000)

    whole = await client.post(URL, content=body(password="x" * 70_000), headers=headers)
    chunked = await client.post(URL, content=chunks(), headers=headers)

    assert [answer.status_code for answer in (whole, chunked)] == [413, 413]
    assert whole.json()["code"] == "CONTENT_TOO_LARGE"


@pytest.mark.parametrize("headers", NO_JSON.values(), ids=NO_JSON)
async def test_a_body_that_does_not_say_it_is_json_is_415(
    client: httpx.AsyncClient, rows: Rows, headers: dict[str, str]
) -> None:
    """A form of another site cannot register anybody: browsers do not send JSON across origins unasked."""
    answer = await client.post(URL, content=body(), headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")
    assert await rows("SELECT * FROM accounts") == []


async def test_the_media_type_may_name_utf_8(client: httpx.AsyncClient) -> None:
    """`application/json; charset=UTF-8` is what many libraries send."""
    headers = {"Content-Type": 'Application/JSON; charset="UTF-8"'}

    assert (await client.post(URL, content=body(), headers=headers)).status_code == 201


@pytest.mark.parametrize("path", ["/me", "/users/me"])
async def test_me_answers_the_user_of_the_token(client: httpx.AsyncClient, token: str, path: str) -> None:
    """Both paths answer the registered user, say that user-svc itself vouched, and are kept by no cache."""
    answer = await client.get(path, headers={"Authorization": f"Bearer {token}"})

    user = answer.json()
    assert answer.status_code == 200
    user.pop("id")
    assert user == {"email": ANN, "is_active": True, "is_superuser": False, "is_verified": False}
    assert [answer.headers[name] for name in ("X-Auth-Source", "X-Auth-Age", "Cache-Control")] == [
        "user-svc",
        "0",
        "no-store",
    ]


async def test_me_tells_the_truth_of_this_moment(client: httpx.AsyncClient, token: str, rows: Rows) -> None:
    """A flag changed in PostgreSQL shows at once, with the same token."""
    await rows("UPDATE accounts SET is_superuser = true, is_verified = true")

    user = (await client.get("/me", headers={"Authorization": f"Bearer {token}"})).json()

    assert (user["is_superuser"], user["is_verified"]) == (True, True)


async def test_me_without_a_token_asks_for_one(client: httpx.AsyncClient) -> None:
    """401 with a Bearer challenge that names no error, because no token was judged (RFC 6750 section 3.1)."""
    answer = await client.get("/me")

    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert answer.json()["code"] == "NOT_AUTHENTICATED"


@pytest.mark.parametrize("change", ["UPDATE accounts SET is_active = false", "DELETE FROM accounts"])
async def test_me_refuses_who_is_no_longer_there(
    client: httpx.AsyncClient, token: str, rows: Rows, change: str
) -> None:
    """Whoever was deactivated or deleted is refused with the next request, with a reason in the challenge."""
    await rows(change)

    answer = await client.get("/me", headers={"Authorization": f"Bearer {token}"})

    assert answer.status_code == 401
    assert 'error="invalid_token", error_description="' in answer.headers["WWW-Authenticate"]
    assert str(session_of(token)) not in answer.text
