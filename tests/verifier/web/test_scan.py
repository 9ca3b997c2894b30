"""Camera, photo and both engines in a real browser under the strict policy."""

from __future__ import annotations

import base64
import io
import itertools
import struct
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zxingcpp
from PIL import Image
from playwright.sync_api import Browser, Page, Playwright

from passes.qr import link_png, qr_png
from passes.seal import Sealer
from tests.recognition_set import frames
from tests.trust_factory import Key, permit
from tests.web_pages import CHROMIUM, WHOLE_CHROMIUM, needs_chromium, needs_whole_chromium, served

pytestmark = [pytest.mark.slow, needs_chromium]
FOREIGN = "https://example.org/menu"
FRAMES_A_SECOND = 30
PAGE = b"<!doctype html><title>Scan</title><video></video>"


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


FIRST, SECOND = seal(), seal()
# What the fake camera sees: each code, and for how many seconds.
CLIP = (
    (link_png(FOREIGN), 1.0), (qr_png(FIRST, module_px=6), 4.5), (None, 0.5), (qr_png(SECOND, module_px=6), 1.0),
    (link_png(FOREIGN), 1.0), (qr_png(FIRST, module_px=6), 1.0), (None, 0.5),
)  # fmt: skip


def launch(playwright: Playwright, *more: str, program: Path = CHROMIUM) -> Browser:
    return playwright.chromium.launch(
        executable_path=str(program), args=["--no-sandbox", "--disable-gpu", *more]
    )


