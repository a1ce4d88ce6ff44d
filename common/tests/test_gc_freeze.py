"""A process that serves does not look through what was there when it started."""

import gc
from collections.abc import Iterator
from typing import Any

import pytest

from common.gc_freeze import SERVED


@pytest.fixture(autouse=True)
def thawed() -> Iterator[None]:
    """Nothing is frozen before a test, and what it freezes is looked through again after it."""
    gc.unfreeze()
    yield
    gc.unfreeze()


@pytest.mark.parametrize("served", [True, False])
async def test_only_who_serves_settles(build: Any, monkeypatch: pytest.MonkeyPatch, *, served: bool) -> None:
    """In a program, where one app lives to the end; not in tests, whose garbage would stay for good."""
    if served:
        monkeypatch.setenv(SERVED, "yes")
    else:
        monkeypatch.delenv(SERVED, raising=False)
    before = gc.get_freeze_count()
    async with build().lifespan():
        assert (gc.get_freeze_count() > before + 10_000) is served
