"""One handler twice: behind the guard, and open."""

from litestar import Litestar, get

from common.auth import PUBLIC
from common.auth.remote import GuardedSettings, remote_auth
from common.service import create_service
from common.settings import load

GREETING = {"hello": "world"}


@get("/guarded", sync_to_thread=False)
def greet() -> dict[str, str]:
    """Say hello to whoever the guard lets in."""
    return GREETING


@get("/open", opt={"auth": PUBLIC}, sync_to_thread=False)
def greet_anybody() -> dict[str, str]:
    """Say hello."""
    return GREETING


def create_app() -> Litestar:
    """Build it from the environment that todo-svc would have."""
    settings = load(GuardedSettings)
    return create_service("devstack", settings=settings, routes=[greet, greet_anybody], auth=remote_auth(settings))