@pytest.fixture(scope="module")
def plain(playwright: Playwright) -> Iterator[Browser]:
    browser = launch(playwright)
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def filmed(playwright: Playwright, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser whose camera shows `CLIP` again and again."""
    clip = tmp_path_factory.mktemp("clip") / "clip.mjpeg"
    clip.write_bytes(
        b"".join(encoded(frame(code)) * round(FRAMES_A_SECOND * seconds) for code, seconds in CLIP)
    )
    browser = launch(
        playwright,
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-video-capture={clip}",
    )
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    with served(more={"/scan.html": PAGE}) as url:
        yield f"{url}/scan.html"


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


@pytest.mark.parametrize("webassembly", [True, False], ids=["zxing", "qr"])
def test_both_engines_read_a_seal(plain: Browser, webassembly: bool) -> None:
    with served(webassembly=webassembly, more={"/scan.html": PAGE}) as url:
        page = opened(plain, f"{url}/scan.html")
        answer = photo(page, encoded(frame(qr_png(FIRST, module_px=6))))
        page.close()
    assert answer == {"engine": "zxing" if webassembly else "qr", "texts": [FIRST]}


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_pictures_of_each_kind_are_read(plain: Browser, site: str, kind: str) -> None:
    page = opened(plain, site)
    assert photo(page, encoded(frame(qr_png(FIRST, module_px=6)), kind))["texts"] == [FIRST]
    page.close()


def test_an_aztec_code_is_read(plain: Browser, site: str) -> None:
    symbol = zxingcpp.create_barcode("A1234567", zxingcpp.BarcodeFormat.Aztec).to_image(scale=6)
    picture = frame(encoded(Image.fromarray(symbol), "PNG"))
    page = opened(plain, site)
    assert photo(page, encoded(picture))["texts"] == ["A1234567"]
    page.close()


def png_header(width: int, height: int) -> bytes:
    """A PNG that has a header and nothing behind it."""
    content = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + content + struct.pack(">I", zlib.crc32(content))


def test_photos_that_give_no_single_code_are_refused(plain: Browser, site: str) -> None:
    two = Image.new("RGB", (1280, 1440))
    two.paste(frame(qr_png(FIRST, module_px=6)), (0, 0))
    two.paste(frame(qr_png(SECOND, module_px=6)), (0, 720))
    lossless = io.BytesIO()
    Image.new("1", (8000, 7000)).save(lossless, "WEBP", lossless=True, method=0)
    page = opened(plain, site)
    assert photo(page, encoded(frame(None)))["code"] == "NO_CODE"
    assert photo(page, encoded(two))["code"] == "SEVERAL"
    # A browser would call these damaged: they are judged by their headers alone.
    assert photo(page, png_header(60_000, 60_000))["code"] == "TOO_LARGE"
    assert photo(page, png_header(100, 100))["code"] == "NOT_A_PICTURE"
    assert photo(page, encoded(Image.new("L", (8000, 7000)))[:2000])["code"] == "TOO_LARGE"
    assert photo(page, lossless.getvalue()[:200])["code"] == "TOO_LARGE"
    for data in (b"", b"%PDF-1.7", b"\xff\xd8", b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WEBPVP8X"):
        assert photo(page, data)["code"] == "NOT_A_PICTURE"
    # Browsers decode these, we do not.
    assert photo(page, encoded(frame(qr_png(FIRST, module_px=6)), "BMP"))["code"] == "NOT_A_PICTURE"
    page.close()


def test_a_file_of_more_than_twenty_megabytes_is_not_even_opened(plain: Browser, site: str) -> None:
    page = opened(plain, site)
    found = page.evaluate("""async () => {
      const { decodePhoto } = await import('/scan/photo.js');
      let read = false;
      class Large extends Blob { arrayBuffer() { read = true; return super.arrayBuffer(); } }
      const file = new Large([new Uint8Array(20 * 1024 * 1024 + 1)]);
      const code = await decodePhoto(file, null).catch((fault) => fault.code);
      return { code, read };
    }""")
    page.close()
    assert found == {"code": "TOO_LARGE", "read": False}


def test_a_photo_may_need_the_thorough_pass(plain: Browser, site: str) -> None:
    # A code of 1.3 pixels a module.
    hard = list(frames(["small"]))[9]
    whole = hard.picture
    page = opened(plain, site)
    quick = page.evaluate(
        """async (data) => {
          const { Decoder } = await import('/scan/decoder.js');
          const decoder = await Decoder.start();
          const bytes = Uint8Array.from(atob(data), (one) => one.charCodeAt(0));
          const found = [];
          for (let look = 0; look < 4; look += 1) {
            found.push(...(await decoder.decode(await createImageBitmap(new Blob([bytes])))).texts);
          }
          decoder.stop();
          return found;
        }""",
        base64.b64encode(encoded(whole, "PNG")).decode(),
    )
    thorough = photo(page, encoded(whole, "PNG"))
    page.close()
    assert (quick, thorough.get("texts")) == ([], [hard.text])


def test_a_worker_that_hangs_or_breaks_is_replaced(plain: Browser, site: str) -> None:
    page = opened(plain, site)
    found = page.evaluate(
        """async (data) => {
          const { Decoder } = await import('/scan/decoder.js');
          const bytes = Uint8Array.from(atob(data), (one) => one.charCodeAt(0));
          const picture = () => createImageBitmap(new Blob([bytes]));
          const workers = [];
          const Real = globalThis.Worker;
          globalThis.Worker = class extends Real {
            constructor(...more) { super(...more); workers.push(this); }
          };
          const decoder = await Decoder.start();
          const outcome = async () =>
            decoder.decode(await picture()).then(({ texts }) => texts[0], (fault) => fault.code);
          const outcomes = [];
          workers[0].postMessage = () => undefined;
          outcomes.push(await outcome(), await outcome());
          workers[1].postMessage = () => workers[1].dispatchEvent(new ErrorEvent('error'));
          outcomes.push(await outcome(), await outcome());
          decoder.stop();
          outcomes.push(await outcome());
          return { outcomes, workers: workers.length };
        }""",
        base64.b64encode(encoded(frame(qr_png(FIRST, module_px=6)))).decode(),
    )
    page.close()
    assert found == {"outcomes": ["SLOW", FIRST, "BROKEN", FIRST, "STOPPED"], "workers": 3}


def test_the_same_code_is_silent_for_three_seconds_and_a_new_one_is_reported_at_once(
    filmed: Browser, site: str
) -> None:
    page = opened(filmed, site)
    page.evaluate("""async () => {
      const { Decoder } = await import('/scan/decoder.js');
      const { Camera } = await import('/scan/camera.js');
      const { Scanner } = await import('/scan/scanner.js');
      const camera = await Camera.open(document.querySelector('video'));
      const scanner = new Scanner();
      globalThis.seen = [];
      scanner.addEventListener('code', ({ detail }) => globalThis.seen.push([detail.text, performance.now()]));
      scanner.start(camera, await Decoder.start());
    }""")
    seen: list[list[Any]] = []
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        seen = page.evaluate("globalThis.seen")
        if len(seen) >= 6:
            break
        time.sleep(0.2)
    page.close()
    texts = [text for text, _ in seen]
    assert len(seen) >= 6
    # Each change of the clip's code is seen, whatever was before it, and only the long one twice in a row.
    assert set(texts) == {FOREIGN, FIRST, SECOND}
    after_foreign = {texts[at + 1] for at in range(len(texts) - 1) if texts[at] == FOREIGN}
    assert after_foreign == {FIRST}
    again = [later - at for (text, at), (next_, later) in itertools.pairwise(seen) if text == next_]
    assert again
    for text in set(texts):
        times = [at for one, at in seen if one == text]
        assert all(later - at >= 3000 for at, later in itertools.pairwise(times))


def test_a_rotating_seal_counts_before_a_foreign_code(plain: Browser, site: str) -> None:
    rotating = f"SP1R:1795608000:01234567:{FIRST.removeprefix('SP1:')}"
    both = Image.new("RGB", (1280, 1440))
    both.paste(frame(link_png(FOREIGN)), (0, 0))
    both.paste(frame(qr_png(rotating, module_px=6)), (0, 720))
    page = opened(plain, site)
    assert photo(page, encoded(both)) == {"engine": "zxing", "texts": [rotating]}
    seen = page.evaluate(
        """async (texts) => {
          const { Scanner } = await import('/scan/scanner.js');
          const codes = texts.map((text) => ({ text, symbology: 'QR' }));
          const seen = [];
          const scanner = new Scanner();
          const camera = { nextFrame: () => new Promise((tell) => setTimeout(tell)), frame: () => ({}), pause() {} };
          return new Promise((tell) => {
            scanner.addEventListener('code', ({ detail }) => {
              seen.push(detail.text);
              if (seen.length === texts.length) { scanner.stop(); tell(seen); }
            });
            scanner.start(camera, { decode: async () => ({ codes }) });
          });
        }""",
        [FOREIGN, rotating],
    )
    page.close()
    assert seen == [rotating, FOREIGN]


# What a camera shows of library cards, and as what it is to be read.
BARS = {
    "Codabar": ("A24711300000134B", "CODABAR"),
    "Code39": ("BQD18N001000", "CODE_39"),
    "Code128": ("D402102592", "CODE_128"),
    "EAN13": ("4006381333931", "EAN_13"),
    "ITF": ("24711300000134", "ITF"),
}


def test_bar_codes_of_library_cards_are_read_where_they_are_asked_for(plain: Browser, site: str) -> None:
    page = opened(plain, site)
    for name, (text, symbology) in BARS.items():
        bars = zxingcpp.create_barcode(text, getattr(zxingcpp.BarcodeFormat, name)).to_image(scale=3)
        picture = base64.b64encode(encoded(frame(encoded(Image.fromarray(bars), "PNG")))).decode()
        read = page.evaluate(
            """async (data) => {
              const { Decoder } = await import('/scan/decoder.js');
              const { decodePhoto } = await import('/scan/photo.js');
              const decoder = await Decoder.start();
              const blob = new Blob([Uint8Array.from(atob(data), (one) => one.charCodeAt(0))]);
              const asked = await decodePhoto(blob, decoder, { oneDimensional: true });
              const unasked = await decodePhoto(blob, decoder).catch((fault) => fault.code);
              decoder.stop();
              return [asked.codes, unasked];
            }""",
            picture,
        )
        assert read == [[{"text": text, "symbology": symbology}], "NO_CODE"], name
    page.close()


def test_bars_count_when_two_pictures_agree(plain: Browser, site: str) -> None:
    page = opened(plain, site)
    seen = page.evaluate("""async () => {
      const { Scanner } = await import('/scan/scanner.js');
      // The first is read wrong once, as a blurred picture is.
      const pictures = ['24711300000134', '24711300', '24711300000134', '24711300000134'];
      const camera = { nextFrame: () => new Promise((tell) => setTimeout(tell)), frame: () => ({}), pause() {} };
      const scanner = new Scanner();
      return new Promise((tell) => {
        const seen = [];
        scanner.addEventListener('code', ({ detail }) => seen.push(detail));
        const decode = async () => {
          const text = pictures.shift();
          if (text === undefined) { scanner.stop(); setTimeout(() => tell(seen)); return { codes: [] }; }
          return { codes: [{ text, symbology: 'ITF' }] };
        };
        scanner.start(camera, { decode });
      });
    }""")
    page.close()
    assert seen == [{"text": "24711300000134", "symbology": "ITF"}]


def open_code(page: Page) -> str:
    """What opening the camera comes to: ``open`` or the code of the refusal."""
    code: str = page.evaluate("""async () => {
      const { Camera } = await import('/scan/camera.js');
      return Camera.open(document.querySelector('video')).then(() => 'open', (fault) => fault.code);
    }""")
    return code


def test_without_a_camera_it_says_so(plain: Browser, site: str) -> None:
    page = opened(plain, site)
    assert open_code(page) == "NONE"
    page.close()


def test_a_refused_camera_is_told_from_a_missing_one(playwright: Playwright, site: str) -> None:
    browser = launch(playwright, "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream=deny")
    code = open_code(opened(browser, site))
    browser.close()
    assert code == "DENIED"


# The fake camera has neither torch nor zoom: a track that says it has, and notes what is asked of it.
STUB = """async (able) => {
  globalThis.asked = [];
  MediaStreamTrack.prototype.getCapabilities = () => able;
  MediaStreamTrack.prototype.applyConstraints = async (wanted) => { globalThis.asked.push(wanted); };
  const { Camera } = await import('/scan/camera.js');
  globalThis.video = document.querySelector('video');
  globalThis.camera = await Camera.open(globalThis.video);
  globalThis.picture = async () => {
    for (let wait = 0; wait < 100; wait += 1) {
      const frame = globalThis.camera.frame();
      if (frame) return frame.width;
      await globalThis.camera.nextFrame();
    }
    return null;
  };
}"""


def test_torch_and_zoom_are_asked_of_the_lens(filmed: Browser, site: str) -> None:
    page = opened(filmed, site)
    page.evaluate(STUB, {"torch": True, "zoom": {"min": 1, "max": 8, "step": 0.5}})
    capable = page.evaluate("globalThis.camera.capabilities()")
    page.evaluate("globalThis.camera.setTorch(true).then(() => globalThis.camera.setZoom(20))")
    asked = page.evaluate("globalThis.asked")
    width, shown = page.evaluate("Promise.all([globalThis.picture(), globalThis.video.videoWidth])")
    page.close()
    assert capable == {"torch": True, "zoom": {"min": 1, "max": 8, "step": 0.5}}
    # One call replaces the other's wishes: zoom alone would put the torch out.
    assert asked[-1] == {"advanced": [{"torch": True, "zoom": 8}]}
    assert width == shown


def test_a_lens_without_zoom_is_cropped_at_its_full_resolution(filmed: Browser, site: str) -> None:
    page = opened(filmed, site)
    page.evaluate(STUB, {"torch": True, "width": {"max": 4000}, "height": {"max": 3000}})
    capable = page.evaluate("globalThis.camera.capabilities()")
    page.evaluate("globalThis.camera.setTorch(true).then(() => globalThis.camera.setZoom(2))")
    asked = page.evaluate("globalThis.asked")
    width, shown = page.evaluate("Promise.all([globalThis.picture(), globalThis.video.videoWidth])")
    page.close()
    assert capable == {"torch": True, "zoom": None}
    assert asked[-2:] == [
        {"width": {"ideal": 4000}, "height": {"ideal": 3000}},
        {"advanced": [{"torch": True}]},
    ]
    assert width == shown / 2


def test_the_camera_is_let_go_while_hidden_and_taken_again_with_its_torch(filmed: Browser, site: str) -> None:
    page = opened(filmed, site)
    page.evaluate(STUB, {"torch": True})
    found = page.evaluate("""async () => {
      const { camera, video } = globalThis;
      const turn = (hidden) => {
        Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });
        document.dispatchEvent(new Event('visibilitychange'));
      };
      await camera.setTorch(true);
      const [track] = video.srcObject.getVideoTracks();
      turn(true);
      const hidden = { state: track.readyState, frame: camera.frame() };
      globalThis.asked.length = 0;
      const back = new Promise((resolve) => camera.addEventListener('change', resolve, { once: true }));
      turn(false);
      await back;
      const width = await globalThis.picture();
      const again = video.srcObject.getVideoTracks()[0];
      const returned = { state: again.readyState, torch: globalThis.asked.some((one) => one.advanced?.[0].torch) };
      camera.pause();
      const paused = { frame: camera.frame(), state: again.readyState };
      await camera.resume();
      camera.close();
      turn(true);
      turn(false);
      return { hidden, returned, width: width > 0, paused, closed: [again.readyState, video.srcObject] };
    }""")
    page.close()
    assert found == {
        "hidden": {"state": "ended", "frame": None},
        "returned": {"state": "live", "torch": True},
        "width": True,
        "paused": {"frame": None, "state": "live"},
        "closed": ["ended", None],
    }


@needs_whole_chromium
def test_the_lens_chosen_is_taken_again_and_one_that_is_gone_is_not_missed(
    playwright: Playwright, site: str
) -> None:
    # The engine alone has no profile: there a lens has another id after each load.
    browser = launch(
        playwright,
        "--use-fake-device-for-media-stream=device-count=2",
        "--use-fake-ui-for-media-stream",
        program=WHOLE_CHROMIUM,
    )
    context = browser.new_context()
    page = context.new_page()
    page.goto(site)
    lenses = page.evaluate("""async () => {
      const { Camera } = await import('/scan/camera.js');
      globalThis.camera = await Camera.open(document.querySelector('video'));
      const ids = camera.lenses().map(({ id }) => id);
      const other = ids.find((id) => id !== camera.lens);
      await camera.useLens(other);
      return { ids, other, now: camera.lens };
    }""")
    now = """async () => {
      const { Camera } = await import('/scan/camera.js');
      return (await Camera.open(document.querySelector('video'))).lens;
    }"""
    page.reload()
    again = page.evaluate(now)
    page.evaluate("() => { for (const key of Object.keys(localStorage)) localStorage[key] = 'unplugged'; }")
    page.reload()
    without = page.evaluate(now)
    browser.close()
    assert len(lenses["ids"]) == 2
    assert lenses["other"] == lenses["now"] == again
    assert without in lenses["ids"]


def test_a_lens_that_does_not_open_gives_way_and_is_not_remembered(filmed: Browser, site: str) -> None:
    page = filmed.new_page()
    page.goto(site)
    lens, kept = page.evaluate("""async () => {
      const { Camera } = await import('/scan/camera.js');
      const camera = await Camera.open(document.querySelector('video'));
      const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
      navigator.mediaDevices.getUserMedia = async (wanted) => {
        if (wanted.video.deviceId) throw new DOMException('', 'NotReadableError');
        return ask(wanted);
      };
      await camera.useLens('broken');
      const found = [camera.lens, localStorage.getItem('stadtpass.lens')];
      camera.close();
      return found;
    }""")
    page.close()
    assert lens
    assert kept is None
