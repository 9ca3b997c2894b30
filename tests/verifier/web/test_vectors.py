"""Two implementations, one set of vectors: library and web app give the same answers, to the letter."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from tests.verdict_vectors import FILE, verdict_of
from tests.web_pages import needs_chromium
from verifier.verdict import Reason

VECTORS = json.loads(FILE.read_text("utf-8"))
# In the page: loads what a case names, asks, and gives the answer in the form of the vectors.
ASK = """
async ({sets, cases}) => {
  const core = (name) => import(`/core/${name}.js`);
  const [{ loadTrust }, { Memory }, { checkSeal }, { checkPlate }, { toJson, message }, { fromBase64, textOf }] =
    await Promise.all(["trust", "memory", "seal-check", "plate-check", "verdict", "bytes"].map(core));
  const catalogue = async (language) => {
    const texts = await (await fetch(`/texts/verdicts.${language}.json`)).json();
    return (code, params = {}) => {
      if (!(code in texts)) throw new Error(`no text ${code}`);
      return texts[code].replace(/[{](\\w+)[}]/g, (_, name) => String(params[name]));
    };
  };
  const [de, en] = await Promise.all(["de", "en"].map(catalogue));
  const answers = [];
  for (const one of cases) {
    const files = { statusLists: new Map() };
    for (const [name, data] of Object.entries(sets[one.set])) {
      const bytes = fromBase64(data);
      if (name === "root.pub") files.rootPem = textOf(bytes);
      else if (name.startsWith("status/")) files.statusLists.set(parseInt(name.slice(7)), bytes);
      else files[name.replace(".cwt", "")] = bytes;
    }
    const memory = one.memory ? Memory.fromJson(one.memory) : new Memory();
    const trust = await loadTrust(files, memory);
    const settings = { zone: one.zone ?? null, merged: one.merged ?? [], typeId: one.type ?? null };
    const check = one.kind === "seal" ? checkSeal : checkPlate;
    const verdict = await check(one.text, trust, one.now, settings);
    answers.push({ de: toJson(verdict, de), en: message(verdict, en) });
  }
  return answers;
}
"""


def test_every_reason_has_vectors() -> None:
    reached = {(one["expect"]["de"]["reason"], one["expect"]["de"]["verdict"]) for one in VECTORS["cases"]}
    softened = {("UNKNOWN_KEY", "GREY"), ("NOT_LISTED", "AMBER"), ("NOT_LISTED", "GREY")}
    assert reached == {(one.name, one.colour.value) for one in Reason} | softened


def test_the_library_in_python(tmp_path: Path) -> None:
    folders = {name: tmp_path / str(place) for place, name in enumerate(VECTORS["sets"])}
    for one in VECTORS["cases"]:
        folder = folders[one["set"]]
        folder.mkdir(exist_ok=True)
        verdict = verdict_of(one, VECTORS["sets"][one["set"]], folder)
        told = {"de": verdict("de").as_json("de"), "en": verdict("en").message("en")}
        assert told == one["expect"], one["name"]


@needs_chromium
def test_the_web_app(page: Page) -> None:
    answers: list[Any] = page.evaluate(ASK, VECTORS)
    for told, one in zip(answers, VECTORS["cases"], strict=True):
        assert told == one["expect"], one["name"]


def merged_zones() -> list[Any]:
    """The vectors in which a permit stands in another zone, checked after its zone was merged into that one."""
    cases = [one for one in VECTORS["cases"] if one["expect"]["de"]["reason"] == "OTHER_ZONE"]
    assert {one["kind"] for one in cases} == {"seal", "plate"}
    return [{**one, "merged": ["QQ", one["expect"]["de"]["zone"].lower()]} for one in cases]


def test_permits_of_a_merged_zone_in_python(tmp_path: Path) -> None:
    for place, one in enumerate(merged_zones()):
        verdict = verdict_of(one, VECTORS["sets"][one["set"]], tmp_path / str(place))
        assert verdict("de").as_json("de")["reason"] == "VALID", one["name"]


@needs_chromium
def test_permits_of_a_merged_zone_in_the_web_app(page: Page) -> None:
    answers: list[Any] = page.evaluate(ASK, {"sets": VECTORS["sets"], "cases": merged_zones()})
    assert {one["de"]["reason"] for one in answers} == {"VALID"}
