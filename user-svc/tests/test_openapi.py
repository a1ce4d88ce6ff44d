"""user-svc against its own OpenAPI document, both ways: what it says comes, and nothing else comes."""

import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
import schemathesis
import uvicorn
from hypothesis import settings as bounds
from msgspec.structs import replace
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from common.docs.document import schema
from common.settings import DatabaseUrl, RedisUrl, load
from common.testing import random_keys
from devstack.embedded import Valkey
from devstack.fixtures import TestPostgres
from devstack.ports import free_port
from devstack.processes import wait_until
from user_svc.app import create_app
from user_svc.settings import Settings

NOWHERE = {"DATABASE_URL": "postgresql://nowhere", "REDIS_URL": "redis://nowhere", "JWT_KEYS": random_keys()}
CHEAP = load(Settings, NOWHERE | {"ARGON2_MEMORY_KIB": "8", "ARGON2_PASSES": "1", "LOG_LEVEL": "ERROR"})
DOCUMENT = schema(create_app(CHEAP))
ANN = {"email": "ann@example.com", "password": "correct horse battery"}
FORM = {"username": ANN["email"], "password": ANN["password"]}
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

contract = schemathesis.openapi.from_dict(DOCUMENT)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def of_its_own(postgres_server: TestPostgres, valkey_server: Valkey) -> AsyncIterator[Settings]:
    """Settings with a database for this module."""
    dsn = await postgres_server.create_database("contract", template=await postgres_server.template("user_svc"))
    yield replace(CHEAP, database_url=DatabaseUrl(dsn), redis_url=RedisUrl(valkey_server.url))
    await postgres_server.drop_database("contract")


@pytest.fixture(scope="module")
def served(of_its_own: Settings) -> Iterator[httpx.Client]:
    """A client of the app on a socket, where schemathesis can reach it; Ann is registered."""
    config = uvicorn.Config(create_app(of_its_own), port=free_port(), log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    assert wait_until(lambda: server.started or not thread.is_alive(), 10)
    with httpx.Client(base_url=f"http://127.0.0.1:{config.port}") as client:
        client.post("/auth/register", json=ANN)
        yield client
    server.should_exit = True
    thread.join()


@contract.parametrize()
@bounds(max_examples=60, deadline=None, derandomize=True, database=None)
def test_the_service_keeps_its_contract(case: schemathesis.Case[Any], served: httpx.Client) -> None:
    """Whatever fits the document, and whatever does not: a documented status and a body of the documented shape."""
    token = served.post("/auth/jwt/login", data=FORM).json()["access_token"]

    case.call_and_validate(base_url=str(served.base_url), headers={"Authorization": f"Bearer {token}"}, checks=CHECKS)


JSON, URLENCODED = "application/json", "application/x-www-form-urlencoded"

# What a client can bring about by itself; 500 and 503 take an outage, and `test_outages` sees to their shape.
ASKED: dict[tuple[str, str], dict[int, dict[str, Any]]] = {
    ("POST", "/auth/register"): {
        201: {"json": {"email": "bob@example.com", "password": "correct horse"}},
        400: {"content": b"{", "headers": {"Content-Type": JSON}},
        409: {"json": ANN},
        413: {"json": {"email": "bob@example.com", "password": "x" * 70_000}},
        415: {"content": b"{}"},
        422: {"json": {"email": "bob@example.com", "password": "short"}},
    },
    ("POST", "/auth/jwt/login"): {
        200: {"data": FORM},
        400: {"data": FORM | {"password": "wrong"}},
        413: {"data": FORM | {"password": "x" * 70_000}},
        415: {"json": FORM},
    },
    ("GET", "/me"): {200: {}, 401: {"headers": {"Authorization": "Bearer forged"}}},
    ("GET", "/users/me"): {200: {}, 401: {"headers": {"Authorization": ""}}},
    ("POST", "/auth/jwt/logout"): {204: {}, 401: {"headers": {"Authorization": "Basic eA=="}}},
    ("GET", "/health/live"): {200: {}},
    ("GET", "/health/ready"): {200: {}},
}


@pytest.mark.parametrize(("method", "path"), ASKED, ids=[" ".join(operation) for operation in ASKED])
def test_each_documented_status_really_comes(served: httpx.Client, method: str, path: str) -> None:
    """No status but the documented ones, all of those, and each with a body and media type of the documented shape."""
    token = served.post("/auth/jwt/login", data=FORM).json()["access_token"]
    operation = contract[path][method]
    documented = DOCUMENT["paths"][path][method.lower()]["responses"]

    for status, request in ASKED[method, path].items():
        headers = {"Authorization": f"Bearer {token}"} | request.get("headers", {})
        answer = served.request(method, path, **request | {"headers": headers})
        assert answer.status_code == status
        operation.validate_response(answer)
        assert answer.headers.get("content-type") == next(iter(documented[str(status)].get("content", {})), None)

    assert {int(status) for status in documented} - {500, 503} == ASKED[method, path].keys()


def test_every_operation_is_asked() -> None:
    """A new route is not in the document until somebody has said here what comes of it."""
    operations = {(method.upper(), path) for path, item in DOCUMENT["paths"].items() for method in item}

    assert operations == ASKED.keys()


def test_what_needs_a_token_says_so() -> None:
    """The document asks for a token at exactly the guarded routes, and names the login to get it from."""
    security = {
        path: operation.get("security", DOCUMENT["security"])
        for path, item in DOCUMENT["paths"].items()
        for operation in item.values()
    }
    scheme = DOCUMENT["components"]["securitySchemes"]["OAuth2"]

    assert {path for path, asked in security.items() if asked} == {"/me", "/users/me", "/auth/jwt/logout"}
    assert scheme["flows"]["password"]["tokenUrl"] == "/auth/jwt/login"


def test_the_served_document_is_this_one(served: httpx.Client) -> None:
    """`/openapi.json` needs no token, and is what was checked here."""
    answer = served.get("/openapi.json")

    assert (answer.status_code, answer.json()) == (200, DOCUMENT)
