"""The rows of many users, lists and todos, as the services would have made them over the last year."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import chain
from random import Random
from typing import Any, NamedTuple
from uuid import UUID

from argon2 import PasswordHasher
from msgspec.structs import fields
from uuid_utils.compat import uuid7

from devstack.seed.content import Account, Content
from devstack.seed.options import Options
from user_svc.passwords import normalise
from user_svc.settings import Settings

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
YEAR = timedelta(days=365)
GAP = 1024.0  # between positions, as todo-svc leaves it
RANKS = {"low": 1, "medium": 2, "high": 3}
MODELS = 20_000  # todos taken from `Content`, which is slow; users beyond them have what one before has
BATCH = 25_000  # todos

Record = tuple[Any, ...]


class Batch(NamedTuple):
    """Some users, whole."""

    accounts: list[Record]
    lists: list[Record]
    todos: Iterator[Record]
    owners: list[UUID]


class _List(NamedTuple):
    """A list that stands in its owner's, and when it was made."""

    id: UUID
    owner: UUID
    made: datetime


class People:
    """Users by number, from 1 on; their texts are those of the seed, their ids are new in every run."""

    def __init__(self, options: Options) -> None:
        self._content = Content(options.seed)
        self.password = self._content.password("bulk")
        self._options = options
        self._hash = _hash(self.password)
        self._now = datetime.now(UTC)
        self._models = max(1, min(options.users, MODELS // max(1, options.lists * options.todos)))
        self._written: dict[int, list[tuple[Record, list[Record]]]] = {}

    def account(self, number: int) -> Account:
        """The credentials of one: the password is the same for all, so that it is hashed once."""
        return Account(f"{self._content.name(number)}.bulk{number}@example.com", self.password)

    def batches(self, first: int) -> Iterator[Batch]:
        """All users of the options, numbered from `first` on."""
        size = max(1, BATCH // max(1, self._options.lists * self._options.todos, self._options.lists))
        end = first + self._options.users
        for start in range(first, end, size):
            yield self._batch(range(start, min(start + size, end)))

    def _batch(self, numbers: range) -> Batch:
        random = Random(f"{self._options.seed}/{numbers.start}")  # noqa: S311 - example data
        accounts, lists, todos = [], [], []
        for number in numbers:
            joined = self._now - YEAR * random.random()
            owner = _id(joined)
            email = self.account(number).email
            accounts.append((owner, email, email, self._hash, True, False, False, joined, joined))
            for position, (texts, contents) in enumerate(self._texts(number % self._models)):
                made = joined + (self._now - joined) * (position + random.random()) / (2 * self._options.lists)
                entry = _List(_id(made), owner, made)
                lists.append((entry.id, owner, *texts, made, made))
                todos.append(self._todos(entry, contents, random))
        return Batch(accounts, lists, chain.from_iterable(todos), [row[0] for row in accounts])

    def _todos(self, entry: _List, contents: list[Record], random: Random) -> Iterator[Record]:
        """The todos of a list, each made after the one that stands before it."""
        step = (self._now - entry.made) / (len(contents) + 1)
        for place, (completed, *texts) in enumerate(contents, start=1):
            made = entry.made + step * (place - 0.5 * random.random())
            done = made + (self._now - made) * random.random() if completed else None
            version, changed = (2, done) if done else (1, made)
            yield _id(made), entry.owner, entry.id, *texts, done, place * GAP, version, made, changed

    def _texts(self, model: int) -> list[tuple[Record, list[Record]]]:
        """Title and description of each list, with the texts of its todos; written once per model."""
        if model not in self._written:
            self._written[model] = [self._list(model, position) for position in range(self._options.lists)]
        return self._written[model]

    def _list(self, user: int, position: int) -> tuple[Record, list[Record]]:
        draft = self._content.todo_list(user, position)
        todos = [self._content.todo(user, position, place) for place in range(self._options.todos)]
        return (draft.title, draft.description), [
            (completed, todo.content, todo.description, RANKS[todo.priority], todo.due_at) for todo, completed in todos
        ]


def _hash(password: str) -> str:
    """As user-svc does it by default; one with other parameters makes the hash anew at the first login."""
    defaults = {field.name: field.default for field in fields(Settings)}
    hasher = PasswordHasher(
        time_cost=defaults["argon2_passes"],
        memory_cost=defaults["argon2_memory_kib"],
        parallelism=defaults["argon2_lanes"],
    )
    return hasher.hash(normalise(password))


def _id(moment: datetime) -> UUID:
    """A UUIDv7 of that moment, as a row made then would have."""
    return uuid7(nanoseconds=(moment - EPOCH) // timedelta(microseconds=1) * 1000)
