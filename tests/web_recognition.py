"""The recognition set in front of the web app's decoder, as a camera shows it: again and again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from playwright.sync_api import Browser

from tests.recognition_set import HEIGHT, KINDS, WIDTH, Frame
from tests.web_pages import served

Engine = Literal["zxing", "qr"]
# The decoder looks at every fourth picture with another threshold: a seal that is held still gets all it has.
LOOKS = 4

_READ = """async ([count, looks, width, height, preferFallback]) => {
  const { Decoder } = await import('/scan/decoder.js');
  const decoder = await Decoder.start({ preferFallback });
  const answers = [];
  for (let number = 0; number < count; number += 1) {
    const grey = new Uint8Array(await (await fetch(`/frame/${number}`)).arrayBuffer());
    let texts = [];
    for (let look = 0; look < looks && !texts.length; look += 1) {
      const picture = new ImageData(width, height);
      const pixels = new Uint32Array(picture.data.buffer);
      for (let at = 0; at < grey.length; at += 1) pixels[at] = 0xff000000 | (grey[at] * 0x010101);
      ({ texts } = await decoder.decode(picture));
    }
    answers.push(texts);
  }
  decoder.stop();
  return { engine: decoder.engine, answers };
}"""


@dataclass(frozen=True, slots=True)
class Recognition:
    """How many frames of each kind were read, and the texts that no seal of the set has."""

    read: dict[str, int]
    wrong: list[str]

    @property
    def total(self) -> int:
        return sum(self.read.values())


def counted(frames: Sequence[Frame], answers: Iterable[Iterable[str]]) -> Recognition:
    """What ``answers``, the texts found in each of ``frames``, amount to."""
    read, wrong = Counter(dict.fromkeys(KINDS, 0)), []
    for frame, texts in zip(frames, answers, strict=True):
        found = list(texts)
        read[frame.kind] += frame.text in found
        wrong += [text for text in found if text != frame.text]
    return Recognition(dict(read), wrong)


def read_by_web_app(browser: Browser, frames: Sequence[Frame], engine: Engine) -> Recognition:
    """Show each frame up to `LOOKS` times to the decoder with ``engine``."""
    with served(more={f"/frame/{number}": frame.grey for number, frame in enumerate(frames)}) as url:
        page = browser.new_page()
        page.set_default_timeout(300_000)
        page.goto(f"{url}/empty.html")
        answer = page.evaluate(_READ, [len(frames), LOOKS, WIDTH, HEIGHT, engine == "qr"])
        page.close()
    if answer["engine"] != engine:
        raise RuntimeError(f"the browser has taken the engine {answer['engine']}")
    return counted(frames, answer["answers"])
