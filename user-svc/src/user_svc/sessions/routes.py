"""Login, refresh, logout, and the list of sessions."""

from functools import partial
from typing import Any
from uuid import UUID

from litestar import Controller, Request, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from common.auth import PUBLIC, AuthenticatedRequest
from common.docs.forms import LoginOperation, RefreshOperation
from common.docs.responses import problems
from common.dto import TokenResponse
from common.http.client import Client
from common.http.strict import form
from user_svc.accounts.addresses import key
from user_svc.sessions.schemas import Credentials, Refresh, SessionInfo, TokenError
from user_svc.sessions.service import SessionService
from user_svc.throttle import Tries

# OAuth2's grants read a form and are open: who asks has no token yet, or no longer.
grant = partial(post, status_code=200, opt={"auth": PUBLIC}, responses=problems(400, 413, 415, 429))


class SessionController(Controller):
    """Sessions."""

    tags = ("sessions",)

    @grant("/auth/jwt/login", operation_class=LoginOperation)
    async def login(
        self,
        request: Request[Any, Any, Any],
        sessions: NamedDependency[SessionService],
        client: NamedDependency[Client],
        tries: NamedDependency[Tries],
    ) -> TokenResponse:
        """OAuth2's password grant; 400 `LOGIN_BAD_CREDENTIALS` alike for unknown, wrong and inactive."""
        credentials = Credentials.of(await form(request, refuse=TokenError))
        await tries.count("login", key(credentials.username))
        return await sessions.login(credentials, client)

    @grant("/auth/jwt/refresh", operation_class=RefreshOperation)
    async def refresh(
        self,
        request: Request[Any, Any, Any],
        sessions: NamedDependency[SessionService],
        tries: NamedDependency[Tries],
    ) -> TokenResponse:
        """OAuth2's refresh grant: the token is used up, the answer holds its successor."""
        await tries.count("refresh")
        return await sessions.refresh(Refresh.of(await form(request, refuse=TokenError)))

    @post("/auth/jwt/logout", status_code=204, responses=problems(401))
    async def logout(self, request: AuthenticatedRequest, sessions: NamedDependency[SessionService]) -> None:
        """End this session; its tokens are dead everywhere."""
        await sessions.logout(request.user)

    @get("/users/me/sessions", responses=problems(401))
    async def list_sessions(
        self, request: AuthenticatedRequest, sessions: NamedDependency[SessionService]
    ) -> list[SessionInfo]:
        """Where the caller is logged in."""
        return await sessions.open_sessions(request.user)

    @delete("/users/me/sessions/{session_id:uuid}", responses=problems(401, 404))
    async def end_session(
        self, request: AuthenticatedRequest, session_id: FromPath[UUID], sessions: NamedDependency[SessionService]
    ) -> None:
        """End one session of the caller's."""
        await sessions.end_one(request.user, session_id)

    @delete("/users/me/sessions", responses=problems(401))
    async def end_other_sessions(
        self, request: AuthenticatedRequest, sessions: NamedDependency[SessionService]
    ) -> None:
        """End all sessions but this one."""
        await sessions.end_others(request.user)
