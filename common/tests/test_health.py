"""Health and metrics: what an orchestrator asks, and what is asked for it."""

from collections.abc import Callable
from typing import Any

import pytest
from litestar import Litestar

from common.database import Database
from common.testing import client_of
from devstack.fixtures import TestPostgres

Build = Callable[..., Litestar]


async def test_live_touches_nothing(build: Build, silent: Any) -> None:
    """A process that answers is not killed because PostgreSQL is away."""
    database = Database(f"postgresql://ann@{silent.address}/db", size=1, application="test")
    async with client_of(build(database=database)) as client:
        answer = await client.get("/health/live")
    assert (answer.status_code, answer.json()) == (200, {"status": "live"})
    assert silent.connections == []


async def test_ready_with_its_database(build: Build, postgres_server: TestPostgres) -> None:
    """PostgreSQL answers."""
    database = Database(postgres_server.dsn("postgres"), size=1, application="test")
    async with client_of(build(database=database)) as client:
        answer = await client.get("/health/ready")
    assert (answer.status_code, answer.json()) == (200, {"status": "ready"})


async def test_not_ready_without_its_database(build: Build) -> None:
    """503, as a problem, with Retry-After: no traffic until it is back."""
    database = Database("postgresql://ann@127.0.0.1:1/db", size=1, application="test")
    async with client_of(build(database=database)) as client:
        answer = await client.get("/health/ready")
    assert (answer.status_code, answer.json()["code"]) == (503, "UNAVAILABLE")
    assert answer.headers["Retry-After"] == "1"


async def test_ready_needs_no_redis(build: Build) -> None:
    """Only its own PostgreSQL counts; a service without one is ready when it is up."""
    async with client_of(build()) as client:
        assert (await client.get("/health/ready")).json() == {"status": "ready"}


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/metrics"])
async def test_they_are_open(build: Build, path: str) -> None:
    """An orchestrator has no token."""
    async with client_of(build()) as client:
        assert (await client.get(path)).status_code == 200


async def test_metrics_are_prometheus_text(build: Build) -> None:
    """With the requests counted so far."""
    async with client_of(build()) as client:
        await client.get("/health/live")
        answer = await client.get("/metrics")
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert 'http_requests_total{method="GET",route="/health/live",status="200"}' in answer.text
