"""The web app's lists: replaced as a whole or not at all, never by older ones, nothing without a memory of them."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page

from tests.trust_factory import LIST_NUMBER, NOW, City, seconds
from tests.verifier.web.device_pages import LATER, START, SYNC, opened, synced
from tests.verifier.web.lists_server import ListsServer, wait_for
from tests.web_pages import needs_chromium

pytestmark = needs_chromium
TRUST = """
async () => {
  const { openStore } = await import("/check/device/store.js");
  const { currentTrust } = await import("/check/device/trust-source.js");
  const { connectOnce, oldest, trust } = await currentTrust(await openStore());
  return { connectOnce, oldest, lists: trust.index ? [...trust.index.lists.keys()] : [] };
}
"""


@pytest.fixture
def page(context: BrowserContext, server: ListsServer) -> Page:
    return opened(context, server)


def trusted(page: Page) -> dict[str, Any]:
    found: dict[str, Any] = page.evaluate(TRUST)
    return found


def test_first_sync_then_nothing_new(page: Page, server: ListsServer) -> None:
    assert trusted(page) == {"connectOnce": True, "oldest": None, "lists": []}
    assert synced(page)["outcome"] == "updated"
    assert trusted(page) == {"connectOnce": False, "oldest": START, "lists": [LIST_NUMBER]}
    server.sent.clear()
    again = synced(page)
    assert (again["outcome"], again["fetched"]) == ("unchanged", 0)
    asked = [one for one in server.sent if not one[0].startswith("/check/")]
    assert asked == [("/lists/bundle.cwt", 304), ("/lists/index.cwt", 304), (f"/status/{LIST_NUMBER}", 304)]


def test_newer_lists_replace_older_ones(page: Page, server: ListsServer) -> None:
    synced(page)
    server.city.publish(LATER)
    assert synced(page)["outcome"] == "updated"
    assert trusted(page)["oldest"] == seconds(LATER)


def faulty(city: City, fault: str) -> dict[str, Any]:
    index = (city.folder / "index.cwt").read_bytes()
    status = (city.folder / f"status/{LIST_NUMBER}.cwt").read_bytes()
    faults: dict[str, dict[str, Any]] = {
        "tampered list": {f"/status/{LIST_NUMBER}": status[:-1] + bytes([status[-1] ^ 1])},
        "tampered index": {"/lists/index.cwt": index[:-1] + bytes([index[-1] ^ 1])},
        "truncated": {f"/status/{LIST_NUMBER}": "cut"},
        "oversized": {"/lists/bundle.cwt": bytes(256 * 1024 + 1)},
        "no list": {f"/status/{LIST_NUMBER}": 404},
        "server fault": {"/lists/index.cwt": 503},
        "dropped": {f"/status/{LIST_NUMBER}": "drop"},
    }
    return faults[fault]


@pytest.mark.parametrize(
    ("fault", "outcome", "code"),
    [
        ("tampered list", "untrusted", "UNTRUSTED"),
        ("tampered index", "untrusted", "UNTRUSTED"),
        ("truncated", "untrusted", "UNTRUSTED"),
        ("oversized", "untrusted", "TOO_LARGE"),
        ("no list", "offline", "ANSWER"),
        ("server fault", "offline", "ANSWER"),
        ("dropped", "offline", "NO_ANSWER"),
    ],
)
def test_set_that_does_not_hold_together_replaces_nothing(
    page: Page, server: ListsServer, fault: str, outcome: str, code: str
) -> None:
    synced(page)
    server.city.publish(LATER)
    server.faults = faulty(server.city, fault)
    found = synced(page)
    assert (found["outcome"], found["code"]) == (outcome, code)
    assert trusted(page)["oldest"] == START
    # What was refused has not raised the bar for the same lists, whole.
    server.faults = {}
    assert synced(page)["outcome"] == "updated"
    assert trusted(page)["oldest"] == seconds(LATER)


def test_older_lists_are_refused(page: Page, server: ListsServer) -> None:
    server.city.publish(LATER)
    synced(page)
    server.city.publish(NOW)
    found = synced(page)
    assert (found["outcome"], found["code"]) == ("untrusted", "ROLLED_BACK")
    assert trusted(page)["oldest"] == seconds(LATER)


def test_roll_back_shows_after_the_files_are_gone(page: Page, server: ListsServer) -> None:
    server.city.publish(LATER)
    synced(page)
    page.evaluate("async () => { indexedDB.deleteDatabase('stadtpass'); }")
    page.reload()
    assert trusted(page)["connectOnce"] is True
    server.city.publish(NOW)
    assert synced(page)["code"] == "ROLLED_BACK"
    server.city.publish(LATER)
    assert synced(page)["outcome"] == "updated"


def test_lists_without_a_memory_count_for_nothing(page: Page, server: ListsServer) -> None:
    synced(page)
    page.evaluate(
        """async () => {
          localStorage.clear();
          const { openStore } = await import("/check/device/store.js");
          await (await openStore()).delete("state", "memory");
        }"""
    )
    assert trusted(page)["connectOnce"] is True
    synced(page)
    assert trusted(page)["connectOnce"] is False


@pytest.mark.parametrize("name", ["bundle.cwt", "index.cwt", f"status/{LIST_NUMBER}"])
def test_list_tampered_in_storage_is_absent_until_the_next_sync(page: Page, name: str) -> None:
    synced(page)
    sound = trusted(page)
    page.evaluate(
        """async (name) => {
          const { openStore } = await import("/check/device/store.js");
          await (await openStore()).update("files", name, ({ data, etag }) => {
            data[data.length - 1] ^= 1;
            return { data, etag };
          });
        }""",
        name,
    )
    assert trusted(page) != sound
    assert synced(page)["outcome"] == "updated"
    assert trusted(page) == sound


def test_page_closed_during_sync_leaves_the_old_set(
    context: BrowserContext, page: Page, server: ListsServer
) -> None:
    synced(page)
    server.city.publish(LATER)
    server.faults = {f"/status/{LIST_NUMBER}": (gate := threading.Event())}
    server.sent.clear()
    page.evaluate(f"(now) => {{ void ({SYNC})(now); }}", START)
    wait_for(lambda: ("/lists/index.cwt", 200) in server.sent)
    page.close()
    gate.set()
    other = opened(context, server)
    assert trusted(other)["oldest"] == START
    server.faults = {}
    assert synced(other)["outcome"] == "updated"


def test_two_tabs_at_once(context: BrowserContext, page: Page, server: ListsServer) -> None:
    other = opened(context, server)
    for tab in (page, other):
        tab.evaluate(f"(now) => {{ globalThis.running = ({SYNC})(now); }}", START)
    outcomes = [tab.evaluate("() => globalThis.running")["outcome"] for tab in (page, other)]
    assert sorted(outcomes) == ["unchanged", "updated"]
    assert trusted(page) == trusted(other)


def test_clock_is_compared_with_the_servers(page: Page) -> None:
    assert synced(page, START + 600)["clockAhead"] == 600
