"""TCP ports for tests and for `up`."""

import socket
import subprocess
import sys

from devstack import ports


def test_free_ports_are_below_the_ephemeral_range_and_different() -> None:
    """No two alike, none where an outgoing connection could sit."""
    chosen = [ports.free_port() for _ in range(50)]
    assert len(set(chosen)) == 50
    assert all(ports.FIRST <= port < ports.LAST <= 32768 for port in chosen)


def test_claimed_port_is_not_given_to_another_process() -> None:
    """A port chosen here, though nobody listens on it yet, is not to be had elsewhere."""
    port = ports.free_port()
    question = f"from devstack import ports; print(ports._claim({port}), ports._claim({port} + 20000))"
    answer = subprocess.run([sys.executable, "-c", question], capture_output=True, text=True, check=True)
    assert answer.stdout.split() == ["False", "True"]


def test_taken_port_is_refused() -> None:
    """A port somebody listens on is refused with the reason; a free one is not."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert ports.refusal(listener.getsockname()[1]) == "is taken"
    assert ports.refusal(ports.free_port()) is None
