"""user-svc against its own OpenAPI document, both ways: what it says comes, and nothing else comes."""

import asyncio
import re
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest
import pytest_asyncio
import schemathesis
import uvicorn
from hypothesis import given
from hypothesis import settings as bounds
from msgspec.structs import replace
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi import checks

from common.docs.document import schema
from common.settings import load
from common.testing import random_keys
from common.values import DatabaseUrl, RedisUrl
from devstack.embedded import Valkey
from devstack.fixtures import TestPostgres
from devstack.ports import free_port
from devstack.processes import wait_until
from user_svc.app import create_app
from user_svc.settings import Settings

pytestmark = pytest.mark.contract

UNHURRIED = {
    "ARGON2_MEMORY_KIB": "8",
    "ARGON2_PASSES": "1",
    "THROTTLE_ACCOUNT_PER_MINUTE": "0",
    "THROTTLE_ADDRESS_PER_MINUTE": "0",
    "THROTTLE_MAILS_PER_HOUR": "0",
    "LOG_LEVEL": "ERROR",
}
NOWHERE = {"DATABASE_URL": "postgresql://nowhere", "REDIS_URL": "redis://nowhere", "JWT_KEYS": random_keys()}
CHEAP = load(Settings, NOWHERE | UNHURRIED)
DOCUMENT = schema(create_app(CHEAP))
ANN = {"email": "ann@example.com", "password": "correct horse battery"}
FORM = {"username": ANN["email"], "password": ANN["password"]}
CARL = {"email": "carl@example.com", "password": "correct horse"}
CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
    checks.unsupported_method,
    checks.ignored_auth,
]

PAGES = ("/auth/verify", "/auth/reset-password")  # a browser gets a page there, which is no part of the API

contract = schemathesis.openapi.from_dict(DOCUMENT)
OPERATIONS = [found.ok() for found in contract.get_all_operations() if isinstance(found, Ok)]
# What fits the document, and, where there is something to get wrong, what does not.
WAYS = [
    pytest.param(operation, mode, id=f"{operation.label} {mode}")
    for operation in OPERATIONS
    for mode in GenerationMode
    if mode.is_positive or operation.body or operation.query
]
BOUNDED = bounds(max_examples=40, deadline=None, derandomize=True, database=None)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def of_its_own(postgres_server: TestPostgres, valkey_server: Valkey) -> AsyncIterator[Settings]:
    """Settings with a database for this module."""
    dsn = await postgres_server.create_database("contract", template=await postgres_server.template("user_svc"))
    yield replace(CHEAP, database_url=DatabaseUrl(dsn), redis_url=RedisUrl(valkey_server.url))
    await postgres_server.drop_database("contract")


