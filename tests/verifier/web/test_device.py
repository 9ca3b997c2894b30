"""What the screens have of a device: nothing of a shift after the office or the clock has ended it."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page

from passes.status_list import Status
from tests.trust_factory import LIST_NUMBER, NOW, PLATE
from tests.verifier.web.device_pages import LATER, PIN, SELF, enrol, lease, opened
from tests.verifier.web.lists_server import ListsServer, wait_for
from tests.web_pages import needs_chromium

pytestmark = needs_chromium
# What an enrolled device does to begin its shift, as the app makes it.
BEGIN = """
async (pin) => {
  const { openDevice } = await import("/check/ui/device.js");
  globalThis.device = await openDevice();
  await device.refresh();
  await device.beginShift({ pin });
}
"""
STORED = """
async () => {
  const { files, keys } = await device.store.read("files", "keys");
  return [keys.get("lease")?.lease ?? null, files.has("plates.cwt")];
}
"""


@pytest.fixture
def server(server: ListsServer) -> ListsServer:
    server.answers["/check/devices/self"] = (200, SELF)
    server.answers["/check/leases"] = lease(os.urandom(32))
    return server


@pytest.fixture
def page(context: BrowserContext, server: ListsServer) -> Page:
    context.clock.set_fixed_time(NOW)
    page = opened(context, server)
    enrol(page)
    page.evaluate(BEGIN, PIN)
    assert page.evaluate("() => device.vault.state") == "open"
    assert by_plate(page) == "VALID"
    return page


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
    assert page.evaluate("async () => (await device.traces.counts()).GREEN") == 1
    page.clock.set_fixed_time(NOW + timedelta(days=1))
    assert page.evaluate("() => device.traces.counts()") == {}
