"""Registration, and the one question other services ask."""

from litestar import Controller, Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from msgspec import UNSET

from common.auth import PUBLIC, AuthenticatedRequest
from common.docs.responses import BODY, problems
from common.dto import User
from common.http.idempotency import KEYED, replayed
from common.http.strict import StrictBody
from common.idempotency import Answer, Keyed
from user_svc.accounts.addresses import key
from user_svc.accounts.schemas import PasswordChange, ProfileChange, Registration
from user_svc.accounts.service import AccountService, ProfileService
from user_svc.admin.schemas import Actor
from user_svc.admin.service import Administration
from user_svc.sessions.service import SessionService
from user_svc.throttle import Tries


class AccountController(Controller):
    """Accounts."""

    tags = ("accounts",)

    @post(
        "/auth/register",
        dto=StrictBody[Registration],
        return_dto=None,
        opt={"auth": PUBLIC, **KEYED},
        responses=problems(409, 429, *BODY),
    )
    async def register(
        self,
        data: JSONBody[Registration],
        keyed: NamedDependency[Keyed | None],
        accounts: NamedDependency[AccountService],
        tries: NamedDependency[Tries],
    ) -> Response[User]:
        """Make an account; 409 `REGISTER_USER_ALREADY_EXISTS`, 422 `REGISTER_INVALID_PASSWORD` with a `reason`."""
        await tries.count("register")
        registered = await (accounts.register_once(data, keyed) if keyed else accounts.register(data))
        return replayed(registered) if isinstance(registered, Answer) else Response(registered)

    @get("/me", responses=problems(401), sync_to_thread=False)
    def me(self, request: AuthenticatedRequest) -> User:
        """Who the bearer of this token is, as PostgreSQL knows it now."""
        return _known(request)

    @get("/users/me", responses=problems(401), sync_to_thread=False)
    def users_me(self, request: AuthenticatedRequest) -> User:
        """The same, where FastAPI-Users has it."""
        return _known(request)

    @patch("/users/me", dto=StrictBody[ProfileChange], return_dto=None, responses=problems(401, 409, 429, *BODY))
    async def change_me(
        self,
        request: AuthenticatedRequest,
        data: JSONBody[ProfileChange],
        profile: NamedDependency[ProfileService],
        tries: NamedDependency[Tries],
    ) -> User:
        """Change the e-mail address, with `current_password`; a mail to the new one asks to verify it."""
        if data.current_password is not UNSET:
            await tries.count("password", str(request.user.id))
            if data.email is not UNSET:
                await tries.count("address", str(request.user.id))
                await tries.count("verify", key(data.email))
        return await profile.change(_known(request), data)

    @post(
        "/users/me/password",
        status_code=204,
        dto=StrictBody[PasswordChange],
        return_dto=None,
        responses=problems(401, 429, *BODY),
    )
    async def change_password(
        self,
        request: AuthenticatedRequest,
        data: JSONBody[PasswordChange],
        profile: NamedDependency[ProfileService],
        tries: NamedDependency[Tries],
    ) -> None:
        """Change the password and end all other sessions; 400 `CURRENT_PASSWORD_WRONG`."""
        await tries.count("password", str(request.user.id))
        await profile.change_password(request.user, data, email=_known(request).email)

    @delete("/users/me", responses=problems(401, 409))
    async def delete_me(
        self,
        request: AuthenticatedRequest,
        administration: NamedDependency[Administration],
        sessions: NamedDependency[SessionService],
    ) -> None:
        """Delete the caller's own account, here and before long in every service. 409 `LAST_SUPERUSER`."""
        await administration.delete(Actor("user", request.user.id), request.user.id)
        await sessions.tell()


def _known(request: AuthenticatedRequest) -> User:
    assert request.user.user is not None  # noqa: S101 - the local authenticator always knows the user
    return request.user.user
