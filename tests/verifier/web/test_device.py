"""What the screens have of a device: nothing of a shift after the office or the clock has ended it."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.trust_factory import HOUR, NOW, PLATE, seconds
from tests.verifier.web.lists_server import ListsServer, lists_server
from tests.web_pages import browser, needs_chromium

pytestmark = needs_chromium
START = seconds(NOW)
DEVICE = "0123456789abcdef" * 2
SELF = {"state": "active", "name": "Gerät 1", "role": "warden", "zones": [], "city": "Musterstadt"}
# An enrolled device that has begun its shift, as the app makes it.
SETUP = """
async (id) => {
  const { openStore } = await import("/check/device/store.js");
  const { openDevice } = await import("/check/ui/device.js");
  const pair = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, false, ["sign", "verify"]);
  await (await openStore()).write([
    { part: "keys", key: "device", value: pair.privateKey },
    { part: "state", key: "device", value: { id, checkCode: "123 456" } },
  ]);
  globalThis.device = await openDevice();
  await device.refresh();
  await device.beginShift({ pin: "246813" });
}
"""
STORED = """
async () => {
  const { files, keys } = await device.store.read("files", "keys");
  return [keys.get("lease")?.lease ?? null, files.has("plates.cwt")];
}
"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as made:
        yield made


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ListsServer]:
    with lists_server(tmp_path) as made:
        made.answers["/check/devices/self"] = (200, SELF)
        made.answers["/check/leases"] = (
            201,
            {
                "lease": "lease-1",
                "key": base64.urlsafe_b64encode(os.urandom(32)).decode().rstrip("="),
                "issued_at": START,
                "not_after": START + 12 * HOUR,
            },
        )
        yield made


@pytest.fixture
def page(chromium: Browser, server: ListsServer) -> Iterator[Page]:
    context = chromium.new_context()
    page = context.new_page()
    page.clock.set_fixed_time(NOW)
    page.goto(f"{server.url}/check/empty.html")
    page.evaluate(SETUP, DEVICE)
    assert page.evaluate("() => device.vault.state") == "open"
    assert by_plate(page) == "VALID"
    yield page
    context.close()


def by_plate(page: Page) -> Any:
    """The reason that a check of the listed plate gives."""
    return page.evaluate(
        """async (text) => {
          const { checkTypedPlate } = await import("/check/ui/checking.js");
          const now = Math.floor(Date.now() / 1000);
          return (await checkTypedPlate(device, text, now)).verdict.reason;
        }""",
        PLATE.canonical,
    )


@pytest.mark.parametrize(
    "answer",
    [(200, {**SELF, "state": "locked"}), (401, {"code": "DEVICE_LOCKED"}), (401, {"code": "DEVICE_UNKNOWN"})],
)
def test_device_that_the_office_locks_gives_up_key_and_list(
    page: Page, server: ListsServer, answer: tuple[int, Any]
) -> None:
    server.answers["/check/devices/self"] = answer
    assert page.evaluate("() => device.refresh()") == "locked"
    assert page.evaluate("() => [device.enrolment.state, device.vault.state]") == ["locked", "empty"]
    assert page.evaluate(STORED) == [None, False]
    assert by_plate(page) == "NO_LIST"
