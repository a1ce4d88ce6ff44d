"""The fixtures of the whole repository, with the real services."""

import subprocess
from urllib.parse import urlsplit

import asyncpg
import pytest

from devstack.fixtures import DatabaseFactory, RunningStack
from devstack.probes import http_status
from devstack.up import demo, report


@pytest.mark.parametrize("service", ["user_svc", "todo_svc"])
async def test_database_is_migrated_and_fresh(database: DatabaseFactory, service: str) -> None:
    """It has the service's tables, and each call gives another one."""
    first, second = await database(service), await database(service)
    assert first != second
    connection = await asyncpg.connect(first)
    tables = await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
    await connection.close()
    assert tables > 1


@pytest.mark.e2e
@pytest.mark.xdist_group("stack")
def test_stack_is_whole_again(stack: RunningStack) -> None:
    """After the kill of every piece, `restore` brings all back to ready at the same addresses."""
    for name in ("postgres", "redis", "user-svc", "todo-svc"):
        stack.kill(name)
    stack.restore()
    for url in (stack.user_url, stack.todo_url):
        assert http_status(urlsplit(url).port or 0, "/health/ready") == 200


@pytest.mark.e2e
@pytest.mark.xdist_group("stack")
def test_line_to_paste_works_as_it_stands(stack: RunningStack) -> None:
    """The demo user's list is what the printed pipeline shows."""
    ports = [urlsplit(url).port or 0 for url in (stack.user_url, stack.todo_url)]
    for _ in range(2):  # a second time changes nothing
        demo.seed(ports[0], ports[1])
    line = report.try_it(stack.todo_url)
    shown = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=True).stdout
    assert shown.count(demo.LIST["title"]) == 1
