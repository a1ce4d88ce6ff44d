"""pytest plugin: how a run behaves, whatever is tested."""

import gc
import signal

import pytest


def pytest_configure() -> None:
    """Hear Ctrl-C though a shell started us in the background: what tests start would be deaf to it too."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse two tests of one name: of these xdist would run only one."""
    names = [item.nodeid for item in items]
    if len(set(names)) < len(names):
        raise pytest.UsageError(f"two tests are named {next(name for name in names if names.count(name) > 1)}")


def pytest_collection_finish() -> None:
    """Spare the collector what stays: it would look at every module and test again and again."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
