"""seed, its content and its progress: what is made of a number, and how it is told."""

import io

from devstack.seed.content import Content
from devstack.seed.progress import Lines


def test_content_derives_from_the_seed_alone() -> None:
    """Two processes agree on everything, in whatever order they ask; another seed is other people."""
    ones, others = Content(1), Content(1)
    backwards = [others.todo(user, 2, 3) for user in reversed(range(20))]

    assert [ones.todo(user, 2, 3) for user in range(20)] == backwards[::-1]
    assert ones.account(4) == others.account(4)
    assert ones.account(4) != Content(2).account(4)


def test_nothing_repeats() -> None:
    """E-mails, a user's titles and a list's contents are unique; passwords are long enough."""
    content = Content(1)
    accounts = [content.account(user) for user in range(300)]

    assert len({account.email for account in accounts}) == 300
    assert all(len(account.password) >= 15 for account in accounts)
    assert len({content.todo_list(0, position).title for position in range(100)}) == 100
    assert len({content.todo(0, 0, position)[0].content for position in range(100)}) == 100


def test_lines_come_at_every_tenth() -> None:
    """Without a terminal there are ten lines, whatever the amount, and a notice once in a row."""
    stream = io.StringIO()
    lines = Lines(1000, stream)
    with lines:
        lines.notice("waiting")
        lines.notice("waiting")
        for _ in range(1000):
            lines.advance()

    said = stream.getvalue().splitlines()
    assert [line.partition(",")[0] for line in said] == ["waiting", *(f"{n}00 of 1" for n in range(1, 10)), "1"]
