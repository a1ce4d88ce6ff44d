"""How a run of the tests behaves."""

import signal
from types import SimpleNamespace
from typing import Any

import pytest

from devstack import hooks


def test_two_tests_of_one_name_are_refused() -> None:
    """Side by side, only one of them would run; the name is said."""
    items: list[Any] = [SimpleNamespace(nodeid=name) for name in ("a", "b", "b")]
    hooks.pytest_collection_modifyitems(items[:2])
    with pytest.raises(pytest.UsageError, match="two tests are named b"):
        hooks.pytest_collection_modifyitems(items)


def test_ctrl_c_is_heard_in_the_background() -> None:
    """A shell makes what it starts there deaf to SIGINT, and that is inherited."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        hooks.pytest_configure()
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
