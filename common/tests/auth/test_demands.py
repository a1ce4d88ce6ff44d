"""What a route asks of its caller, held against what Litestar's router really does with odd paths."""

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from litestar import Litestar, WebSocket, asgi, delete, get, post, put, route, websocket
from litestar.types import Receive, Scope, Send

from common.auth import FRESH, PUBLIC
from common.auth.demands import GUARDED, STRICTEST, Demands

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "get", "")
CLOSED = {GUARDED, FRESH}
WORDS = [
    "a",
    "x",
    "me",
    "one",
    "two",
    "open",
    "public",
    "secret",
    "mixed",
    "dust",
    "files",
    "deep",
    "lists",
    "tree",
    "raw",
]
ODD = [
    "",
    " ",
    ".",
    "..",
    "...",
    "%2e",
    "%2E%2e",
    "%2f",
    "%00",
    "\x00",
    "\n",
    "a\nb",
    "\r",
    ";",
    ";a=b",
    "?",
    "#",
    "~",
    "*",
]
ALIKE = ["Open", "PUBLIC", "ope\u0301n", "\uff0fopen", "open?", "open#", "open*", "open\\", "'", "mount", "below", "ws"]
SEGMENTS = [*WORDS, *ODD, *ALIKE]


async def nothing() -> None:
    """Do nothing."""


def handler(verb: Any, path: str, demand: str | None = None) -> Any:
    """One that does nothing, and says this of its caller, or nothing at all."""
    return verb(path, opt={"auth": demand} if demand else {}, status_code=200, name=f"{verb} {path}")(nothing)


@asgi("/raw", copy_scope=True)
async def raw(scope: Scope, receive: Receive, send: Send) -> None:
    """A guarded ASGI application at one path."""


@asgi("/mount", is_mount=True, copy_scope=True)
async def mount(scope: Scope, receive: Receive, send: Send) -> None:
    """A guarded ASGI application that takes all below it."""


@asgi("/files/mount", is_mount=True, copy_scope=True)
async def mount_under_files(scope: Scope, receive: Receive, send: Send) -> None:
    """A guarded one in the middle of what is public."""


@websocket("/ws", opt={"auth": PUBLIC})
async def chat(socket: WebSocket[Any, Any, Any]) -> None:
    """A websocket that asks to be open."""


ROUTES = [
    *(handler(get, path, PUBLIC) for path in ("/open", "/public/{name:str}", "/deep/{one:str}/{two:str}")),
    *(handler(get, path, PUBLIC) for path in ("/files/{rest:path}", "/dust/{number:int}", "/{name:str}")),
    *(handler(get, path) for path in ("/secret", "/mixed", "/public/secret", "/deep/{one:str}/two", "/files/secret")),
    *(handler(get, path) for path in ("/dust/{number:int}/x", "/public/{name:str}/x")),
    *(handler(delete, path, FRESH) for path in ("/lists/{item:str}", "/tree/{rest:path}")),
    handler(put, "/lists/{item:str}"),
    handler(post, "/mixed", PUBLIC),
    route("/below/{name:str}", http_method=["GET", "DELETE"], opt={"auth": FRESH}, status_code=200)(nothing),
    *(raw, mount, mount_under_files, chat),
]
APP = Litestar(ROUTES, openapi_config=None, logging_config=None)
DEMANDS = Demands(APP.routes)


def request(path: str, method: str = "GET", **changes: Any) -> Any:
    """A scope as a server makes it."""
    scope: dict[str, Any] = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(errors="replace"),
        "query_string": b"",
        "headers": [],
        "root_path": "",
        "scheme": "http",
        "http_version": "1.1",
        "client": None,
        "server": None,
        "state": {},
        "extensions": {},
        "app": APP,
        "litestar_app": APP,
    }
    return scope | changes


async def routed(scope: Any) -> str | None:
    """What the handler demands that the router runs for this request; None if it runs none."""

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_message: Any) -> None:
        return None

    scope = dict(scope)
    try:
        await APP.asgi_router(scope, receive, send)
    except Exception:  # noqa: BLE001 - a refusal of the router's is none of the guard's
        if "route_handler" not in scope:
            return None
    return str(scope["route_handler"].opt.get("auth", GUARDED))


paths = st.one_of(
    st.lists(st.sampled_from(SEGMENTS), max_size=5).map(lambda parts: "/" + "/".join(parts)),
    st.lists(st.sampled_from(SEGMENTS), max_size=4).map("//".join),
    st.text(max_size=12).map(lambda text: f"/{text}"),
)
roots = st.sampled_from(["", "", "", "/api", "/open", "/secret", "/", "open", "/files", "/public/secret"])


@settings(max_examples=400, deadline=None)
@given(path=paths, method=st.sampled_from(METHODS), root=roots, prefixed=st.booleans())
@example(path="/raw", method="GET", root="", prefixed=False)
@example(path="/mount/x", method="GET", root="", prefixed=False)
@example(path="/files/mount/x", method="GET", root="", prefixed=False)
@example(path="/tree/a\nb", method="DELETE", root="", prefixed=False)
@example(path="/open/secret", method="GET", root="/open", prefixed=False)
@example(path="/secret/open", method="GET", root="/secret", prefixed=False)
async def test_no_path_opens_what_the_router_would_guard(path: str, method: str, root: str, prefixed: bool) -> None:
    """Whatever the path looks like: a guarded handler is guarded, and a fresh one fresh."""
    scope = request(root + path if prefixed else path, method, root_path=root)
    reached = await routed(scope)
    demand = DEMANDS.of(scope)
    if reached is not None:
        assert STRICTEST.index(demand) <= STRICTEST.index(reached)


