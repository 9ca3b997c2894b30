"""Pages of a device in tests: empty ones on a `ListsServer`, what is stored on them, and what they are answered."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any

from playwright.sync_api import BrowserContext, Page

from tests.trust_factory import HOUR, NOW, seconds
from tests.verifier.web.lists_server import ListsServer

START = seconds(NOW)
LATER = NOW + timedelta(hours=1)
DEVICE = "0123456789abcdef" * 2
PIN = "246813"
SELF = {"state": "active", "name": "Gerät 1", "role": "warden", "zones": [], "city": "Musterstadt"}
SYNC = """
async (now) => {
  const { openStore } = await import("/check/device/store.js");
  const { sync } = await import("/check/device/sync.js");
  return await sync({ store: await openStore(), now });
}
"""
_ENROL = """
async (id) => {
  const { openStore } = await import("/check/device/store.js");
  const pair = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, false, ["sign", "verify"]);
  await (await openStore()).write([
    { part: "keys", key: "device", value: pair.privateKey },
    { part: "state", key: "device", value: { id, checkCode: "123 456" } },
  ]);
}
"""


def opened(context: BrowserContext, server: ListsServer) -> Page:
    """A page with nothing on it, from which the app's modules can be imported."""
    page = context.new_page()
    page.goto(f"{server.url}/check/empty.html")
    return page


def enrol(page: Page) -> None:
    """Store what a device keeps of its enrolment."""
    page.evaluate(_ENROL, DEVICE)


def synced(page: Page, now: int = START) -> dict[str, Any]:
    """What the sync of the lists for all has come to at ``now``."""
    found: dict[str, Any] = page.evaluate(SYNC, now)
    return found


def lease(key: bytes) -> tuple[int, dict[str, Any]]:
    """The service's answer that lets a shift of twelve hours begin with ``key``."""
    return 201, {
        "lease": "lease-1",
        "key": base64.urlsafe_b64encode(key).decode().rstrip("="),
        "issued_at": START,
        "not_after": START + 12 * HOUR,
    }
