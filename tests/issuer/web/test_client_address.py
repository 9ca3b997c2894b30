"""Who is calling, behind proxies that are trusted and headers that anybody can write."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from issuer.web.client_address import ClientAddress, is_local, limit_key, parse_address

PROXIES = ("10.0.0.0/8", "2001:db8:1::/48", "127.0.0.1")


def seen(peer: str, *forwarded: str, trusted: tuple[str, ...] = PROXIES) -> dict[str, Any]:
    """The scope as the next layer sees it."""
    scope: dict[str, Any] = {
        "type": "http",
        "client": (peer, 1234),
        "scheme": "http",
        "headers": [(b"x-forwarded-for", one.encode()) for one in forwarded],
    }

    async def nothing(*_arguments: Any) -> None:
        return

    asyncio.run(ClientAddress(nothing, trusted)(scope, nothing, nothing))  # type: ignore[arg-type]
    return scope


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("198.51.100.7", (), "198.51.100.7"),
        # Somebody who is no proxy can write what he likes.
        ("198.51.100.7", ("203.0.113.1",), "198.51.100.7"),
        ("10.0.0.1", ("203.0.113.1",), "203.0.113.1"),
        # Only what a trusted hop has added counts: the left part is the client's own invention.
        ("10.0.0.1", ("192.0.2.66, 203.0.113.1",), "203.0.113.1"),
        ("10.0.0.1", ("192.0.2.66", "203.0.113.1"), "203.0.113.1"),
        ("10.0.0.1", ("203.0.113.1, 10.0.0.2",), "203.0.113.1"),
        ("10.0.0.1", ("192.0.2.66, 203.0.113.1, 10.0.0.2, 10.3.0.1",), "203.0.113.1"),
        # All hops are ours: the farthest is the caller.
        ("10.0.0.1", ("10.0.0.9",), "10.0.0.9"),
        ("10.0.0.1", (), "10.0.0.1"),
        ("10.0.0.1", ("unknown",), "10.0.0.1"),
        ("10.0.0.1", ("203.0.113.1, nonsense",), "10.0.0.1"),
        ("10.0.0.1", ("",), "10.0.0.1"),
        ("10.0.0.1", ("203.0.113.1:4711",), "203.0.113.1"),
        ("10.0.0.1", ("[2001:db8:2::1]:4711",), "2001:db8:2::1"),
        ("2001:db8:1::5", ("2001:db8:2::1",), "2001:db8:2::1"),
        ("::ffff:10.0.0.1", ("203.0.113.1",), "203.0.113.1"),
        ("10.0.0.1", ("203.0.113.1, " + "10.0.0.2, " * 5000 + "10.0.0.3",), "10.0.0.2"),
    ],
)
def test_the_walk(peer: str, forwarded: tuple[str, ...], client: str) -> None:
    assert seen(peer, *forwarded)["client"][0] == client


def test_nobody_is_trusted_by_default() -> None:
    assert seen("127.0.0.1", "203.0.113.1", trusted=())["client"][0] == "127.0.0.1"


def test_a_proxy_on_this_machine_is_not_this_machine() -> None:
    assert is_local(seen("127.0.0.1", trusted=()))
    assert is_local(seen("::1", trusted=()))
    assert not is_local(seen("127.0.0.1", "203.0.113.1", trusted=()))
    assert not is_local(seen("127.0.0.1", "203.0.113.1"))
    # Even a header that claims to come from here was passed on by somebody.
    assert not is_local(seen("127.0.0.1", "127.0.0.1"))
    assert not is_local(seen("192.0.2.1"))


def test_a_network_of_ipv6_is_one_caller() -> None:
    one, same, other = (seen(f"2001:db8:2:{n}::{m}") for n, m in ((1, 1), (1, 2), (2, 1)))
    assert limit_key(one) == limit_key(same) != limit_key(other)
    assert limit_key(seen("192.0.2.1")) != limit_key(seen("192.0.2.2"))
    assert limit_key(seen("::ffff:192.0.2.1")) == limit_key(seen("192.0.2.1"))


@pytest.mark.parametrize("text", ["", "a", "1.2.3", "1.2.3.4.5", "999.1.1.1", "[", "[]", ":", "fe80::g"])
def test_what_is_no_address(text: str) -> None:
    assert parse_address(text) is None
