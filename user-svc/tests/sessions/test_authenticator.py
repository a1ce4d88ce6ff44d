"""LocalAuthenticator: proof first, then PostgreSQL."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from prometheus_client import REGISTRY

from common.auth import Principal, Source, verifier
from common.database import Database
from common.dto import User
from common.errors import InvalidToken, Unavailable
from common.testing import mint_token
from user_svc.sessions.authenticator import LocalAuthenticator
from user_svc.sessions.repository import SessionRepository
from user_svc.settings import Settings

Rows = Callable[..., Awaitable[list[tuple[Any, ...]]]]
MakeRow = Callable[..., Awaitable[UUID]]


@pytest.fixture
def authenticator(settings: Settings, repository: SessionRepository) -> LocalAuthenticator:
    """As `create_app` wires it."""
    return LocalAuthenticator(verifier(settings), repository)


def decisions(source: str, verdict: str, reason: str = "") -> float:
    """How often this was decided so far."""
    labels = {"source": source, "verdict": verdict, "reason": reason}
    return REGISTRY.get_sample_value("auth_decisions_total", labels) or 0.0


async def test_a_good_session_gives_its_principal(
    authenticator: LocalAuthenticator, settings: Settings, make_account: MakeRow, make_session: MakeRow
) -> None:
    """The principal is the user of this moment, vouched for by user-svc itself, and the decision is counted."""
    ann = await make_account()
    session = await make_session(ann)
    before = decisions("user-svc", "allowed")

    found = await authenticator.authenticate(mint_token(settings.jwt_keys, sub=str(ann), sid=str(session)), safe=False)

    user = User(ann, "ann@example.com", True, False, False)
    assert found == Principal(ann, session, Source.USER_SVC, found.as_of, user)
    assert 0 <= found.age < 30
    assert decisions("user-svc", "allowed") == before + 1


@pytest.mark.parametrize("safe", [True, False])
async def test_a_proven_token_of_a_dead_session_is_refused(
    authenticator: LocalAuthenticator, settings: Settings, make_account: MakeRow, make_session: MakeRow, *, safe: bool
) -> None:
    """Proof is not enough: PostgreSQL has the last word, for reads as for writes, and the refusal is counted."""
    ann = await make_account()
    session = await make_session(ann, revoked=True)
    before = decisions("user-svc", "refused", "revoked")

    with pytest.raises(InvalidToken) as refusal:
        await authenticator.authenticate(mint_token(settings.jwt_keys, sub=str(ann), sid=str(session)), safe=safe)

    assert (refusal.value.reason, refusal.value.source) == ("revoked", "user-svc")
    assert decisions("user-svc", "refused", "revoked") == before + 1


async def test_a_token_of_one_user_opens_no_session_of_another(
    authenticator: LocalAuthenticator, settings: Settings, make_account: MakeRow, make_session: MakeRow
) -> None:
    """`sub` and `sid` must belong together."""
    ann, bob = await make_account(), await make_account("bob@example.com")
    session = await make_session(ann)

    with pytest.raises(InvalidToken):
        await authenticator.authenticate(mint_token(settings.jwt_keys, sub=str(bob), sid=str(session)), safe=True)


@pytest.mark.parametrize("token", ["", "x", "a.b.c"])
async def test_what_proves_nothing_is_refused_without_a_question(unconnected: Settings, token: str) -> None:
    """Garbage costs no statement: with nobody to ask it is 401 all the same, and counted as refused by proof."""
    database = Database(unconnected.database_url.reveal(), size=1, application="test")
    nobody = SessionRepository(database, token_lifetime=600)
    before = decisions("proof", "refused", "malformed")

    with pytest.raises(InvalidToken) as refusal:
        await LocalAuthenticator(verifier(unconnected), nobody).authenticate(token, safe=True)

    assert refusal.value.source == "proof"
    assert decisions("proof", "refused", "malformed") == before + 1


async def test_an_expired_token_is_refused_without_a_question(unconnected: Settings) -> None:
    """An expired token is 401 also while PostgreSQL is away."""
    database = Database(unconnected.database_url.reveal(), size=1, application="test")
    nobody = SessionRepository(database, token_lifetime=600)
    expired = mint_token(unconnected.jwt_keys, iat=1_700_000_000, exp=1_700_000_600)

    with pytest.raises(InvalidToken, match="expired"):
        await LocalAuthenticator(verifier(unconnected), nobody).authenticate(expired, safe=True)


async def test_without_postgresql_nobody_can_judge(unconnected: Settings) -> None:
    """A proven token while PostgreSQL is away is 503, never a 401: an outage never looks like a logout."""
    async with Database(unconnected.database_url.reveal(), size=1, application="test") as database:
        local = LocalAuthenticator(verifier(unconnected), SessionRepository(database, token_lifetime=600))

        with pytest.raises(Unavailable):
            await local.authenticate(mint_token(unconnected.jwt_keys, sub=str(uuid4())), safe=True)
