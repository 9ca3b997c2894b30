"""How long the web app takes from being opened without its service to the first verdict, in Chromium.

``python -m bench.offline``: the app is opened once, its service is killed, and for each round the browser is started
anew. App and lists then come from what the device has kept, all of it is verified again, and the app's own screen
checks a seal: held before the camera, in a photo, or typed. The time runs from the navigation's begin to the frame
that shows the verdict. The page itself acts as soon as it can, so nobody's fingers are in it. The limit is 1 s.
"""

from __future__ import annotations

import base64
import json
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from playwright.sync_api import BrowserContext, BrowserType, sync_playwright

from tests.e2e.verifier_city import VALID, VerifierCity, browser_arguments, code_picture
from tests.web_pages import CHROMIUM

LIMIT_MS = 1000.0
ROUNDS = 7
WAIT_MS = 30_000
READY = ("cache", "lists", "decoder")
WAYS = {"camera": "held before the camera", "photo": "photo", "typed": "typed code"}
# Runs before the app's scripts: acts once, as soon as the screen offers it, and notes when a verdict is on it.
_ACT = """([way, seal, photo]) => {
  const acts = {
    camera: () => true,
    photo: () => {
      const field = document.querySelector("#photo");
      if (field === null) return false;
      const chosen = new DataTransfer();
      const bytes = Uint8Array.from(atob(photo), (one) => one.charCodeAt(0));
      chosen.items.add(new File([bytes], "photo.jpg", { type: "image/jpeg" }));
      field.files = chosen.files;
      field.dispatchEvent(new Event("change"));
      return true;
    },
    typed: () => {
      const field = document.querySelector("#typed");
      if (field === null) return false;
      field.value = seal;
      field.form.requestSubmit();
      return true;
    },
  };
  let done = false;
  window.firstVerdict = new Promise((tell, fail) => {
    const watching = new MutationObserver(() => {
      done ||= acts[way]();
      const word = document.querySelector(".verdict h1");
      if (word === null) return;
      watching.disconnect();
      const { reason } = word.closest(".verdict").dataset;
      // A task after the next frame: what that frame shows is painted.
      requestAnimationFrame(() => setTimeout(() => tell({ ms: performance.now(), reason })));
    });
    watching.observe(document, { childList: true, subtree: true });
    setTimeout(() => fail(new Error(`no verdict; done: ${done}; ${document.body.innerText}`)), 30_000);
  });
}"""


def main() -> int:
    """Print one line for each way of checking."""
    if not CHROMIUM.is_file():
        print("skipped, because chromium is missing (apt install chromium-headless-shell)")
        return 0
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        city = VerifierCity(folder).set_up()
        try:
            city.start()
            keep(playwright.chromium, city)
        finally:
            city.kill()
        print(f"service killed, browser restarted each time; medians of {ROUNDS} (quickest to slowest)")
        for way, words in WAYS.items():
            times = [first_verdict(playwright.chromium, city, way) for _ in range(ROUNDS)]
            middle = median(times)
            print(
                f"  {words + ':':24s} {middle:6.0f} ms, {middle / LIMIT_MS:.2f} of the limit of {LIMIT_MS:.0f} ms "
                f"({min(times):.0f} to {max(times):.0f} ms)"
            )
    return 0


def opened(chromium: BrowserType, city: VerifierCity) -> BrowserContext:
    """A browser with the one profile, and a camera that sees the valid seal."""
    seen = city.folder / "seen.mjpeg"
    if not seen.exists():
        code_picture(city.seals[VALID]).save(seen, "JPEG", quality=85)
    context = chromium.launch_persistent_context(
        city.folder / "profile",
        executable_path=str(CHROMIUM),
        args=browser_arguments(seen),
        locale="de-DE",
    )
    context.set_default_timeout(WAIT_MS)
    return context


def keep(chromium: BrowserType, city: VerifierCity) -> None:
    """Open the app with its service, until the device says that it has all it needs."""
    context = opened(chromium, city)
    page = context.pages[0]
    page.goto(f"{city.url}/check/")
    for check in READY:
        page.locator(f'[data-check="{check}"][data-ok="yes"]').wait_for()
    context.close()


def first_verdict(chromium: BrowserType, city: VerifierCity, way: str) -> float:
    """Milliseconds, by the browser's own clock."""
    context = opened(chromium, city)
    page = context.pages[0]
    photo = base64.b64encode((city.folder / "seen.mjpeg").read_bytes()).decode()
    page.add_init_script(f"({_ACT})({json.dumps([way, city.seals[VALID], photo])})")
    page.goto(f"{city.url}/check/")
    found: dict[str, Any] = page.evaluate("window.firstVerdict")
    context.close()
    if found["reason"] != "VALID":
        raise RuntimeError(f"{found['reason']} instead of VALID")
    return float(found["ms"])


if __name__ == "__main__":
    sys.exit(main())
