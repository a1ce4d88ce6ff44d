"""Login and logout."""

from typing import Any

from litestar import Controller, Request, post
from litestar.di import NamedDependency

from common.auth import PUBLIC, AuthenticatedRequest
from common.docs.forms import LoginOperation
from common.docs.responses import problems
from common.dto import TokenResponse
from common.http.strict import form
from user_svc.sessions.schemas import Credentials, TokenError
from user_svc.sessions.service import SessionService


class SessionController(Controller):
    """Sessions."""

    tags = ("sessions",)

    @post(
        "/auth/jwt/login",
        status_code=200,
        opt={"auth": PUBLIC},
        operation_class=LoginOperation,
        responses=problems(400, 413, 415),
    )
    async def login(self, request: Request[Any, Any, Any], sessions: NamedDependency[SessionService]) -> TokenResponse:
        """OAuth2's password grant; 400 `LOGIN_BAD_CREDENTIALS` alike for unknown, wrong and inactive."""
        return await sessions.login(Credentials.of(await form(request, refuse=TokenError)))

    @post("/auth/jwt/logout", status_code=204, responses=problems(401))
    async def logout(self, request: AuthenticatedRequest, sessions: NamedDependency[SessionService]) -> None:
        """End this session; its tokens are dead everywhere."""
        await sessions.logout(request.user)
