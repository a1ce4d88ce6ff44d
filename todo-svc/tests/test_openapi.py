"""todo-svc against its own OpenAPI document: schemathesis finds no 5xx, no undocumented status, no odd shape."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
import schemathesis
import uvicorn
from hypothesis import assume, given, settings
from litestar import Litestar
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi import checks

from common.docs.document import schema
from common.settings import load
from common.testing import FakeAuthenticator, random_keys
from devstack.ports import free_port
from devstack.processes import wait_until
from todo_svc.app import create_app
from todo_svc.settings import Settings
from user_svc.app import create_app as create_user_app
from user_svc.settings import Settings as UserSettings

pytestmark = pytest.mark.contract

NOWHERE = {"DATABASE_URL": "postgresql://nowhere", "REDIS_URL": "redis://nowhere", "USER_SVC_URL": "http://nowhere"}
DOCUMENT = schema(create_app(load(Settings, NOWHERE | {"JWT_KEYS": random_keys()}), auth=FakeAuthenticator()))
# A wrong body may be refused for something else that is wrong with the request, such as its size or its If-Match.
REFUSALS = SchemathesisConfig.from_dict({"checks": {"negative_data_rejection": {"expected-statuses": ["4xx", "5xx"]}}})
OPERATIONS = [
    found.ok()
    for found in schemathesis.openapi.from_dict(DOCUMENT, config=REFUSALS).get_all_operations()
    if isinstance(found, Ok)
]
# What fits the document, and, where there is something to get wrong, what does not.
WAYS = [
    pytest.param(operation, mode, id=f"{operation.label} {mode}")
    for operation in OPERATIONS
    for mode in GenerationMode
    if mode.is_positive or operation.body or operation.query
]
BOUNDED = settings(max_examples=30, deadline=None, derandomize=True, database=None)
CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
    checks.missing_required_header,
    checks.unsupported_method,
    checks.ignored_auth,
]


@contextmanager
def _serving(app: Litestar) -> Iterator[str]:
    """The app on a socket, in a thread and an event loop of its own; its address."""
    config = uvicorn.Config(app, port=free_port(), log_config=None, timeout_graceful_shutdown=2)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        assert wait_until(lambda: server.started, 10)
        yield f"http://127.0.0.1:{config.port}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def served(variables: dict[str, str], user_dsn: str, authenticator: FakeAuthenticator) -> Iterator[httpx.Client]:
    """A caller of a todo-svc that is reached as schemathesis reaches it, with a user-svc behind its login."""
    unhurried = {"ARGON2_MEMORY_KIB": "8", "THROTTLE_ACCOUNT_PER_MINUTE": "0", "THROTTLE_ADDRESS_PER_MINUTE": "0"}
    user_app = create_user_app(load(UserSettings, variables | unhurried | {"DATABASE_URL": user_dsn}))
    headers = {"Authorization": f"Bearer {authenticator.admit()}"}
    with (
        _serving(user_app) as user_url,
        _serving(create_app(load(Settings, variables | {"USER_SVC_URL": user_url}), auth=authenticator)) as url,
        httpx.Client(base_url=url, headers=headers) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def known(served: httpx.Client) -> dict[str, str]:
    """A list and a todo that are there, so that more than 404 is seen."""
    a_list = served.post("/lists", json={"title": "There"}).json()
    todo = served.post(f"/lists/{a_list['id']}/todos", json={"content": "There"}).json()
    return {"list_id": a_list["id"], "todo_id": todo["id"]}


@pytest.mark.parametrize(("operation", "mode"), WAYS)
def test_the_service_keeps_its_contract(
    operation: APIOperation[Any, Any, Any, Any], mode: GenerationMode, served: httpx.Client, known: dict[str, str]
) -> None:
    """Whatever is asked, the answer has a documented status and a body of the documented shape."""

    @BOUNDED
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: schemathesis.Case[Any]) -> None:
        if case.path == "/events":  # behind a number that is yet to come it is refused, else it would never end
            case.headers["Last-Event-ID"] = "999999999"
        labels = (case.query or {}).get("label", [])  # on the wire one value is a list of one, and all are text
        assume(isinstance(labels, list) and all(isinstance(label, str) for label in labels))
        if mode.is_positive and case.method != "DELETE":
            case.path_parameters.update({name: known[name] for name in case.path_parameters if name in known})
        case.call_and_validate(base_url=str(served.base_url), headers=dict(served.headers), checks=CHECKS)

    ask()


def test_the_document_that_is_served(served: httpx.Client) -> None:
    """`/openapi.json` is the document checked here, without a token."""
    assert httpx.get(f"{served.base_url}/openapi.json").json() == DOCUMENT


def test_every_route_of_the_contract_is_in_it() -> None:
    """All that a client may call, and nothing else; all but login and health ask for a token."""
    operations = {
        (method.upper(), path): operation["security"] if "security" in operation else DOCUMENT["security"]
        for path, methods in DOCUMENT["paths"].items()
        for method, operation in methods.items()
    }
    assert {operation.label for operation in OPERATIONS} == {" ".join(key) for key in operations}
    guarded = {key for key, security in operations.items() if security}
    assert operations.keys() - guarded == {
        ("POST", "/auth/jwt/login"),
        ("GET", "/health/live"),
        ("GET", "/health/ready"),
    }
    assert guarded == {
        *((method, "/lists") for method in ("GET", "POST")),
        *((method, "/lists/{list_id}") for method in ("GET", "PATCH", "DELETE")),
        *((method, "/lists/{list_id}/todos") for method in ("GET", "POST")),
        *(("POST", f"/lists/{{list_id}}/{word}") for word in ("complete-all", "clear-completed")),
        ("GET", "/todos"),
        ("GET", "/sync"),
        ("GET", "/events"),
        ("POST", "/todos/batch"),
        ("GET", "/trash"),
        ("POST", "/trash/{row_id}/restore"),
        *((method, "/todos/{todo_id}") for method in ("GET", "PATCH", "DELETE")),
    }


def test_conditions_are_documented() -> None:
    """304, 412 and the tag wherever a condition is taken; and how large a body may be."""
    for path, word, statuses in (
        ("/todos/{todo_id}", "get", {"200", "304"}),
        *((path, "get", {"200", "304"}) for path in ("/lists", "/trash", "/sync")),
        ("/todos/{todo_id}", "patch", {"200", "412"}),
        ("/lists/{list_id}", "delete", {"412"}),
    ):
        responses = DOCUMENT["paths"][path][word]["responses"]
        assert {status for status, response in responses.items() if "ETag" in response.get("headers", {})} == statuses
    for path, size in (("/lists", "64 KiB"), ("/todos/batch", "1024 KiB")):
        assert size in DOCUMENT["paths"][path]["post"]["responses"]["413"]["description"]
