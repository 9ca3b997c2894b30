"""The self-test at the start of a shift says what is amiss, and says so for a device that looks ready."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page

from tests import self_test_data
from tests.trust_factory import DAY, NOW
from tests.verifier.web.device_pages import START, opened, synced
from tests.verifier.web.lists_server import ListsServer
from tests.web_pages import WEB, needs_chromium
from verifier.seal_check import CheckSettings, check_seal
from verifier.state import State
from verifier.trust import load_trust

KEPT = ("device/self-test.json", "core/trust.js")
ASK = """
async ([now, probes]) => {
  const { openStore } = await import("/check/device/store.js");
  const { selfTest } = await import("/check/device/readiness.js");
  const { Vault } = await import("/check/device/vault.js");
  const store = await openStore();
  const vault = new Vault(store, () => now, async () => 0);
  const fails = async () => { throw Object.assign(new Error(), { code: "DENIED" }); };
  const given = probes ? { camera: fails, decoder: async () => {} } : {};
  const found = await selfTest({ store, vault, now, probes: given });
  return Object.fromEntries(found.map(({ check, ok, detail }) => [check, [ok, detail]]));
}
"""


@pytest.fixture
def server(server: ListsServer) -> ListsServer:
    listed = {name: hashlib.sha256((WEB / name).read_bytes()).hexdigest() for name in KEPT}
    server.answers["/check/files.json"] = (200, {"version": "1+abc", "files": listed})
    return server


@pytest.fixture
def page(context: BrowserContext, server: ListsServer) -> Page:
    return opened(context, server)


def asked(page: Page, now: int = START, *, probes: bool = False) -> dict[str, Any]:
    found: dict[str, Any] = page.evaluate(ASK, [now, probes])
    return found


@needs_chromium
def test_new_device_is_told_to_connect_once(page: Page) -> None:
    told = asked(page, probes=True)
    assert told["lists"] == ["no", "CONNECT_ONCE"]
    assert told["plates"] == ["no", "PLATES_EMPTY"]
    assert told["cache"] == ["no", "CACHE_INCOMPLETE"]
    assert told["decoder"] == ["yes", "OK"]
    assert told["camera"] == ["warn", "CAMERA_DENIED"]
    assert told["selftest"] == ["yes", "OK"]


@needs_chromium
def test_kept_files_are_compared_with_their_hashes(page: Page) -> None:
    keep = "async (names) => (await caches.open('app')).addAll(names.map((one) => '/check/' + one))"
    page.evaluate(keep, [*KEPT, "files.json"])
    assert asked(page)["cache"] == ["yes", "OK"]
    page.evaluate(
        "async (name) => (await caches.open('app')).put('/check/' + name, new Response('{}'))", KEPT[1]
    )
    assert asked(page)["cache"] == ["no", "CACHE_DIFFERS"]


@needs_chromium
def test_lists_and_clock(page: Page) -> None:
    synced(page)
    told = asked(page)
    assert told["lists"] == ["yes", "OK"]
    assert told["clock"] == ["yes", "OK"]
    assert asked(page, START + DAY + 1)["lists"] == ["warn", "LISTS_STALE"]
    assert asked(page, START + 7 * DAY)["lists"] == ["no", "LISTS_MISSING"]
    assert asked(page, START + 365 * DAY)["lists"] == ["no", "LISTS_EXPIRED"]
    assert asked(page, START - 121)["clock"] == ["no", "CLOCK_BEHIND"]
    synced(page, START + 121)
    assert asked(page, START + 121)["clock"] == ["warn", "CLOCK_DIFFERS"]


@needs_chromium
def test_unanswered_question_for_storage_holds_nothing_up(page: Page) -> None:
    page.evaluate("() => { StorageManager.prototype.persist = () => new Promise(() => {}); }")
    told = asked(page)
    assert told["storage"] == ["warn", "STORAGE_MAY_GO"]
    assert told["selftest"] == ["yes", "OK"]


@needs_chromium
def test_self_test_fails_where_signatures_are_not_checked(page: Page) -> None:
    page.evaluate("() => { SubtleCrypto.prototype.verify = async () => true; }")
    assert asked(page)["selftest"] == ["no", "SELFTEST_FAILED"]


def test_built_in_seals_are_what_the_library_says(tmp_path: Path) -> None:
    data = json.loads(self_test_data.FILE.read_text("ascii"))
    self_test_data.decoded(data["files"], tmp_path)
    trust = load_trust(tmp_path, State())
    assert trust.test
    for reason, seal in data["seals"].items():
        assert check_seal(seal, trust, NOW, CheckSettings()).reason.name == reason
