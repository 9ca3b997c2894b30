"""Camera, photo and both engines in a real browser under the strict policy."""

from __future__ import annotations

import base64
import io
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, Playwright, sync_playwright

from passes.qr import link_png, qr_png
from passes.seal import Sealer
from tests.trust_factory import Key, permit
from tests.verifier.web.strict_site import serving

CHROMIUM = Path("/usr/bin/chromium")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM.is_file(), reason="needs chromium (apt install chromium)"),
]
FOREIGN = "https://example.org/menu"


def seal() -> str:
    key = Key()
    return Sealer(key, key.kid).seal(permit())


def frame(code: bytes | None, size: tuple[int, int] = (1280, 720)) -> Image.Image:
    whole = Image.new("RGB", size, (225, 225, 220))
    if code:
        picture = Image.open(io.BytesIO(code)).convert("RGB")
        whole.paste(picture, ((size[0] - picture.width) // 2, (size[1] - picture.height) // 2))
    return whole


def encoded(picture: Image.Image, kind: str = "JPEG") -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, quality=90)
    return file.getvalue()


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as started:
        yield started


def launch(playwright: Playwright, *more: str) -> Browser:
    return playwright.chromium.launch(
        executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu", *more]
    )


@pytest.fixture(scope="module")
def plain(playwright: Playwright) -> Iterator[Browser]:
    browser = launch(playwright)
    yield browser
    browser.close()


def opened(browser: Browser, url: str) -> Page:
    page = browser.new_page()
    page.set_default_timeout(60_000)
    page.goto(url)
    return page


PHOTO = """async ([data, fallback]) => {
  const { Decoder } = await import('/scan/decoder.js');
  const { decodePhoto } = await import('/scan/photo.js');
  const decoder = await Decoder.start({ preferFallback: fallback });
  const bytes = Uint8Array.from(atob(data), (one) => one.charCodeAt(0));
  try {
    const { texts } = await decodePhoto(new Blob([bytes]), decoder);
    return { engine: decoder.engine, texts };
  } catch (fault) { return { engine: decoder.engine, code: fault.code ?? String(fault) }; }
  finally { decoder.stop(); }
}"""


def photo(page: Page, data: bytes, fallback: bool = False) -> Any:
    return page.evaluate(PHOTO, [base64.b64encode(data).decode(), fallback])


@pytest.mark.parametrize("wasm", [True, False], ids=["zxing", "qr"])
def test_both_engines_read_a_seal(plain: Browser, wasm: bool) -> None:
    text = seal()
    with serving(wasm=wasm) as url:
        answer = photo(opened(plain, url), encoded(frame(qr_png(text, module_px=6))))
    assert answer == {"engine": "zxing" if wasm else "qr", "texts": [text]}


def test_photos_that_give_no_single_code_are_refused(plain: Browser) -> None:
    both = frame(qr_png(seal(), module_px=6))
    two = Image.new("RGB", (1280, 1440))
    two.paste(both, (0, 0))
    two.paste(frame(qr_png(seal(), module_px=6)), (0, 720))
    with serving() as url:
        page = opened(plain, url)
        assert photo(page, encoded(frame(None)))["code"] == "NO_CODE"
        assert photo(page, b"%PDF-1.7")["code"] == "NOT_A_PICTURE"
        assert photo(page, encoded(two))["code"] == "SEVERAL"
        assert photo(page, encoded(Image.new("1", (8000, 7000)), "PNG"))["code"] == "TOO_LARGE"


def test_the_camera_reports_each_code_once_and_a_foreign_one_blocks_nothing(
    playwright: Playwright, tmp_path: Path
) -> None:
    first, second = seal(), seal()
    codes = [link_png(FOREIGN), qr_png(first, module_px=6), None, qr_png(second, module_px=6), None]
    clip = tmp_path / "clip.mjpeg"
    clip.write_bytes(b"".join(encoded(frame(code)) * 20 for code in codes))
    browser = launch(
        playwright,
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-video-capture={clip}",
    )
    with serving() as url:
        page = opened(browser, url)
        page.evaluate("""async () => {
          const { Decoder } = await import('/scan/decoder.js');
          const { Camera } = await import('/scan/camera.js');
          const { Scanner } = await import('/scan/scanner.js');
          const camera = await Camera.open(document.querySelector('video'));
          const scanner = new Scanner();
          globalThis.seen = [];
          scanner.addEventListener('code', ({ detail }) => {
            if (globalThis.seen.length < 3) globalThis.seen.push(detail.text);
            else scanner.stop();
          });
          scanner.start(camera, await Decoder.start());
        }""")
        for _ in range(300):
            seen = page.evaluate("globalThis.seen")
            if len(seen) == 3:
                break
            time.sleep(0.1)
        browser.close()
    assert sorted(seen) == sorted([FOREIGN, first, second])


def test_without_a_camera_it_says_so(plain: Browser) -> None:
    with serving() as url:
        code = opened(plain, url).evaluate("""async () => {
          const { Camera } = await import('/scan/camera.js');
          return Camera.open(document.querySelector('video')).then(() => 'open', (fault) => fault.code);
        }""")
    assert code == "NONE"
