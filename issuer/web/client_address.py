"""Who is really calling: the address behind the proxies that the operator trusts, and behind nobody else.

``X-Forwarded-For`` is written by whoever sends it. Only the part that our own proxies have added says anything, so
the list is walked from its right end for as long as the hop before is a trusted one.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, Final

from litestar.types import ASGIApp, Receive, Send

_MOST_HOPS: Final = 20
_LONGEST: Final = 2000
_IPV6_SHARE: Final = 64
# Headers with which a proxy shows that it passes on what somebody else has asked.
_FORWARDED: Final = frozenset({b"x-forwarded-for", b"forwarded", b"x-real-ip", b"via"})
_log = logging.getLogger("stadtpass.web")

Address = IPv4Address | IPv6Address


class Networks:
    """A set of networks such as ``10.0.0.0/8``; a single address is a network of one."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._networks = tuple(ip_network(text, strict=False) for text in texts)

    def __contains__(self, address: object) -> bool:
        return any(address in network for network in self._networks)

    def __bool__(self) -> bool:
        return bool(self._networks)


class ClientAddress:
    """ASGI wrapper: puts the caller's address into ``scope["client"]``, and https where a trusted proxy says so.

    ``scope["state"]["direct"]`` says whether nobody has passed the request on: only then a loopback address
    means that the caller is on this machine.
    """

    def __init__(self, app: ASGIApp, trusted: Sequence[str]) -> None:
        self._app = app
        self._trusted = Networks(trusted)
        self._warned = False

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "http":
            self._look(scope)
        await self._app(scope, receive, send)

    def _look(self, scope: Any) -> None:
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        peer = parse_address((scope.get("client") or ("",))[0])
        forwarded = any(name in _FORWARDED for name, _ in headers)
        scope.setdefault("state", {})["direct"] = not forwarded
        if peer is None:
            return
        found = peer
        if peer in self._trusted:
            found = self._walk(peer, headers)
            scheme = [value for name, value in headers if name == b"x-forwarded-proto"]
            if scheme and scheme[-1].strip().lower() == b"https":
                scope["scheme"] = "https"
        elif forwarded and not self._warned:
            self._warned = True
            _log.warning("forwarded headers ignored: service.trusted_proxies does not name the sender")
        scope["client"] = (str(found), 0)

    def _walk(self, peer: Address, headers: list[tuple[bytes, bytes]]) -> Address:
        text = b",".join(value for name, value in headers if name == b"x-forwarded-for")[-_LONGEST:]
        hops = text.decode("latin-1").split(",")[-_MOST_HOPS:]
        found = peer
        while hops and found in self._trusted:
            hop = parse_address(hops.pop())
            if hop is None:
                break
            found = hop
        return found


def parse_address(text: str) -> Address | None:
    """An address as proxies write it, with or without port; None for anything else."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def limit_key(scope: Any) -> str:
    """What counts as one caller: an IPv4 address, or the 64 bits of IPv6 that one customer gets whole."""
    text = (scope.get("client") or ("",))[0]
    address = parse_address(text)
    if isinstance(address, IPv6Address):
        return str(IPv6Network((address, _IPV6_SHARE), strict=False))
    return str(address) if address is not None else text


def is_local(scope: Any) -> bool:
    """Whether the caller is on this machine, and not a proxy that speaks for somebody else."""
    address = parse_address((scope.get("client") or ("",))[0])
    return address is not None and address.is_loopback and bool(scope.get("state", {}).get("direct"))
