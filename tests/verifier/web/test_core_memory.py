"""What a device of the web app remembers: it makes a roll-back visible, and survives being stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from keys.identity import spki_der
from passes.status_list import Status
from tests.trust_factory import HOUR, LIST_NUMBER, NOW, City, seconds
from tests.verdict_vectors import folder_files
from tests.web_pages import needs_chromium

pytestmark = needs_chromium

# In the page: one memory through several loads, stored and read again after each; what was there and what was said.
LOADS = """
async ({loads, text, now}) => {
  const core = (name) => import(`/core/${name}.js`);
  const [{ loadTrust }, { Memory }, { checkSeal }, { fromBase64, textOf }] =
    await Promise.all(["trust", "memory", "seal-check", "bytes"].map(core));
  let memory = new Memory();
  const answers = [];
  for (const files of loads) {
    const bytes = (name) => fromBase64(files[name]);
    const trust = await loadTrust({
      rootPem: textOf(bytes("root.pub")), bundle: bytes("bundle.cwt"), index: bytes("index.cwt"),
      plates: bytes("plates.cwt"), statusLists: new Map([[17, bytes("status/17.cwt")]]),
    }, memory);
    const { reason } = await checkSeal(text, trust, now);
    const there = ["bundle", "index", "plateList"].filter((name) => trust[name] !== null);
    if ((await trust.statusList(17)) !== null) there.push("status");
    answers.push({ reason, there, changed: memory.changed, memory: memory.toJson() });
    memory = Memory.fromJson(JSON.parse(JSON.stringify(memory.toJson())));
  }
  return answers;
}
"""
ADD = """
async ({own, other}) => {
  const { Memory } = await import("/core/memory.js");
  const memory = Memory.fromJson(own);
  const more = Memory.fromJson(other);
  const untouched = memory.copy();
  memory.add(more);
  const first = memory.changed;
  memory.changed = false;
  memory.add(more);
  return {
    added: memory.toJson(), newest: memory.newestTime, changed: first, again: memory.changed,
    copy: untouched.toJson(), other: more.toJson(),
  };
}
"""
READ = """
async (texts) => {
  const [{ Memory }, { Refusal }] = await Promise.all([import("/core/memory.js"), import("/core/errors.js")]);
  return texts.map((text) => {
    try {
      Memory.fromJson(JSON.parse(text));
      return "read";
    } catch (fault) {
      return fault instanceof Refusal ? fault.code : String(fault.stack);
    }
  });
}
"""
EMPTY: dict[str, Any] = {"version": 1, "root": None, "lists": {}, "seen": {}}


def test_a_roll_back_is_seen_by_what_was_stored(page: Page, tmp_path: Path) -> None:
    city = City(tmp_path)
    old = folder_files(city.publish().folder)
    text = city.seal(status_index=7)
    city.statuses[LIST_NUMBER] = {7: Status.INVALID}
    new = folder_files(city.publish(sequence=seconds(NOW) * 1000 + 1).folder)
    question = {"loads": [old, new, new, old], "text": text, "now": seconds(NOW)}
    first, second, same, back = page.evaluate(LOADS, question)
    everything = ["bundle", "index", "plateList", "status"]
    assert (first["reason"], first["there"], first["changed"]) == ("VALID", everything, True)
    assert first["memory"]["root"] == spki_der(city.root.public).hex()
    assert (second["reason"], second["there"], second["changed"]) == ("REVOKED", everything, True)
    assert second["memory"]["seen"] == {f"{LIST_NUMBER}:7": [1, seconds(NOW) * 1000 + 1]}
    # The same once more says nothing new, so nothing has to be stored.
    assert (same["reason"], same["changed"], same["memory"]) == ("REVOKED", False, second["memory"])
    assert (back["reason"], back["there"], back["memory"]) == ("NO_TRUST", [], second["memory"])


def test_old_lists_under_the_current_bundle_do_not_lift_a_revocation(page: Page, tmp_path: Path) -> None:
    city = City(tmp_path)
    old = folder_files(city.publish().folder)
    text = city.seal(status_index=7)
    city.statuses[LIST_NUMBER] = {7: Status.INVALID}
    new = folder_files(city.publish(sequence=seconds(NOW) * 1000 + 1).folder)
    rolled = old | {"bundle.cwt": new["bundle.cwt"]}
    _, back = page.evaluate(LOADS, {"loads": [new, rolled], "text": text, "now": seconds(NOW)})
    assert (back["reason"], back["there"]) == ("REVOKED", ["bundle"])


def test_a_newer_list_lifts_a_suspension(page: Page, tmp_path: Path) -> None:
    city = City(tmp_path)
    city.statuses[LIST_NUMBER] = {7: Status.SUSPENDED}
    suspended = folder_files(city.publish().folder)
    text = city.seal(status_index=7)
    city.statuses[LIST_NUMBER] = {}
    lifted = folder_files(city.publish(sequence=seconds(NOW) * 1000 + 1).folder)
    first, second = page.evaluate(LOADS, {"loads": [suspended, lifted], "text": text, "now": seconds(NOW)})
    assert (first["reason"], second["reason"]) == ("SUSPENDED", "VALID")
    assert second["memory"]["seen"] == {}


def test_two_memories_become_one_that_never_goes_back(page: Page) -> None:
    at = seconds(NOW)
    own = EMPTY | {
        "root": "aa",
        "lists": {"index": [5, at], "plates": [2, at - HOUR], "bundle": [9, at]},
        "seen": {"17:1": [1, 5], "17:2": [2, 3], "17:3": [1, 1]},
    }
    other = EMPTY | {
        "root": "bb",
        "lists": {"index": [4, at + HOUR], "plates": [3, at], "status/17": [1, at]},
        "seen": {"17:1": [2, 4], "17:2": [1, 4], "18:0": [3, 1]},
    }
    answer = page.evaluate(ADD, {"own": own, "other": other})
    assert answer["added"] == EMPTY | {
        "root": "aa",
        "lists": {"index": [5, at + HOUR], "plates": [3, at], "bundle": [9, at], "status/17": [1, at]},
        "seen": {"17:1": [1, 5], "17:2": [1, 4], "17:3": [1, 1], "18:0": [3, 1]},
    }
    assert answer["newest"] == at + HOUR
    assert (answer["changed"], answer["again"]) == (True, False)
    assert (answer["copy"], answer["other"]) == (own, other)
    pinned = page.evaluate(ADD, {"own": EMPTY, "other": other})
    assert pinned["added"] == other


def test_a_damaged_memory_is_refused(page: Page) -> None:
    good = '{"version":1,"root":null,"lists":{"index":[1,2]},"seen":{"17:1":[1,2]}}'
    damaged = [
        "null", "[]", '"text"', "5", "{}",
        good.replace('"version":1', '"version":2'),
        good.replace("null", '"abc"'),
        good.replace("null", '"zz"'),
        good.replace("null", "5"),
        good.replace('"root":null,', ""),
        good.replace('{"index":[1,2]}', "null"),
        good.replace('{"index":[1,2]}', "[]"),
        good.replace('{"17:1":[1,2]}', "7"),
        good.replace('"index":[1,2]', '"index":[1]'),
        good.replace('"index":[1,2]', '"index":[1,2,3]'),
        good.replace('"index":[1,2]', '"index":[1,"2"]'),
        good.replace('"index":[1,2]', '"index":[1.5,2]'),
        good.replace('"index":[1,2]', '"index":[1,1e300]'),
        good.replace('"17:1":[1,2]', '"17:1":null'),
    ]  # fmt: skip
    assert page.evaluate(READ, [good, *damaged]) == ["read"] + ["MEMORY_DAMAGED"] * len(damaged)
