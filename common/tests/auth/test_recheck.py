"""The recheck: a caller is judged again while an answer is under way, and not more often than needed."""

import pytest

from common.auth import Principal, recheck
from common.auth.recheck import Recheck
from common.errors import ServiceError, Unauthorized, Unavailable
from common.testing import FakeAuthenticator


class Counting(FakeAuthenticator):
    """Counts how often it is asked; `fail` is what it then raises."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self.fail: ServiceError | None = None

    async def authenticate(self, token: str, *, safe: bool, fresh: bool = False) -> Principal:
        """See `common.auth.Authenticator`."""
        self.asked += 1
        if self.fail is not None:
            raise self.fail
        return await super().authenticate(token, safe=safe, fresh=fresh)


def watch(authenticator: FakeAuthenticator, token: str) -> Recheck:
    """Over a request with this token."""
    return Recheck(authenticator, [(b"authorization", f"Bearer {token}".encode())])


async def test_it_asks_no_more_than_once_in_a_while() -> None:
    """The guard has just asked, so it does not at first."""
    authenticator = Counting()
    caller = watch(authenticator, authenticator.admit())
    assert [await caller.stands() for _ in range(100)] == [True] * 100
    assert authenticator.asked == 0


async def test_it_says_how_long_it_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits for something else waits no longer than until the caller is to be judged."""
    now = 100.0
    monkeypatch.setattr(recheck, "monotonic", lambda: now)
    caller = watch(authenticator := Counting(), authenticator.admit())
    now += 0.3
    assert caller.rest == pytest.approx(recheck.EVERY - 0.3)
    now += recheck.EVERY
    assert caller.rest == 0.0
    assert (await caller.stands(), authenticator.asked) == (True, 1)
    assert caller.rest == pytest.approx(recheck.EVERY)


async def test_it_asks_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once it is due; a session that has ended does not stand."""
    monkeypatch.setattr(recheck, "EVERY", 0.0)
    authenticator = Counting()
    token = authenticator.admit()
    caller = watch(authenticator, token)
    assert (await caller.stands(), authenticator.asked) == (True, 1)
    del authenticator.principals[token]
    assert not await caller.stands()


async def test_nobody_can_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who would not be let in now is not answered on: coming again tells whether it was an outage."""
    monkeypatch.setattr(recheck, "EVERY", 0.0)
    authenticator = Counting()
    caller = watch(authenticator, authenticator.admit())
    authenticator.fail = Unavailable("nobody can tell")
    assert not await caller.stands()


def test_a_request_without_a_token() -> None:
    """There is nobody to watch."""
    with pytest.raises(Unauthorized):
        Recheck(Counting(), [])
