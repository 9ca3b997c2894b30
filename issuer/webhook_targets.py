"""Where webhooks may go: hosts that the operator has listed, over https, and no address inside by accident.

``[webhooks] allowed_hosts`` has one entry a host: ``portal.example.org`` or with a port ``portal.example.org:8443``;
without one it is 443. Behind ``private:`` (``private:register.city.internal:8443``) the host may have an address that
is not public; of any other host all addresses must be. An address itself, such as ``private:10.0.0.7``, can be listed
as well and counts as itself only.

The name is looked up for each delivery and the connection goes to the address that was checked, so that a name which
changes in between (DNS rebinding) leads nowhere else.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final
from urllib.parse import urlsplit

from issuer.errors import IssuerRefusal

LONGEST: Final = 500
_PRIVATE: Final = "private:"
_HTTPS_PORT: Final = 443
_PRINTABLE = re.compile(r"[\x21-\x7e]+")
_NAME = re.compile(
    r"(?=.{1,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
)
# What only decimal readers of a name take for a name: 2130706433, 0x7f.1, 127.1 are addresses to many resolvers.
_NUMERIC = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")

Address = IPv4Address | IPv6Address
# (host, port) -> the addresses that the name has; raises OSError.
Resolve = Callable[[str, int], Sequence[Address]]


@dataclass(frozen=True, slots=True)
class Target:
    """An address that may be called: ``url`` as it is stored, ``private`` whether it may lead inside."""

    url: str
    host: str
    port: int
    private: bool


def target_of(url: str, allowed_hosts: Sequence[str]) -> Target:
    """Read and check the address of a webhook.

    Raises IssuerRefusal WEBHOOK_URL for anything but ``https://host[:port][/path][?query]``, WEBHOOK_HOST for a host
    and port that are not listed.
    """
    if len(url) > LONGEST or _PRINTABLE.fullmatch(url) is None or "\\" in url or "#" in url:
        raise IssuerRefusal("WEBHOOK_URL")
    try:
        parts = urlsplit(url)
        port = parts.port or _HTTPS_PORT
        host = (parts.hostname or "").lower()
    except ValueError:
        raise IssuerRefusal("WEBHOOK_URL") from None
    if parts.scheme != "https" or not host or "@" in parts.netloc or not _is_host(host):
        raise IssuerRefusal("WEBHOOK_URL")
    listed = {_entry(one) for one in allowed_hosts}
    for private in (False, True):
        if (host, port, private) in listed:
            break
    else:
        raise IssuerRefusal("WEBHOOK_HOST", host=host[:100], port=port)
    private = (host, port, True) in listed
    shown = f"[{host}]" if ":" in host else host
    authority = shown if port == _HTTPS_PORT else f"{shown}:{port}"
    query = f"?{parts.query}" if parts.query else ""
    return Target(f"https://{authority}{parts.path or '/'}{query}", host, port, private)


def address_of(target: Target, resolve: Resolve | None = None) -> Address:
    """The address to connect to.

    Raises OSError for a name that has none; IssuerRefusal WEBHOOK_ADDRESS if any of its addresses is not public and
    the host may not lead inside.
    """
    addresses = (resolve or system_resolver)(target.host, target.port)
    if not addresses:
        raise OSError("no address")
    # All of them: one public address beside a private one is how a name is made to pass.
    if not target.private and not all(map(is_public, addresses)):
        raise IssuerRefusal("WEBHOOK_ADDRESS", host=target.host)
    return addresses[0]


def is_public(address: Address) -> bool:
    """Whether an address is one of the public internet, also the one inside an IPv6 address that carries IPv4."""
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo and address.teredo[1])
        if inner and not is_public(inner):
            return False
        # NAT64 (RFC 6052): the last four bytes are an IPv4 address.
        if address.packed[:12] == bytes.fromhex("0064ff9b0000000000000000"):
            return is_public(IPv4Address(address.packed[12:]))
    return address.is_global and not address.is_multicast


def system_resolver(host: str, port: int) -> list[Address]:
    """The addresses that the system has for a name."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [ip_address(str(one[4][0]).partition("%")[0]) for one in found]


def _is_host(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return _NAME.fullmatch(host) is not None and _NUMERIC.fullmatch(host) is None
    return True


def _entry(text: str) -> tuple[str, int, bool]:
    private = text.startswith(_PRIVATE)
    rest = text.removeprefix(_PRIVATE).strip().lower()
    try:
        parts = urlsplit(f"//{rest}")
        return parts.hostname or "", parts.port or _HTTPS_PORT, private
    except ValueError:
        # An entry that cannot be read allows nothing.
        return "", 0, private
