"""Fixtures of the development tools' tests."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from devstack.fixtures import RunningStack, quick_folder, started_up

HERE = Path(__file__).parent
FAKE = HERE / "fake_service.py"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tell the tools' tests from the services', whose coverage they do not raise."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.tools)


@pytest.fixture(scope="session")
def fake_services(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The variables with which `up` starts quick stand-ins instead of the real services."""
    folder = tmp_path_factory.mktemp("fake")
    for module in ("user_svc", "todo_svc"):
        (folder / module).mkdir()
        (folder / module / "__init__.py").touch()
        shutil.copy(FAKE, folder / module / "__main__.py")
    path = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {"PYTHONPATH": path, "DEVSTACK_RUN": str(folder / "run")}


@pytest.fixture(scope="module")
def fake_stack(tmp_path_factory: pytest.TempPathFactory, fake_services: dict[str, str]) -> Iterator[RunningStack]:
    """A stack of real servers and stand-in services with two processes each."""
    options = ("--no-seed", "--workers=2")
    with quick_folder(tmp_path_factory, "fake-stack") as data, started_up(data, *options, **fake_services):
        yield RunningStack(data)
