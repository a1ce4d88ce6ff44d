"""Administration over HTTP, for superusers."""

from typing import Annotated
from uuid import UUID

from litestar import Controller, delete, get, patch
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from common.auth import AuthenticatedRequest
from common.docs.responses import BODY, problems
from common.dto import Page, User
from common.errors import Forbidden
from common.http.paging import DEFAULT, Cursor, Limit
from common.http.strict import StrictBody
from user_svc.admin.queries import AdminQueries
from user_svc.admin.schemas import Actor, AuditRecord, Flags
from user_svc.admin.service import Administration, no_such_user
from user_svc.sessions.service import SessionService

Search = Annotated[str | None, QueryParameter(min_length=1, max_length=320, description="Stands in the address")]


class AdminController(Controller):
    """Accounts, seen from above."""

    tags = ("administration",)

    @get("/users", responses=problems(401, 403, 422))
    async def list_users(
        self,
        request: AuthenticatedRequest,
        admin_queries: NamedDependency[AdminQueries],
        email: FromQuery[Search] = None,
        limit: FromQuery[Limit] = DEFAULT,
        cursor: FromQuery[Cursor] = None,
    ) -> Page[User]:
        """A page of accounts, the oldest first."""
        superuser(request)
        return await admin_queries.page(email, limit, cursor)

    @get("/users/{user_id:uuid}", responses=problems(401, 403, 404))
    async def get_user(
        self, request: AuthenticatedRequest, user_id: FromPath[UUID], admin_queries: NamedDependency[AdminQueries]
    ) -> User:
        """One account."""
        superuser(request)
        found = await admin_queries.one(user_id)
        if found is None:
            raise no_such_user()
        return found

    @patch(
        "/users/{user_id:uuid}",
        dto=StrictBody[Flags],
        return_dto=None,
        responses=problems(401, 403, 404, 409, *BODY),
    )
    async def change_user(
        self,
        request: AuthenticatedRequest,
        user_id: FromPath[UUID],
        data: JSONBody[Flags],
        administration: NamedDependency[Administration],
        sessions: NamedDependency[SessionService],
    ) -> User:
        """Set flags; who is deactivated or demoted loses every session. 409 `LAST_SUPERUSER`."""
        changed = await administration.change(superuser(request), user_id, data)
        await sessions.tell()
        return changed

    @delete("/users/{user_id:uuid}", responses=problems(401, 403, 404, 409))
    async def delete_user(
        self,
        request: AuthenticatedRequest,
        user_id: FromPath[UUID],
        administration: NamedDependency[Administration],
        sessions: NamedDependency[SessionService],
    ) -> None:
        """Delete an account, here and before long in every service. 409 `LAST_SUPERUSER`."""
        await administration.delete(superuser(request), user_id)
        await sessions.tell()

    @get("/audit", responses=problems(401, 403, 422))
    async def list_audit(
        self,
        request: AuthenticatedRequest,
        admin_queries: NamedDependency[AdminQueries],
        limit: FromQuery[Limit] = DEFAULT,
        cursor: FromQuery[Cursor] = None,
    ) -> Page[AuditRecord]:
        """Who did what to whom, the newest first."""
        superuser(request)
        return await admin_queries.audit(limit, cursor)


def superuser(request: AuthenticatedRequest) -> Actor:
    """The caller, who must be a superuser now.

    Raises:
        Forbidden: he is none.

    """
    if not request.user.is_superuser:
        raise Forbidden("only a superuser may do this")
    return Actor("user", request.user.id)
