"""The gateway's own file, run by the real Caddy in front of real services."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest

from devstack.fixtures import RunningStack, bare_environment
from devstack.places import ROOT
from devstack.ports import free_port
from devstack.probes import http_status
from devstack.processes import Launch, Server, wait_until
from devstack.up.service import Service
from todo_svc.bulk.routes import MAXIMUM_BODY

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("stack")]

PASSWORD = "correct-horse-battery"
SPOOFED = "203.0.113.9"
# Linux has all of 127.0.0.0/8; elsewhere the one address must do.
CLIENT = "127.0.0.9" if sys.platform == "linux" else "127.0.0.1"


class Gateway(Server):
    """Caddy with docker/gateway/Caddyfile."""

    def __init__(self, folder: Path, users: list[str], todos: list[str]) -> None:
        super().__init__("gateway", free_port(), folder / "gateway.log")
        self.operations = free_port()
        self.environment = bare_environment(
            SITE_ADDRESS=f"http://127.0.0.1:{self.port}",
            OPERATIONS_ADDRESS=f"http://127.0.0.1:{self.operations}",
            USER_UPSTREAMS=" ".join(urlsplit(url).netloc for url in users),
            TODO_UPSTREAMS=" ".join(urlsplit(url).netloc for url in todos),
            XDG_DATA_HOME=str(folder),
            XDG_CONFIG_HOME=str(folder),
        )

    def launch(self) -> Launch:
        """As the image of Caddy does."""
        caddy = Path(sys.executable).with_name("caddy")
        return Launch([caddy, "run", "--config", ROOT / "docker/gateway/Caddyfile"], env=self.environment)

    def answers(self) -> bool:
        """Whether it listens."""
        return http_status(self.operations, "/health") == 200


@pytest.fixture(scope="module")
def replica(running_stack: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A second todo-svc of the stack, which does not run yet."""
    service = running_stack.another_todo_svc(tmp_path_factory.mktemp("replica"))
    yield service
    service.kill()


@pytest.fixture(scope="module")
def gateway(
    running_stack: RunningStack, replica: Service, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    """One origin in front of one user-svc and two todo-svc."""
    folder = tmp_path_factory.mktemp("gateway")
    server = Gateway(folder, [running_stack.user_url], [running_stack.todo_url, replica.url])
    server.start()
    yield server
    server.stop()


@pytest.fixture
def visitor(gateway: Gateway) -> Iterator[httpx.Client]:
    """Somebody from outside, with an address of their own."""
    transport = httpx.HTTPTransport(local_address=CLIENT)
    with httpx.Client(base_url=f"http://127.0.0.1:{gateway.port}", transport=transport, timeout=10) as client:
        yield client


@pytest.fixture
def ann(visitor: httpx.Client) -> httpx.Client:
    """The visitor, registered and logged in through the gateway."""
    email = f"ann-{uuid4().hex}@example.com"
    assert visitor.post("/auth/register", json={"email": email, "password": PASSWORD}).status_code == 201
    form = {"username": email, "password": PASSWORD}
    answer = visitor.post("/auth/jwt/login", data=form, headers={"X-Forwarded-For": SPOOFED})
    visitor.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
    return visitor


def test_one_origin(ann: httpx.Client) -> None:
    """Accounts and todos are reached side by side, and each answer is its service's own."""
    assert ann.get("/me").json()["email"].startswith("ann-")
    assert ann.post("/lists", json={"title": "Groceries"}).status_code == 201
    assert [item["title"] for item in ann.get("/lists").json()["items"]] == ["Groceries"]
    assert "x-auth-source" in ann.get("/lists").headers
    assert ann.get("/audit").json()["code"] == "FORBIDDEN"


def test_the_pages_of_both(visitor: httpx.Client) -> None:
    """Each under its prefix, with all that it loads; todo-svc's without one too."""
    for name in ("user-svc", "todo-svc"):
        page = visitor.get(f"/{name}/docs")
        script = page.text.partition('<script src="')[2].partition('"')[0]
        assert visitor.get(str(page.url.join(script))).headers["Content-Type"].startswith("text/javascript")
        document = visitor.get(str(page.url.join("openapi.json"))).json()
        assert document["info"]["title"] == f"Gatehouse {name}"
    assert visitor.get("/docs").status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/metrics",
        "/internal/erasures",
        "//internal/erasures",
        "/INTERNAL/erasures",
        "/internal%2Ferasures",
        "/user-svc/docs/../../internal/erasures",
        "/user-svc/metrics",
        "/user-svc/docs/..%2F..%2Fmetrics",
    ],
)
def test_what_is_inside_stays_inside(gateway: Gateway, path: str) -> None:
    """What services and Prometheus ask is nothing to the world, however it is spelt."""
    with httpx.Client() as client:
        url = httpx.URL(f"http://127.0.0.1:{gateway.port}").copy_with(raw_path=path.encode())
        answer = client.get(url)
    assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_a_large_body(ann: httpx.Client) -> None:
    """Is refused as a problem, whether it says its size or not."""
    for path, size in (("/lists", 100_000), ("/todos/batch", 1_100_000)):
        body = json.dumps({"title": "x" * size}).encode()
        for content in (body, iter([body])):
            answer = ann.post(path, content=content, headers={"Content-Type": "application/json"})
            assert (answer.status_code, answer.json()["code"]) == (413, "CONTENT_TOO_LARGE")
            assert "server" not in answer.headers


def test_no_body_is_larger_than_the_largest_route_takes(gateway: Gateway) -> None:
    """The gateway's own bound, which a service that had forgotten its own would still have."""
    command = [str(word) for word in gateway.launch().argv if word != "run"]
    command.insert(1, "adapt")
    adapted = subprocess.run(command, env=gateway.environment, capture_output=True, text=True, check=True).stdout
    assert re.findall(r'"max_size":(\d+)', adapted) == [str(MAXIMUM_BODY)]


def test_who_is_asking(ann: httpx.Client) -> None:
    """user-svc sees the visitor's own address, whatever they claim."""
    (session,) = ann.get("/users/me/sessions").json()
    assert session["address"] == CLIENT


def test_streams_are_not_held_back(ann: httpx.Client) -> None:
    """A change is heard while the answer goes on, from whichever process it comes."""
    with ann.stream("GET", "/events") as answer:
        chunks = answer.iter_text()
        assert next(chunks).startswith("retry: ")
        assert ann.post("/lists", json={"title": "Heard"}).status_code == 201
        assert any("Heard" in chunk for chunk in chunks)


def test_a_process_comes_and_goes(ann: httpx.Client, replica: Service) -> None:
    """It gets requests once it is ready, and none is lost when it is killed."""
    replica.start()
    assert wait_until(lambda: ann.get("/lists").is_success and '"/lists"' in replica.recent_log(), 5)
    replica.kill()
    assert {ann.get("/lists").status_code for _ in range(20)} == {200}
