"""SIGTERM while somebody listens: the process drains, then ends at once, and the stream is whole."""

import subprocess
import sys
import time
from uuid import uuid4

import httpx
import pytest

from common.auth import KeyRing
from common.testing import mint_token
from devstack.fixtures import bare_environment
from devstack.ports import free_port
from devstack.processes import wait_until

pytestmark = pytest.mark.e2e


def test_a_stream_does_not_hold_the_process(variables: dict[str, str]) -> None:
    """Not ready from the signal on but answering; ended long before uvicorn would cut it off, silently, with code 0."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    token = mint_token(KeyRing.parse(variables["JWT_KEYS"]), sub=str(uuid4()))
    command = [sys.executable, "-m", "todo_svc", "serve", "--port", str(port)]
    environment = bare_environment(**variables, LOG_LEVEL="ERROR", DRAIN_SECONDS="1")
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert wait_until(lambda: _is_up(url), 20)
            headers = {"Authorization": f"Bearer {token}"}
            with httpx.stream("GET", f"{url}/events", headers=headers, timeout=15) as answer:
                chunks = answer.iter_bytes()
                assert next(chunks).startswith(b"retry: ")
                started = time.perf_counter()
                process.terminate()
                assert wait_until(lambda: httpx.get(f"{url}/health/ready").status_code == 503, 0.5)
                lists = httpx.get(f"{url}/lists", headers=headers)
                assert (lists.status_code, lists.headers["connection"]) == (200, "close")
                assert list(chunks) == []
            assert process.wait(10) == 0
            assert time.perf_counter() - started < 3
            assert process.communicate()[1] == ""
        finally:
            process.kill()


def _is_up(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health/live").is_success
    except httpx.TransportError:
        return False