async def test_property_is_about_something() -> None:
    """The comparison above reaches handlers of each kind."""
    asked = {
        "/open": "GET",
        "/mixed": "GET",
        "/lists/x": "DELETE",
        "/mount/deep/x": "GET",
        "/raw": "POST",
        "/nowhere/at/all": "GET",
    }
    reached = [await routed(request(path, method)) for path, method in asked.items()]
    assert reached == [PUBLIC, GUARDED, FRESH, GUARDED, GUARDED, None]


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/open", PUBLIC),
        ("GET", "/open/", PUBLIC),
        ("GET", "//open//", PUBLIC),
        ("GET", "/public/ann", PUBLIC),
        ("GET", "/deep/one/three", PUBLIC),
        ("GET", "/files/a/b/c", PUBLIC),
        ("POST", "/mixed", PUBLIC),
        ("GET", "/mixed", GUARDED),
        ("POST", "/open", GUARDED),
        ("HEAD", "/open", GUARDED),
        ("get", "/open", GUARDED),
        ("GET", "/Open/x", GUARDED),
        ("GET", "/open%2f", PUBLIC),  # any name
        ("GET", "/open/../secret", GUARDED),
        ("GET", "/secret", GUARDED),
        ("GET", "/secret/", GUARDED),
        ("GET", "//secret", GUARDED),
        ("GET", "/nowhere/at/all", GUARDED),
        ("PUT", "/lists/x", GUARDED),
        ("DELETE", "/lists/x", FRESH),
        ("DELETE", "//lists///x/", FRESH),
        ("DELETE", "/lists/%2e%2e", FRESH),
        ("DELETE", "/tree/a/b", FRESH),
        ("DELETE", "/tree/a\nb", FRESH),
        ("GET", "/below/x", FRESH),
        ("DELETE", "/below/x", FRESH),
    ],
)
def test_demand(method: str, path: str, expected: str) -> None:
    """Closed by default; what is public is so by method and path."""
    assert DEMANDS.of(request(path, method)) == expected


@pytest.mark.parametrize("path", ["/public/secret", "/deep/one/two", "/files/secret"])
def test_strictest_counts_where_several_routes_could_be_meant(path: str) -> None:
    """A guarded route inside a public pattern stays guarded, in every spelling of its path."""
    spellings = [path, f"{path}/", f"/{path}", path.replace("/", "//")]
    assert [DEMANDS.of(request(spelling)) for spelling in spellings] == [GUARDED] * 4


@pytest.mark.parametrize(
    ("root", "path", "expected"),
    [
        ("/api", "/api/open", PUBLIC),
        ("/api", "/api/secret", GUARDED),
        ("/open", "/open/secret", GUARDED),
        ("/open", "/open", GUARDED),  # nothing is left of it, and nothing is there
        ("/secret", "/secret/open", PUBLIC),
    ],
)
def test_root_path_is_taken_off_as_the_router_does(root: str, path: str, expected: str) -> None:
    """A proxy's prefix neither opens nor shadows a route."""
    assert DEMANDS.of(request(path, root_path=root)) == expected


@pytest.mark.parametrize("path", ["/ws", "/open", "/secret", "/nowhere"])
def test_websocket_is_guarded(path: str) -> None:
    """No websocket is open, not even one that asks to be, nor one at a path that is public for GET."""
    scope = request(path, type="websocket")
    del scope["method"]
    assert DEMANDS.of(scope) == GUARDED


def test_route_registered_later_is_guarded() -> None:
    """What was not there when the service was built is not on the list of public routes, whatever it says."""
    app = Litestar([handler(get, "/open", PUBLIC)], openapi_config=None, logging_config=None)
    demands = Demands(app.routes)
    app.register(handler(get, "/later"))
    app.register(handler(get, "/later/open", PUBLIC))
    assert [demands.of(request(path)) for path in ("/later", "/later/open", "/open")] == [GUARDED, GUARDED, PUBLIC]


def test_nothing_is_public_where_nothing_says_so() -> None:
    """An empty service, and one of guarded routes, are closed."""
    for routes in ([], [handler(get, "/secret")]):
        app = Litestar(routes, openapi_config=None, logging_config=None)
        demands = Demands(app.routes)
        assert [demands.of(request(path)) for path in ("/", "/secret", "/schema", "/docs")] == [GUARDED] * 4


@pytest.mark.parametrize("demand", STRICTEST)
def test_demand_is_the_constant_itself(demand: str) -> None:
    """The guard compares by identity, which two equal texts need not have."""

    @get("/", opt={"auth": "".join(demand)})
    async def root() -> None:
        """Anything."""

    assert Demands(Litestar([root]).routes).of(request("/")) is demand


def test_methods_of_a_path() -> None:
    """What `Allow` names, in every spelling of the path; none where no route is."""
    assert DEMANDS.methods(request("//mixed/")) == {"GET", "HEAD", "POST", "OPTIONS"}
    assert DEMANDS.methods(request("/lists/x")) == {"PUT", "DELETE", "OPTIONS"}
    assert DEMANDS.methods(request("/nowhere/at/all")) == frozenset()
