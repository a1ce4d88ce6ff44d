"""Verification of an address, and a new password for who forgot the old one."""

from functools import partial

from litestar import Controller, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from common.auth import PUBLIC
from common.docs.responses import BODY, problems
from common.dto import User
from common.http.strict import StrictBody
from user_svc.accounts.addresses import key
from user_svc.recovery.schemas import MailRequest, Reset, Verification
from user_svc.recovery.service import RecoveryService
from user_svc.sessions.schemas import Action
from user_svc.throttle import Tries

# Whoever asks for a mail learns nothing: whether or not anybody has the address, the answer is the same.
mailing = partial(post, status_code=202, dto=StrictBody[MailRequest], return_dto=None, responses=problems(429, *BODY))


class RecoveryController(Controller):
    """Recovery."""

    tags = ("recovery",)
    opt = {"auth": PUBLIC}  # noqa: RUF012 - Litestar's

    @mailing("/auth/request-verify-token")
    async def request_verify_token(
        self, data: JSONBody[MailRequest], recovery: NamedDependency[RecoveryService], tries: NamedDependency[Tries]
    ) -> None:
        """Mail a link that verifies the address; 202 whether or not anybody has it."""
        await tries.count("verify", key(data.email))
        await recovery.request(Action.VERIFY, data)

    @post("/auth/verify", status_code=200, dto=StrictBody[Verification], return_dto=None, responses=problems(*BODY))
    async def verify(self, data: JSONBody[Verification], recovery: NamedDependency[RecoveryService]) -> User:
        """Use such a link; 400 `VERIFY_USER_BAD_TOKEN` or `VERIFY_USER_ALREADY_VERIFIED`."""
        return await recovery.verify(data)

    @mailing("/auth/forgot-password")
    async def forgot_password(
        self, data: JSONBody[MailRequest], recovery: NamedDependency[RecoveryService], tries: NamedDependency[Tries]
    ) -> None:
        """Mail a link that sets a new password; 202 whether or not anybody has the address."""
        await tries.count("forgot", key(data.email))
        await recovery.request(Action.RESET, data)

    @post("/auth/reset-password", status_code=204, dto=StrictBody[Reset], return_dto=None, responses=problems(*BODY))
    async def reset_password(self, data: JSONBody[Reset], recovery: NamedDependency[RecoveryService]) -> None:
        """Use such a link, once; all sessions end. 400 `RESET_PASSWORD_BAD_TOKEN`, 422 with a `reason`."""
        await recovery.reset(data)