@pytest.fixture(scope="module")
def served(of_its_own: Settings) -> Iterator[httpx.Client]:
    """A client of the app on a socket, where schemathesis can reach it; Ann, who stays, is its only superuser."""
    config = uvicorn.Config(create_app(of_its_own), port=free_port(), log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    assert wait_until(lambda: server.started or not thread.is_alive(), 10)
    with httpx.Client(base_url=f"http://127.0.0.1:{config.port}") as client:
        for account in (ANN, CARL):
            client.post("/auth/register", json=account)
        asyncio.run(_promote(of_its_own.database_url.reveal()))
        yield client
    server.should_exit = True
    thread.join()


async def _promote(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute("UPDATE accounts SET is_superuser = true WHERE email = $1", ANN["email"])
    await connection.close()


@pytest.mark.parametrize(("operation", "mode"), WAYS)
def test_the_service_keeps_its_contract(
    operation: APIOperation[Any, Any, Any, Any], mode: GenerationMode, served: httpx.Client
) -> None:
    """Whatever fits the document, and whatever does not: a documented status and a body of the documented shape."""
    token = served.post("/auth/jwt/login", data=FORM).json()["access_token"]
    excluded = [checks.unsupported_method] if operation.path in PAGES else []

    @BOUNDED
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: schemathesis.Case[Any]) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        case.call_and_validate(str(served.base_url), headers=headers, checks=CHECKS, excluded_checks=excluded)

    ask()


JSON = "application/json"

BOB = {"email": "bob@example.com", "password": "correct horse"}
RENEWAL = {"grant_type": "refresh_token", "refresh_token": "forged"}
PLACE = re.compile(r"\{\w+\}")
BODY: dict[int, dict[str, Any]] = {
    400: {"content": b"{", "headers": {"Content-Type": JSON}},
    413: {"json": {"x": "x" * 70_000}},
    415: {"content": b"{}"},
    422: {"json": {"wrong": 1}},
}
STRANGER: dict[str, Any] = {"headers": {"Authorization": "Bearer forged"}}

# What a client can bring about by itself; 500 and 503 take an outage, and `test_outages` sees to their shape, 429
# takes patience (`test_throttle`). A superuser's 403 is `admin/test_routes`'.
ASKED: dict[tuple[str, str], dict[int, dict[str, Any]]] = {
    ("POST", "/auth/register"): BODY | {201: {"json": BOB}, 409: {"json": ANN}},
    ("POST", "/auth/jwt/login"): {
        200: {"data": FORM},
        400: {"data": FORM | {"password": "wrong"}},
        413: {"data": FORM | {"password": "x" * 70_000}},
        415: {"json": FORM},
    },
    ("POST", "/auth/jwt/refresh"): {
        400: {"data": RENEWAL},
        413: {"data": RENEWAL | {"refresh_token": "x" * 70_000}},
        415: {"json": RENEWAL},
    },
    ("POST", "/auth/request-verify-token"): BODY | {202: {"json": {"email": ANN["email"]}}},
    ("POST", "/auth/verify"): BODY | {400: {"json": {"token": "forged"}}},
    ("POST", "/auth/forgot-password"): BODY | {202: {"json": {"email": "nobody@example.com"}}},
    ("POST", "/auth/reset-password"): BODY | {400: {"json": {"token": "forged", "password": "tp8#Kw2z"}}},
    ("GET", "/me"): {200: {}, 401: STRANGER},
    ("GET", "/users/me"): {200: {}, 401: {"headers": {"Authorization": ""}}},
    ("PATCH", "/users/me"): BODY
    | {
        200: {"json": {}},
        401: STRANGER | {"json": {}},
        409: {"json": {"email": CARL["email"], "current_password": ANN["password"]}},
    },
    ("DELETE", "/users/me"): {401: STRANGER, 409: {}},
    ("POST", "/users/me/password"): BODY
    | {
        204: {"json": {"current_password": ANN["password"], "new_password": ANN["password"]}},
        400: {"json": {"current_password": "wrong", "new_password": "tp8#Kw2z"}},
        401: STRANGER | {"json": {}},
    },
    ("GET", "/users/me/sessions"): {200: {}, 401: STRANGER},
    ("DELETE", "/users/me/sessions"): {204: {}, 401: STRANGER},
    ("DELETE", "/users/me/sessions/{session_id}"): {401: STRANGER, 404: {}},
    ("GET", "/users"): {200: {}, 401: STRANGER, 422: {"params": {"limit": "none"}}},
    ("GET", "/users/{user_id}"): {401: STRANGER, 404: {}},
    ("PATCH", "/users/{user_id}"): BODY | {401: STRANGER | {"json": {}}, 404: {"json": {}}},
    ("DELETE", "/users/{user_id}"): {401: STRANGER, 404: {}},
    ("GET", "/audit"): {200: {}, 401: STRANGER, 422: {"params": {"limit": "0"}}},
    ("POST", "/auth/jwt/logout"): {204: {}, 401: {"headers": {"Authorization": "Basic eA=="}}},
    ("GET", "/health/live"): {200: {}},
    ("GET", "/health/ready"): {200: {}},
}
# Each needs somebody else's account or link; the tests of its room bring it about.
ELSEWHERE = {
    ("POST", "/auth/jwt/refresh"): {200},
    ("POST", "/auth/verify"): {200},
    ("POST", "/auth/reset-password"): {204},
    ("DELETE", "/users/me"): {204},
    ("DELETE", "/users/me/sessions/{session_id}"): {204},
    ("GET", "/users"): {403},
    ("GET", "/users/{user_id}"): {200, 403},
    ("PATCH", "/users/{user_id}"): {200, 403, 409},
    ("DELETE", "/users/{user_id}"): {204, 403, 409},
    ("GET", "/audit"): {403},
}
LATER = {429, 500, 503}


@pytest.mark.parametrize(("method", "path"), ASKED, ids=[" ".join(operation) for operation in ASKED])
def test_each_documented_status_really_comes(served: httpx.Client, method: str, path: str) -> None:
    """No status but the documented ones, all of those, and each with a body and media type of the documented shape."""
    token = served.post("/auth/jwt/login", data=FORM).json()["access_token"]
    operation = contract[path][method]
    documented = DOCUMENT["paths"][path][method.lower()]["responses"]

    for status, request in ASKED[method, path].items():
        headers = {"Authorization": f"Bearer {token}"} | request.get("headers", {})
        answer = served.request(method, PLACE.sub(str(uuid4()), path), **request | {"headers": headers})
        assert answer.status_code == status
        operation.validate_response(answer)
        kind = None if answer.content == b"null" else answer.headers.get("content-type")  # FastAPI-Users' 202
        assert kind == next(iter(documented[str(status)].get("content", {})), None)

    asked = ASKED[method, path].keys() | ELSEWHERE.get((method, path), set())
    assert {int(status) for status in documented} - LATER == asked


def test_every_operation_is_asked() -> None:
    """A new route is not in the document until somebody has said here what comes of it."""
    operations = {(method.upper(), path) for path, item in DOCUMENT["paths"].items() for method in item}

    assert operations == ASKED.keys()


def test_what_needs_a_token_says_so() -> None:
    """The document asks for a token at exactly the guarded routes, and names the login to get it from."""
    security = {
        (method.upper(), path): operation.get("security", DOCUMENT["security"])
        for path, item in DOCUMENT["paths"].items()
        for method, operation in item.items()
    }
    scheme = DOCUMENT["components"]["securitySchemes"]["OAuth2"]

    assert {operation for operation, asked in security.items() if asked} == {
        operation for operation, statuses in ASKED.items() if 401 in statuses
    }
    assert scheme["flows"]["password"]["tokenUrl"] == "/auth/jwt/login"


def test_who_may_be_told_to_wait_is_told_how_long() -> None:
    """Wherever a password, a mail or a new account can be asked for: 429, and a header that says until when."""
    throttled = {
        (method.upper(), path)
        for path, item in DOCUMENT["paths"].items()
        for method, operation in item.items()
        if "Retry-After" in operation["responses"].get("429", {}).get("headers", {})
    }

    assert throttled == {
        ("POST", "/auth/register"),
        ("POST", "/auth/jwt/login"),
        ("POST", "/auth/jwt/refresh"),
        ("POST", "/auth/request-verify-token"),
        ("POST", "/auth/forgot-password"),
        ("PATCH", "/users/me"),
        ("POST", "/users/me/password"),
    }


def test_the_served_document_is_this_one(served: httpx.Client) -> None:
    """`/openapi.json` needs no token, and is what was checked here."""
    answer = served.get("/openapi.json")

    assert (answer.status_code, answer.json()) == (200, DOCUMENT)
