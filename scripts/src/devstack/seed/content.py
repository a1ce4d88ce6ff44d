"""What is seeded: accounts, lists and todos, each a pure function of the seed and its position."""

import base64
import hashlib
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Literal

from faker import Faker
from msgspec import Struct

from devstack.seed.themes import THEMES

EPOCH = datetime(2027, 1, 1, 9, tzinfo=UTC)
"""What due dates count from: a fixed day, or a second run would differ from the first."""

Priority = Literal["low", "medium", "high"]


class Account(Struct, frozen=True):
    """The credentials of one example user, as `POST /auth/register` takes them."""

    email: str
    password: str


class ListDraft(Struct, frozen=True, omit_defaults=True):
    """The body of `POST /lists`."""

    title: str
    description: str | None = None


class TodoDraft(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The body of `POST /lists/{id}/todos`."""

    content: str
    priority: Priority
    description: str | None = None
    due_at: datetime | None = None


class Content:
    """The example data by position.

    Any position can be asked for in any order, and none depends on how many there are: a run with more lists
    or todos adds to what a smaller one left.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._faker = Faker("en_US")

    def account(self, user: int) -> Account:
        """The credentials of user number `user`; the position in the e-mail keeps namesakes apart."""
        email = f"{self.name(user)}.{user + 1}@example.com"
        return Account(email, self.password(email))

    def name(self, user: int) -> str:
        """First and last name as an e-mail address holds them; others may have the same."""
        self._seeded("account", user)
        return f"{self._faker.first_name()}.{self._faker.last_name()}".lower()

    def todo_list(self, user: int, position: int) -> ListDraft:
        """A list of a user; titles never repeat within one user."""
        title, turn = self._theme(user, position)
        numbered = f"{title} {turn + 1}" if turn else title
        random = self._seeded("list", user, position)
        shared = _happens(random, 0.5)
        return ListDraft(numbered, f"Shared with {self._faker.first_name()}" if shared else None)

    def todo(self, user: int, in_list: int, position: int) -> tuple[TodoDraft, bool]:
        """A todo and whether it is completed; contents never repeat within one list."""
        tasks = THEMES[self._theme(user, in_list)[0]]
        turn, place = divmod(position, len(tasks))
        random = self._seeded("todo", user, in_list, position)
        draft = TodoDraft(
            content=f"{tasks[place]}, week {turn + 1}" if turn else tasks[place],
            priority=random.choices(("low", "medium", "high"), (3, 5, 2))[0],
            description=self._note(random) if _happens(random, 0.4) else None,
            due_at=EPOCH + timedelta(days=random.randint(-30, 60)) if _happens(random, 0.6) else None,
        )
        return draft, _happens(random, 0.35)

    def password(self, email: str) -> str:
        """Twenty characters no list of weak passwords holds, the same at every run."""
        digest = hashlib.sha256(f"gatehouse seed {self._seed} {email}".encode()).digest()
        text = base64.b32encode(digest).decode().lower()
        return "-".join(text[start : start + 5] for start in range(0, 20, 5))

    def _theme(self, user: int, position: int) -> tuple[str, int]:
        """The subject of a list, in an order of the user's own, and how often it came before."""
        turn, place = divmod(position, len(THEMES))
        titles = self._seeded("themes", user).sample(list(THEMES), len(THEMES))
        return titles[place], turn

    def _note(self, random: Random) -> str:
        notes = (
            f"Ask {self._faker.first_name()} first",
            f"About {random.randrange(10, 100, 5)} minutes",
            f"Budget: {random.randrange(20, 500, 10)} EUR",
            f"{self._faker.first_name()} has the details",
        )
        return random.choice(notes)

    def _seeded(self, *place: str | int) -> Random:
        """Put the faker at one place of the seed; returns its source of chance."""
        self._faker.seed_instance(f"{self._seed}/{place}")
        source: Random = self._faker.random
        return source


def _happens(random: Random, share: float) -> bool:
    return random.random() < share
