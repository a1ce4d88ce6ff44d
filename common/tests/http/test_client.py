"""Where a request comes from: X-Forwarded-For is believed only as far as trusted proxies wrote it."""

from ipaddress import ip_address
from typing import Any

import pytest

from common.http.client import Client, Clients, Network, client_network

PROXIES = Clients([Network.parse("10.0.0.0/8"), Network.parse("fd00::/8")])
PROXY = "10.0.0.1"


def scope(peer: str | None, *forwarded: str, user_agent: str = "") -> Any:
    """A request from this peer, with one X-Forwarded-For line for each of `forwarded`."""
    headers = [(b"x-forwarded-for", line.encode("latin-1")) for line in forwarded]
    if user_agent:
        headers.append((b"user-agent", user_agent.encode("latin-1")))
    return {"headers": headers, "client": (peer, 50_000) if peer else None}


BELIEVED = {
    "nothing was forwarded": ("203.0.113.9", [], "203.0.113.9"),
    "a stranger's word": ("203.0.113.9", ["198.51.100.7"], "203.0.113.9"),
    "a stranger who names a proxy": ("203.0.113.9", [f"198.51.100.7, {PROXY}"], "203.0.113.9"),
    "a proxy's word": (PROXY, ["198.51.100.7"], "198.51.100.7"),
    "a proxy that says nothing": (PROXY, [], PROXY),
    "what the client made up stands in front": (PROXY, ["192.0.2.1, 198.51.100.7"], "198.51.100.7"),
    "a line of its own that the client made up": (PROXY, ["192.0.2.1", "198.51.100.7"], "198.51.100.7"),
    "through two proxies": (PROXY, ["192.0.2.1, 198.51.100.7, 10.9.9.9"], "198.51.100.7"),
    "a proxy behind a stranger is a stranger's word": (PROXY, ["10.9.9.9, 198.51.100.7"], "198.51.100.7"),
    "proxies alone": (PROXY, ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
    "spaces and gaps": (PROXY, [" , 198.51.100.7 ,, "], "198.51.100.7"),
    "no address": (PROXY, ["unknown"], PROXY),
    "a proxy's line behind another's": (PROXY, ["192.0.2.1, 198.51.100.7", "10.9.9.9"], "198.51.100.7"),
    "an address with a port": (PROXY, ["198.51.100.7:4711"], "198.51.100.7"),
    "IPv6 with a port": (PROXY, ["[2001:db8::7]:4711"], "2001:db8::7"),
    "IPv6 in brackets": (PROXY, ["[2001:db8::7]"], "2001:db8::7"),
    "IPv6, in one spelling": ("FD00:0::1", ["2001:DB8:0:0::7"], "2001:db8::7"),
    "IPv6 of a stranger": ("2001:db8::9", ["198.51.100.7"], "2001:db8::9"),
    "a proxy as a socket for both shows it": (f"::ffff:{PROXY}", ["198.51.100.7"], "198.51.100.7"),
    "IPv4 in the clothes of IPv6": ("::ffff:203.0.113.9", [], "203.0.113.9"),
    "a socket without a peer": (None, ["198.51.100.7"], "unknown"),
    "a peer without an address": ("testclient", ["198.51.100.7"], "unknown"),
}


@pytest.mark.parametrize(("peer", "forwarded", "expected"), BELIEVED.values(), ids=BELIEVED)
def test_the_sender_is_the_first_that_no_trusted_proxy_vouches_beyond(
    peer: str | None, forwarded: list[str], expected: str
) -> None:
    """From the last hop backwards; nobody can choose an address to be throttled by."""
    assert PROXIES.of(scope(peer, *forwarded)).address == expected


HOUSEHOLDS = {
    "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64",
    "2001:db8:1:2::": "2001:db8:1:2::/64",
    "2001:db8:1:3::1": "2001:db8:1:3::/64",
    "fe80::1%eth0": "fe80::/64",
    "203.0.113.9": "203.0.113.9",
    "::ffff:203.0.113.9": "203.0.113.9",
    "unknown": "unknown",
}


@pytest.mark.parametrize(("address", "expected"), HOUSEHOLDS.items())
def test_a_household_is_what_one_customer_may_choose_from(address: str, expected: str) -> None:
    """A /64 of IPv6 is one; each address of IPv4 stands for itself, in either spelling."""
    assert client_network(address) == expected


def test_by_default_nobody_is_believed() -> None:
    """Without TRUSTED_PROXIES the peer is the sender, loopback included."""
    assert Clients([]).of(scope("127.0.0.1", "198.51.100.7")).address == "127.0.0.1"


def test_the_user_agent_is_cut() -> None:
    """What goes into the table fits, whatever was sent; a missing one is empty."""
    assert PROXIES.of(scope("203.0.113.9", user_agent="\u00e4" * 300)) == Client("203.0.113.9", "\u00e4" * 256)
    assert PROXIES.of(scope("203.0.113.9")).user_agent == ""


@pytest.mark.parametrize("text", ["", "10.0.0.0/33", "10.0.0.1/8", "proxy.example", "*", "10.0.0.0/8;::1"])
def test_what_is_no_range_is_refused(text: str) -> None:
    """A range that is misspelt would trust the wrong ones; the message does not repeat the value."""
    with pytest.raises(ValueError, match=r"\Amust be address ranges such as 10\.0\.0\.0/8\Z"):
        Network.parse(text)


@pytest.mark.parametrize(("text", "inside", "outside"), [("10.0.0.0/8", "10.1.2.3", "11.0.0.1"), ("::1", "::1", "::2")])
def test_a_range_holds_its_addresses(text: str, inside: str, outside: str) -> None:
    """Of its own family, and no others; it shows itself as it was written."""
    network = Network.parse(text)

    assert ip_address(inside) in network
    assert ip_address(outside) not in network
    assert str(network.network).startswith(text)
    assert repr(network) == str(network.network)
