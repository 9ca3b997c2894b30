"""No seal that was changed in any one place passes for a genuine one in the web app."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page

from passes import base45
from passes.rotating import pass_key, totp
from passes.seal import PREFIX
from tests.trust_factory import NOW, City, each_bit_flipped, permit, seconds
from tests.verdict_vectors import EPOCH_KEY, folder_files
from tests.web_pages import needs_chromium

# In the page: every text with one character replaced, left out or doubled from ``start`` on, and ``more`` texts.
# Gives those whose signature held, how many were asked, and how often each reason came up.
ASK = """
async ({files, text, start, alphabet, more, now}) => {
  const core = (name) => import(`/core/${name}.js`);
  const [{ loadTrust }, { Memory }, { checkSeal }, { fromBase64, textOf }] =
    await Promise.all(["trust", "memory", "seal-check", "bytes"].map(core));
  const bytes = (name) => fromBase64(files[name]);
  const trust = await loadTrust({
    rootPem: textOf(bytes("root.pub")), bundle: bytes("bundle.cwt"), index: bytes("index.cwt"),
    plates: bytes("plates.cwt"), statusLists: new Map([[17, bytes("status/17.cwt")]]),
  }, new Memory());
  const changed = [...more];
  for (let at = start; at < text.length; at++) {
    const [before, own, behind] = [text.slice(0, at), text[at], text.slice(at + 1)];
    changed.push(before + behind, before + own + own + behind);
    for (const other of alphabet) if (other !== own) changed.push(before + other + behind);
  }
  const accepted = [];
  const reasons = {};
  for (const one of changed) {
    const { reason, number } = await checkSeal(one, trust, now);
    if (number !== null) accepted.push(one);
    reasons[reason] = (reasons[reason] ?? 0) + 1;
  }
  const unchanged = await checkSeal(text, trust, now);
  return { accepted, reasons, asked: changed.length, unchanged: [unchanged.reason, unchanged.freshness] };
}
"""


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> City:
    made = City(tmp_path_factory.mktemp("city"))
    made.epoch_keys = {1: EPOCH_KEY}
    return made.publish()


def ask(page: Page, city: City, start: str, seal: str) -> Any:
    """All changes of ``seal``, an SP1 text, shown behind ``start`` instead of its prefix."""
    encoded = seal.removeprefix(PREFIX)
    flipped = [start + base45.encode(token) for token in each_bit_flipped(base45.decode(encoded))]
    question = {
        "files": folder_files(city.folder),
        "text": start + encoded,
        "start": 0 if start == PREFIX else len(start),
        "alphabet": base45.ALPHABET.decode(),
        "more": flipped,
        "now": seconds(NOW),
    }
    answer = page.evaluate(ASK, question)
    changed_characters = len(start + encoded) - question["start"]
    # The prefix has a colon and letters, which the alphabet has too.
    assert answer["asked"] == changed_characters * (2 + 44) + len(flipped)
    assert answer["accepted"] == []
    return answer


@needs_chromium
@pytest.mark.parametrize(
    "changes",
    [{}, {"plates": (), "organisation": "Teilauto e. V. Düsseldorf"}],
    ids=["permit", "car sharing"],
)
def test_a_changed_seal_is_not_accepted(page: Page, city: City, changes: dict[str, object]) -> None:
    answer = ask(page, city, PREFIX, city.seal(**changes))
    assert answer["unchanged"] == ["VALID", "none"]
    # Changes reach the signature as well, not the strict reading only.
    assert answer["reasons"]["FORGED"] > 100
    assert answer["reasons"].keys() <= {"NOT_A_SEAL", "MALFORMED", "UNKNOWN_KEY", "FORGED"}


@needs_chromium
def test_a_changed_rotating_code_is_not_accepted(page: Page, city: City) -> None:
    digits = totp(pass_key(EPOCH_KEY, permit().number), seconds(NOW))
    answer = ask(page, city, f"SP1R:{seconds(NOW)}:{digits}:", city.seal())
    assert answer["unchanged"] == ["VALID", "fresh"]
    assert answer["reasons"]["FORGED"] > 100
    assert answer["reasons"].keys() <= {"MALFORMED", "UNKNOWN_KEY", "FORGED"}
