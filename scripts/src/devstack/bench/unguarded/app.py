"""todo-svc, wired to an authenticator that believes everybody to be the one user of the bench."""

import os
from uuid import UUID

from litestar import Litestar

from common.auth import Principal, Source
from common.dto import User
from todo_svc.app import create_app as create_todo_app

OWNER = "BENCH_OWNER"
"""The variable that holds the id of the user."""


class Trusting:
    """Gives every token the same principal, without a look at it."""

    def __init__(self, owner: UUID) -> None:
        user = User(owner, "bench@example.com", is_active=True, is_superuser=False, is_verified=False)
        self._principal = Principal(owner, owner, Source.MEMORY, 0.0, user)

    def recall(self, authorization: bytes) -> Principal | None:  # noqa: ARG002 - the protocol's
        """See `common.auth.Authenticator`."""
        return self._principal

    async def authenticate(self, token: str, *, safe: bool, fresh: bool = False) -> Principal:  # noqa: ARG002 - the protocol's
        """See `common.auth.Authenticator`."""
        return self._principal


def create_app() -> Litestar:
    """Build it from the environment that todo-svc would have."""
    return create_todo_app(auth=Trusting(UUID(os.environ[OWNER])))
