"""The verified caller."""

from uuid import uuid4

import pytest

from common.auth import Principal, Source
from common.dto import User
from common.testing import a_user


@pytest.mark.parametrize(("user", "privileged"), [(None, False), (a_user(), False), (a_user(is_superuser=True), True)])
def test_privileges_come_from_a_standing_alone(user: User | None, privileged: bool) -> None:
    """Proof of a token makes nobody a superuser."""
    assert Principal(uuid4(), uuid4(), Source.PROOF, 0.0, user).is_superuser is privileged


def test_words_of_the_header() -> None:
    """`X-Auth-Source` says one of these."""
    assert [str(source) for source in Source] == ["memory", "redis", "user-svc", "proof", "blind"]
