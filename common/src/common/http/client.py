"""Where a request comes from: the peer, or what a proxy that is trusted says of its own peer (RFC 7239 section 5.2)."""

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, Self

from msgspec import Struct

USER_AGENT_LENGTH = 256
IPV4 = 4


class Network:
    """An address range, such as 10.0.0.0/8, of a setting."""

    form = "`10.0.0.0/8`"
    __slots__ = ("network",)

    def __init__(self, network: IPv4Network | IPv6Network) -> None:
        self.network = network

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read one.

        Raises:
            ValueError: it is no address range.

        """
        try:
            return cls(ip_network(text))
        except ValueError:
            raise ValueError("must be address ranges such as 10.0.0.0/8") from None

    def __contains__(self, address: IPv4Address | IPv6Address) -> bool:
        return address in self.network

    def __repr__(self) -> str:
        return str(self.network)


_WITH_PORT = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::[0-9]+)?|([0-9.]+):[0-9]+")


class Client(Struct, frozen=True):
    """What a request tells of its sender."""

    address: str
    user_agent: str


def client_network(address: str) -> str:
    """Those who are likely one: an IPv6 customer has a whole /64 to choose addresses from (RFC 6177), or more."""
    try:
        parsed = _parsed(address)
    except ValueError:
        return address
    return str(parsed) if parsed.version == IPV4 else str(IPv6Network((int(parsed) >> 64 << 64, 64)))


def forwarded(scope: Any) -> list[str]:
    """The hops that X-Forwarded-For names, farthest first: its lines are one list (RFC 9110 section 5.3)."""
    lines = [value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for"]
    return [hop.strip() for hop in ",".join(lines).split(",") if hop.strip()]


class Clients:
    """Reads the sender of a request; X-Forwarded-For counts only as far as it was written by `trusted` proxies."""

    def __init__(self, trusted: Sequence[Network]) -> None:
        self._trusted = trusted

    def of(self, scope: Any) -> Client:
        """From the last hop backwards, the first address that is no trusted proxy's."""
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        peer = scope["client"][0] if scope.get("client") else ""
        hops = forwarded(scope)
        address = peer
        while hops and self._trusts(address):
            address = hops.pop()
        return Client(
            _canonical(address) or _canonical(peer) or "unknown", headers.get(b"user-agent", "")[:USER_AGENT_LENGTH]
        )

    def _trusts(self, address: str) -> bool:
        try:
            parsed = _parsed(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._trusted)


def _canonical(address: str) -> str:
    try:
        return str(_parsed(address))
    except ValueError:
        return ""


def _parsed(address: str) -> IPv4Address | IPv6Address:
    """An IPv4 address is the same one where a socket for both shows it as `::ffff:192.0.2.1`; a port does not count."""
    match = _WITH_PORT.fullmatch(address)
    parsed = ip_address(match[1] or match[2] if match else address)
    return getattr(parsed, "ipv4_mapped", None) or parsed
