"""One handler twice: behind the guard, and open; the guard without process memory where the variable says so."""

import os
from uuid import UUID

from litestar import Litestar, get

from common.auth import PUBLIC
from common.auth.channel import StandingChannel
from common.auth.memory import StandingMemory
from common.auth.remote import GuardedSettings, RemoteAuthenticator, remote_auth
from common.auth.settings import verifier
from common.auth.standing import Standing, StandingStore
from common.auth.userinfo import UserInfoClient
from common.redis import listen
from common.resp import RespClient
from common.service import create_service
from common.settings import load

FORGETFUL = "BENCH_FORGETFUL"
"""The variable that leaves Redis as the nearest place that knows a standing."""
GREETING = {"hello": "world"}


@get("/guarded", sync_to_thread=False)
def greet() -> dict[str, str]:
    """Say hello to whoever the guard lets in."""
    return GREETING


@get("/open", opt={"auth": PUBLIC}, sync_to_thread=False)
def greet_anybody() -> dict[str, str]:
    """Say hello."""
    return GREETING


class Forgetful(StandingMemory):
    """Never keeps a good standing."""

    def remember(self, session: UUID, standing: Standing) -> None:
        """See `StandingMemory`."""


def forgetful_auth(settings: GuardedSettings) -> RemoteAuthenticator:
    """As `remote_auth`, but for the memory."""
    return RemoteAuthenticator(
        verifier(settings),
        StandingChannel(listen(settings.redis_url), Forgetful()),
        StandingStore(RespClient(settings.redis_url)),
        UserInfoClient(settings.user_svc_url.reveal()),
    )


def create_app() -> Litestar:
    """Build it from the environment that todo-svc would have."""
    settings = load(GuardedSettings)
    auth = forgetful_auth(settings) if FORGETFUL in os.environ else remote_auth(settings)
    return create_service("devstack", settings=settings, routes=[greet, greet_anybody], auth=auth)
