"""The OpenAPI document of a service: its title, its one security scheme, its operations' names."""

from collections.abc import Iterator
from typing import Any, Final

from litestar import Litestar, Router
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, OAuthFlow, OAuthFlows, SecurityScheme
from litestar.routes import HTTPRoute

from common.auth.demands import FRESH, PUBLIC
from common.auth.principal import Source
from common.docs.tidy import tidied
from common.http.problems import MEDIA_TYPE

LOGIN = "/auth/jwt/login"

RETRY_AFTER = {"description": "Seconds to wait", "schema": {"type": "integer", "minimum": 1}}
KEY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Of the client's choice, and new for each thing to be made: a repeat within a day is answered again "
    "and not done again; 409 `IDEMPOTENCY_KEY_IN_USE` while the first is under way, 422 `IDEMPOTENCY_KEY_REUSED` where "
    "it came with another request",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}
REPLAYED: Final = {"description": "`true` on an answer given again", "schema": {"type": "string"}}
ETAG: Final = {"description": "What to name in `If-Match` and `If-None-Match`", "schema": {"type": "string"}}
CHALLENGE: Final = {
    "description": "`Bearer`, and why: expired, revoked or not acceptable (RFC 6750 section 3)",
    "schema": {"type": "string"},
}
VOUCHED: Final = {
    "X-Auth-Source": {
        "description": "Who vouched for the caller",
        "schema": {"type": "string", "enum": [source.value for source in Source]},
    },
    "X-Auth-Age": {
        "description": "How many seconds old that knowledge is",
        "schema": {"type": "integer", "minimum": 0},
    },
}
_FRESH = "Cannot be undone: needs a standing of the last 5 seconds, else 503 `NOT_FRESH`."


class _NoPages(Router):
    """Litestar would add pages of its own here; ours are in `common.docs.page`."""

    def register(self, value: Any) -> Any:  # noqa: ARG002 - Litestar's signature
        """Take nothing."""
        return []


def openapi(title: str, version: str, description: str) -> OpenAPIConfig:
    """OpenAPI 3.1, guarded by OAuth2's password flow at this very origin (RFC 6749 section 4.3)."""
    scheme = SecurityScheme(
        type="oauth2",
        description="Log in with an e-mail address and a password",
        flows=OAuthFlows(password=OAuthFlow(token_url=LOGIN, scopes={})),
    )
    return OpenAPIConfig(
        title=title,
        version=version,
        description=description,
        components=Components(security_schemes={"OAuth2": scheme}),
        security=[{"OAuth2": []}],
        use_handler_docstrings=True,
        openapi_router=_NoPages("/", route_handlers=[]),
        operation_id_creator=_operation_id,
    )


def _operation_id(handler: HTTPRouteHandler, _method: object, path: list[Any]) -> str:
    """The handler's name; the words of the path where one handler has several."""
    return handler.handler_name if len(handler.paths) == 1 else "_".join(map(str, path))


def schema(app: Litestar) -> dict[str, Any]:
    """The document as it is served: with what each route's guard asks for, and right where Litestar guesses."""
    document = app.openapi_schema.to_schema()
    for operation, handler in _operations(app, document["paths"]):
        _say_when(operation["responses"])
        _say_demand(operation, handler.opt.get("auth"))
        if "idempotency" in handler.opt:
            _say_keyed(operation)
        _say_tagged(operation, made="tagged" in handler.opt)
        _say_limit(operation["responses"], handler.resolve_request_max_body_size())
        _drop_guess(operation["responses"])
        _close_body(operation, document["components"]["schemas"])
    return tidied(document)


def _operations(app: Litestar, paths: dict[str, Any]) -> Iterator[tuple[dict[str, Any], HTTPRouteHandler]]:
    """Each documented operation, with its handler, which says of the layers in front of it too."""
    for route in app.routes:
        for handler in route.route_handlers if isinstance(route, HTTPRoute) else ():
            for method in handler.http_methods:
                operation = paths.get(route.path_format, {}).get(method.lower())
                if operation is not None:
                    yield operation, handler


def _say_demand(operation: dict[str, Any], demand: str | None) -> None:
    operation["summary"] = operation["operationId"].replace("_", " ").capitalize()
    operation["x-auth"] = demand or "guarded"
    if demand == PUBLIC:
        operation["security"] = []
        return
    if demand == FRESH:
        operation["description"] = f"{operation.get('description', '')}\n\n{_FRESH}".strip()
    for status, response in operation["responses"].items():
        if status.startswith("2"):
            response.setdefault("headers", {}).update(VOUCHED)
        elif status == "401":
            response["headers"] = {"WWW-Authenticate": CHALLENGE}


def _say_keyed(operation: dict[str, Any]) -> None:
    """A route's `KEYED`; its 409 and 422 may now come from the key."""
    operation.setdefault("parameters", []).append(KEY)
    responses = operation["responses"]
    responses.setdefault("409", {**responses["422"], "description": "A request with this key is under way"})
    responses["409"]["headers"] = {"Retry-After": RETRY_AFTER}
    for status, response in responses.items():
        if status.startswith("2"):
            response.setdefault("headers", {})["Idempotency-Replayed"] = REPLAYED


def _say_tagged(operation: dict[str, Any], *, made: bool) -> None:
    """Where a condition is taken, what is answered has a tag; a reader who has it already is told so."""
    conditions = {each["name"] for each in operation.get("parameters", [])} & {"If-Match", "If-None-Match"}
    responses = operation["responses"]
    if made:
        responses["201"].setdefault("headers", {})["ETag"] = ETAG
    if not conditions:
        return
    if "If-None-Match" in conditions:
        responses["304"] = {"description": "It still has a tag that `If-None-Match` names", "headers": {}}
    for status, response in responses.items():
        if status in {"200", "304", "412"}:
            response.setdefault("headers", {})["ETag"] = ETAG


def _say_limit(responses: dict[str, Any], size: int | None) -> None:
    if "413" in responses and size:
        responses["413"]["description"] = f"The body has more than {size // 1024} KiB"


def _drop_guess(responses: dict[str, Any]) -> None:
    """Litestar writes a 400 beside every parameter, where we say 422."""
    if MEDIA_TYPE not in responses.get("400", {"content": MEDIA_TYPE}).get("content", {}):
        del responses["400"]


def _say_when(responses: dict[str, Any]) -> None:
    """Litestar cannot be told of an error's headers; those that may pass say when (RFC 9110 section 10.2.3)."""
    for status in responses.keys() & {"429", "503"}:
        responses[status]["headers"] = {"Retry-After": RETRY_AFTER}


def _close_body(operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    """A JSON body takes no field it does not know (`StrictBody`)."""
    for body in operation.get("requestBody", {}).get("content", {}).values():
        if "$ref" in body["schema"]:
            schemas[body["schema"]["$ref"].rpartition("/")[2]]["additionalProperties"] = False
