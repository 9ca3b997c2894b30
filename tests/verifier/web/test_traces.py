"""What a check leaves on the device: a count of the day, and nothing of who or what was checked."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page

from tests.trust_factory import DAY
from tests.verifier.web.device_pages import START, opened
from tests.verifier.web.lists_server import ListsServer
from tests.web_pages import needs_chromium

pytestmark = needs_chromium
# One check as the app makes it, with all that is stored before and after.
CHECK = """
async ([text, now, days]) => {
  const { openStore } = await import("/check/device/store.js");
  const { sync } = await import("/check/device/sync.js");
  const { currentTrust } = await import("/check/device/trust-source.js");
  const { checkSeal } = await import("/check/core/seal-check.js");
  const { count } = await import("/check/device/day-counters.js");
  const { note } = await import("/check/device/check-log.js");
  const { readSettings, changeSettings } = await import("/check/device/settings.js");
  const store = await openStore();
  if (days !== null) await changeSettings(store, { logDays: days });
  await sync({ store, now });
  const dump = async () => {
    const parts = await store.read("files", "state", "keys", "counters", "log");
    const told = Object.entries(parts).map(([part, entries]) => [part, Object.fromEntries(entries)]);
    return { ...Object.fromEntries(told), local: JSON.stringify({ ...localStorage }) };
  };
  const before = await dump();
  const { trust, save } = await currentTrust(store);
  const verdict = await checkSeal(text, trust, now);
  await count(store, verdict.verdict, now);
  await note(store, verdict, now, (await readSettings(store)).logDays);
  await save();
  return { verdict: verdict.verdict, before, after: await dump() };
}
"""


@pytest.fixture
def page(context: BrowserContext, server: ListsServer) -> Page:
    return opened(context, server)


def checked(page: Page, text: str, days: int | None = None, now: int = START) -> dict[str, Any]:
    found: dict[str, Any] = page.evaluate(CHECK, [text, now, days])
    return found


@pytest.mark.parametrize("days", [None, 7])
def test_green_check_leaves_a_count_and_nothing_else(
    page: Page, server: ListsServer, days: int | None
) -> None:
    told = checked(page, server.city.seal(), days)
    assert told["verdict"] == "GREEN"
    before, after = told["before"], told["after"]
    assert before.pop("counters") == {}
    assert after.pop("counters") == {"2026-11-20": {"GREEN": 1, "AMBER": 0, "RED": 0, "GREY": 0}}
    assert after == before


def test_log_is_off_until_switched_on_and_deletes_itself(page: Page, server: ListsServer) -> None:
    expired = server.city.seal(expires=START - DAY)
    assert checked(page, expired)["after"]["log"] == {}
    (entry,) = checked(page, expired, 7)["after"]["log"].values()
    assert entry == {"at": START, "verdict": "RED", "reason": "EXPIRED", "last4": "0123"}
    read = """async ([now, days]) => {
      const { openStore } = await import("/check/device/store.js");
      const { entries } = await import("/check/device/check-log.js");
      const store = await openStore();
      return [(await entries(store, now, days)).length, (await store.read("log")).log.size];
    }"""
    assert page.evaluate(read, [START + 7 * DAY - 1, 7]) == [1, 1]
    assert page.evaluate(read, [START + 7 * DAY, 7]) == [0, 0]
    checked(page, expired)
    assert page.evaluate(read, [START, 0]) == [0, 0]


def test_log_of_an_app_that_is_never_closed_deletes_itself(page: Page, server: ListsServer) -> None:
    checked(page, server.city.seal(expires=START - DAY), 7)
    assert len(checked(page, server.city.seal(), 7)["after"]["log"]) == 1
    (entry,) = checked(page, server.city.seal(), 7, START + 7 * DAY)["after"]["log"].values()
    assert entry["at"] == START + 7 * DAY


def test_table_of_the_log_holds_no_formula(page: Page) -> None:
    made = page.evaluate(
        """async (at) => {
          const { csv } = await import("/check/device/check-log.js");
          return csv([{ at, verdict: "RED", reason: "=1+1", last4: "0123" }], ["Zeit", "A", "B", "C"]);
        }""",
        START,
    )
    assert made == ('"Zeit","A","B","C"\r\n"2026-11-20T12:00:00+01:00","RED","\'=1+1","0123"\r\n')


def test_days_older_than_a_month_are_forgotten(page: Page) -> None:
    told = page.evaluate(
        """async (now) => {
          const { openStore } = await import("/check/device/store.js");
          const { count, counters } = await import("/check/device/day-counters.js");
          const store = await openStore();
          for (const at of [now - 40 * 86400, now - 86400, now]) await count(store, "RED", at);
          const kept = (await store.read("counters")).counters.size;
          return [kept, (await counters(store, now)).map((one) => [one.day, one.counts.RED])];
        }""",
        START,
    )
    # Without anybody asking: an app that is never closed forgets as well.
    assert told == [2, [["2026-11-20", 1], ["2026-11-19", 1]]]
