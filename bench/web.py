"""The web app's checks in Chromium, with the lists of a very large city: 600,000 passes, 60,000 plates.

Limits: 20 KB of lists to load, a second to load them and give a verdict, 100 ms to find a plate. No check can take
less than one verification of ES256 by the browser, so a further verdict is shown beside that.
"""

from __future__ import annotations

import random
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from passes.plates import Plate
from passes.status_list import ENTRIES, Status
from tests.trust_factory import LIST_NUMBER, NOW, City, permit, seconds
from tests.verdict_vectors import folder_files
from tests.web_pages import CHROMIUM, browser, served

PASSES, PLATES = 600_000, 60_000
LIMIT_BYTES, LIMIT_MS, LIMIT_SEARCH_MS = 20_000, 1000.0, 100.0
ROUNDS = 7
# In the page: milliseconds, by performance.now, which counts in tenths.
MEASURE = """
async ({files, seals, keys, plate, now}) => {
  const core = (name) => import(`/core/${name}.js`);
  const [{ loadTrust }, { Memory }, { checkSeal }, { checkPlate }] =
    await Promise.all(["trust", "memory", "seal-check", "plate-check"].map(core));
  const [{ fromBase64, textOf }, { readSeal }, { verifySign1 }] =
    await Promise.all(["bytes", "seal", "cose"].map(core));
  const bytes = (name) => fromBase64(files[name]);
  const city = {
    rootPem: textOf(bytes("root.pub")), bundle: bytes("bundle.cwt"), index: bytes("index.cwt"),
    statusLists: new Map([[17, bytes("status/17.cwt")]]),
  };
  const plates = bytes("plates.cwt");
  const timed = async (work) => {
    const begun = performance.now();
    await work();
    return performance.now() - begun;
  };
  const expect = ({ reason }, wanted) => {
    if (reason !== wanted) throw new Error(`${reason} instead of ${wanted}`);
  };
  const first = await timed(async () => {
    expect(await checkSeal(seals[0], await loadTrust(city, new Memory()), now), "VALID");
  });
  const trust = await loadTrust(city, new Memory());
  const verdicts = await timed(async () => {
    for (const one of seals) expect(await checkSeal(one, trust, now), "VALID");
  });
  const messages = seals.map((one) => readSeal(one).message);
  const key = trust.sealKey(messages[0].kid).publicKey;
  const signatures = await timed(async () => {
    for (const one of messages) await verifySign1(one, key);
  });
  let list = null;
  const load = await timed(async () => { list = await trust.readPlates(plates); });
  const withPlates = await loadTrust({ ...city, plates }, new Memory());
  const firstPlate = await timed(async () => expect(await checkPlate(plate, withPlates, now), "VALID"));
  let found = 0;
  const search = await timed(async () => { for (const one of keys) found += list.find(one).length; });
  return {
    first, load, firstPlate, found,
    verdict: verdicts / seals.length, signature: signatures / seals.length, search: search / keys.length,
  };
}
"""


def main() -> int:
    """Print one table."""
    if not CHROMIUM.is_file():
        print("skipped, because chromium is missing (apt install chromium-headless-shell)")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        city, plates = large_city(Path(folder))
        files = folder_files(city.folder)
        question = {
            "files": files,
            "seals": [
                city.seal(number=f"BP-2026-{n:06d}", status_index=valid_index(city, n)) for n in range(200)
            ],
            "plate": plates[-1].canonical,
            # Every thousandth plate, and as many that are not there.
            "keys": [one.key for one in plates[::1000]] + [f"{one.key}E" for one in plates[::1000]],
            "now": seconds(NOW),
        }
        lists = ("bundle.cwt", "index.cwt", f"status/{LIST_NUMBER}.cwt")
        size = sum((city.folder / name).stat().st_size for name in lists)
        whole = (city.folder / "plates.cwt").stat().st_size
        with served() as url, browser() as chromium:
            print(
                f"Chromium {chromium.version}; {PASSES:,} passes, 1 % revoked; {PLATES:,} plates; medians of {ROUNDS}"
            )
            runs = [in_a_new_page(chromium, url, question) for _ in range(ROUNDS)]
    if any(one["found"] != len(plates[::1000]) for one in runs):
        raise RuntimeError("not every plate was found")
    middle = {name: median(one[name] for one in runs) for name in runs[0]}
    print(f"  bundle, index and status list: {size:,} bytes, {size / LIMIT_BYTES:.2f} of the limit")
    say("lists loaded and the first verdict", middle["first"], LIMIT_MS)
    say("a further verdict", middle["verdict"], LIMIT_MS)
    ratio = middle["verdict"] / middle["signature"]
    print(
        f"  one verification of ES256: {middle['signature']:.2f} ms; a further verdict takes {ratio:.1f} times that"
    )
    say(f"plate list of {whole:,} bytes loaded", middle["load"], LIMIT_MS)
    say("a plate, text to verdict", middle["firstPlate"], LIMIT_SEARCH_MS)
    say("a plate found or not found in the list", middle["search"], LIMIT_SEARCH_MS)
    return 0


def large_city(folder: Path) -> tuple[City, list[Plate]]:
    """A city whose indices were given out at random, with the plates of its list in the list's order."""
    chance = random.Random(4)
    city = City(folder)
    given_out = chance.sample(range(ENTRIES), PASSES)
    city.statuses[LIST_NUMBER] = dict.fromkeys(given_out[: PASSES // 100], Status.INVALID)
    letters = [a + b for a in "ABCDEFGH" for b in "ABCDEFGH"]
    plates = [Plate("D", letters[n // 1000], str(1000 + n % 1000)) for n in range(PLATES)]
    for plate in plates:
        city.list_plate(plate)
    city.publish()
    return city, sorted(plates, key=lambda one: one.key)


def valid_index(city: City, number: int) -> int:
    """Another index for each number that the status list calls valid."""
    index = permit().status_index + number * 100
    while index in city.statuses[LIST_NUMBER]:
        index += 1
    return index


def in_a_new_page(chromium: Any, url: str, question: dict[str, Any]) -> Any:
    page = chromium.new_page()
    page.goto(f"{url}/empty.html")
    measured = page.evaluate(MEASURE, question)
    page.close()
    return measured


def say(what: str, milliseconds: float, limit: float) -> None:
    print(f"  {what}: {milliseconds:.2f} ms, {milliseconds / limit:.4f} of the limit")


if __name__ == "__main__":
    sys.exit(main())
