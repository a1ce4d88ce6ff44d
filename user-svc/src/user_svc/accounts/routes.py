"""Registration, and the one question other services ask."""

from litestar import Controller, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from common.auth import PUBLIC, AuthenticatedRequest
from common.docs.responses import BODY, problems
from common.dto import User
from common.http.strict import StrictBody
from user_svc.accounts.schemas import Registration
from user_svc.accounts.service import AccountService


class AccountController(Controller):
    """Accounts."""

    tags = ("accounts",)

    @post(
        "/auth/register",
        dto=StrictBody[Registration],
        return_dto=None,
        opt={"auth": PUBLIC},
        responses=problems(409, *BODY),
    )
    async def register(self, data: JSONBody[Registration], accounts: NamedDependency[AccountService]) -> User:
        """Make an account; 409 `REGISTER_USER_ALREADY_EXISTS`, 422 `REGISTER_INVALID_PASSWORD` with a `reason`."""
        return await accounts.register(data)

    @get(["/me", "/users/me"], responses=problems(401), sync_to_thread=False)
    def me(self, request: AuthenticatedRequest) -> User:
        """Who the bearer of this token is, as PostgreSQL knows it now."""
        assert request.user.user is not None  # noqa: S101 - the local authenticator always knows the user
        return request.user.user
