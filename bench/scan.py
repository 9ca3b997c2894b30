"""How long the web app takes from a camera's picture to text and to verdict, in Chromium, with both readers.

``python -m bench.scan`` prints medians. The whole way is what a warden waits for: the picture drawn and read back
as `scan/camera.js` does it, handed to the worker, read, and the text checked by `core/seal-check.js`. The limit for
it is 50 ms. A picture without a code is the usual one, so it has its own line.
"""

from __future__ import annotations

import base64
import io
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

from passes.qr import qr_png
from tests.trust_factory import NOW, City, seconds
from tests.verdict_vectors import folder_files
from tests.web_pages import CHROMIUM, browser, served

LIMIT_MS = 50.0
_ROUNDS = 60
# Size of the picture and pixels of a module: the code takes the same share of both.
_SIZES = {"720p": (1280, 720, 5), "1080p": (1920, 1080, 8)}

_MEASURE = """async ([files, shown, fallback, rounds, now]) => {
  const core = (name) => import(`/core/${name}.js`);
  const [{ loadTrust }, { Memory }, { checkSeal }, { fromBase64, textOf }] =
    await Promise.all(['trust', 'memory', 'seal-check', 'bytes'].map(core));
  const { Decoder } = await import('/scan/decoder.js');
  const bytes = (name) => fromBase64(files[name]);
  const trust = await loadTrust({
    rootPem: textOf(bytes('root.pub')), bundle: bytes('bundle.cwt'), index: bytes('index.cwt'),
    plates: bytes('plates.cwt'), statusLists: new Map([[17, bytes('status/17.cwt')]]),
  }, new Memory());
  const decoder = await Decoder.start({ preferFallback: fallback });
  const picture = await createImageBitmap(new Blob([fromBase64(shown)]));
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [picture.width, picture.height];
  const drawn = canvas.getContext('2d', { willReadFrequently: true });
  const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];
  const [worker, whole, verdicts] = [[], [], new Set()];
  for (let round = -10; round < rounds; round += 1) {
    const begin = performance.now();
    drawn.drawImage(picture, 0, 0);
    const { texts, ms } = await decoder.decode(drawn.getImageData(0, 0, canvas.width, canvas.height));
    for (const text of texts) verdicts.add((await checkSeal(text, trust, now)).verdict);
    if (round < 0) continue;
    worker.push(ms);
    whole.push(performance.now() - begin);
  }
  decoder.stop();
  return { engine: decoder.engine, worker: median(worker), whole: median(whole), verdicts: [...verdicts] };
}"""


def frame(code: bytes | None, width: int, height: int) -> str:
    """A PNG, base64, of grey ground with ``code`` in the middle."""
    whole = Image.new("L", (width, height), 200)
    if code is not None:
        picture = Image.open(io.BytesIO(code)).convert("L")
        whole.paste(picture, ((width - picture.width) // 2, (height - picture.height) // 2))
    file = io.BytesIO()
    whole.save(file, "PNG", compress_level=1)
    return base64.b64encode(file.getvalue()).decode()


def run() -> None:
    """Measure and print."""
    if not CHROMIUM.is_file():
        print("skipped: needs chromium (apt install chromium-headless-shell)")
        return
    with tempfile.TemporaryDirectory() as folder, served() as url, browser() as chromium:
        city = City(Path(folder)).publish()
        files, text = folder_files(city.folder), city.seal()
        page = chromium.new_page()
        page.set_default_timeout(120_000)
        page.goto(f"{url}/empty.html")
        for fallback in (False, True):
            for size, (width, height, module_px) in _SIZES.items():
                for code in (qr_png(text, module_px=module_px), None):
                    shown = frame(code, width, height)
                    found = page.evaluate(_MEASURE, [files, shown, fallback, _ROUNDS, seconds(NOW)])
                    _line(size, found, ["GREEN"] if code else [])


def _line(size: str, found: dict[str, Any], verdicts: list[str]) -> None:
    if found["verdicts"] != verdicts:
        raise RuntimeError(f"verdicts {found['verdicts']} instead of {verdicts}")
    what = "to verdict" if verdicts else "without a code"
    print(
        f"{found['engine']:6s} {size:6s} frame {what:15s} {found['whole']:6.1f} ms, of it in the worker "
        f"{found['worker']:6.1f} ms   {LIMIT_MS:.0f} ms at most: {'ok' if found['whole'] <= LIMIT_MS else 'MISSED'}"
    )


if __name__ == "__main__":
    run()
