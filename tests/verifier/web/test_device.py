"""What the screens have of a device: nothing of a shift after the office or the clock has ended it."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from passes.status_list import Status
from tests.trust_factory import HOUR, LIST_NUMBER, NOW, PLATE, seconds
from tests.verifier.web.lists_server import ListsServer, lists_server, wait_for
from tests.web_pages import browser, needs_chromium

pytestmark = needs_chromium
START = seconds(NOW)
LATER = NOW + timedelta(hours=1)
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


def test_lease_that_ends_while_the_page_sleeps(page: Page) -> None:
    page.clock.set_fixed_time(NOW + timedelta(hours=12))
    assert by_plate(page) == "NO_LIST"
    page.wait_for_function("async () => (await device.store.get('keys', 'lease')).ended === true")
    assert page.evaluate("() => device.vault.state") == "expired"
    assert page.evaluate(STORED) == [None, False]


def test_page_that_is_seen_again_syncs(page: Page, server: ListsServer) -> None:
    page.evaluate("() => device.keepFresh()")
    page.evaluate("() => device.refresh()")
    server.sent.clear()
    page.evaluate("() => document.dispatchEvent(new Event('visibilitychange'))")
    wait_for(lambda: ("/lists/plates.cwt", 304) in server.sent)


def by_seal(page: Page, text: str) -> Any:
    return page.evaluate(
        """async (text) => {
          const { checkCandidates } = await import("/check/ui/checking.js");
          const { verdict } = await checkCandidates(device, [text], Math.floor(Date.now() / 1000));
          await device.record(verdict);
          return verdict.reason;
        }""",
        text,
    )


def refreshed(page: Page, at: datetime) -> None:
    page.clock.set_fixed_time(at)
    page.evaluate("() => device.refresh()")


def storage_told(page: Page) -> Any:
    return page.evaluate(
        "async () => (await device.selfTest()).find((one) => one.check === 'storage').detail"
    )


SEEN = "async () => Object.keys((await device.store.get('state', 'memory')).seen).length"


def test_storage_that_refuses_swallows_no_verdict(page: Page, server: ListsServer) -> None:
    seal = server.city.seal()
    server.city.statuses[LIST_NUMBER][523_881] = Status.INVALID
    server.city.publish(LATER)
    refreshed(page, LATER)
    page.evaluate(
        """() => {
          globalThis.put = IDBObjectStore.prototype.put;
          IDBObjectStore.prototype.put = () => { throw new DOMException("", "QuotaExceededError"); };
        }"""
    )
    assert by_seal(page, seal) == "REVOKED"
    assert storage_told(page) == "STORAGE_REFUSES"
    page.evaluate("() => { IDBObjectStore.prototype.put = put; }")
    assert page.evaluate(SEEN) == 0
    assert by_seal(page, seal) == "REVOKED"
    page.wait_for_function(f"async () => await ({SEEN})() === 1")
    assert storage_told(page) != "STORAGE_REFUSES"


def test_database_that_the_browser_closes_is_opened_again(page: Page) -> None:
    page.evaluate(
        """() => {
          const real = IDBDatabase.prototype.transaction;
          let closed = false;
          IDBDatabase.prototype.transaction = function (...given) {
            if (!closed) { closed = true; this.close(); }
            return real.apply(this, given);
          };
        }"""
    )
    assert page.evaluate(STORED) == ["lease-1", True]


def test_suspension_that_was_lifted_does_not_come_back(page: Page, server: ListsServer) -> None:
    seal = server.city.seal()
    server.city.statuses[LIST_NUMBER][523_881] = Status.SUSPENDED
    server.city.publish(LATER)
    refreshed(page, LATER)
    assert by_seal(page, seal) == "SUSPENDED"
    page.wait_for_function(f"async () => await ({SEEN})() === 1")
    server.city.statuses[LIST_NUMBER].clear()
    server.city.publish(LATER + timedelta(hours=1))
    refreshed(page, LATER + timedelta(hours=1))
    assert by_seal(page, seal) == "VALID"
    page.wait_for_function(f"async () => await ({SEEN})() === 0")


def test_checks_of_yesterday_are_not_todays(page: Page, server: ListsServer) -> None:
    seal = server.city.seal()
    by_seal(page, seal)
    assert page.evaluate("async () => (await device.counts()).GREEN") == 1
    page.clock.set_fixed_time(NOW + timedelta(days=1))
    assert page.evaluate("() => device.counts()") == {}
