"""Whose request is it: the client's address, through the proxies that the operator trusts."""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from starlette.requests import HTTPConnection

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_HOPS = 64
"""How many hops are looked at, from the right."""


def client_address(request: HTTPConnection, trusted: Sequence[Network]) -> str | None:
    """Give the peer's address or, where the peer is a trusted proxy, the right-most untrusted hop.

    What stands to the left of that hop is the client's own claim and never looked at (ASVS 4.1.3).
    Only `X-Forwarded-For` tells hops: `Forwarded` (RFC 7239), `X-Real-IP` and their like would be
    second ways to say the same, which a proxy that replaces the first may pass on.
    None where there is no peer address, as on a Unix socket.
    """
    peer = request.client.host if request.client else ""
    return nearest(peer, request.headers.getlist("x-forwarded-for") if trusted else (), trusted)


def nearest(peer: str, forwarded: Sequence[str], trusted: Sequence[Network]) -> str | None:
    """Walk from the peer to the left over `X-Forwarded-For`; what is no address ends the walk."""
    if not forwarded:
        return _alone(peer)
    found = _parse(peer)
    hops = ",".join(forwarded).split(",")[-_HOPS:]
    while found is not None and hops and any(found in network for network in trusted):
        hop = _parse(hops.pop())
        if hop is None:
            break
        found = hop
    return str(found) if found is not None else None


@lru_cache(maxsize=1024)  # a client asks several times, over one connection or some
def _alone(peer: str) -> str | None:
    found = _parse(peer)
    return str(found) if found is not None else None


def _parse(text: str) -> Address | None:
    """Read an address that may have brackets, a port or a zone."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
