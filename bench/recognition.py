"""How many seals are read from hard pictures: the web app's two readers beside zxing-cpp.

``python -m bench.recognition`` prints the frames read of each kind (`tests.recognition_set`): by the web app within
four looks, by zxing-cpp in Python and by its command line (``ZXingReader``, Debian's zxing-cpp-tools) in one.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import zxingcpp

from tests.recognition_set import KINDS, PER_KIND, Frame, frames
from tests.web_pages import CHROMIUM, browser
from tests.web_recognition import Recognition, counted, read_by_web_app

_FORMATS = zxingcpp.BarcodeFormats([zxingcpp.BarcodeFormat.QRCode, zxingcpp.BarcodeFormat.Aztec])


def by_python(shown: Sequence[Frame]) -> Recognition:
    """zxing-cpp as `verifier.image` uses it."""
    return counted(
        shown,
        (
            [one.text for one in zxingcpp.read_barcodes(frame.picture, formats=_FORMATS) if one.text]
            for frame in shown
        ),
    )


def by_command(command: str, shown: Sequence[Frame]) -> Recognition:
    """One run of ``ZXingReader`` a frame, at its usual thoroughness."""
    answers = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "frame.png"
        for frame in shown:
            frame.picture.save(file, compress_level=1)
            done = subprocess.run(
                [command, "-1", "-format", "QRCode,Aztec", file], capture_output=True, text=True, check=False
            )
            answers.append(_texts(done.stdout))
    return counted(shown, answers)


def _texts(output: str) -> list[str]:
    # One line a code: FILE FORMAT "TEXT" STATE, or FILE None where there is none.
    return [line.split('"')[1] for line in output.splitlines() if line.count('"') > 1]


def run() -> None:
    """Read and print."""
    shown = list(frames())
    readers: dict[str, Recognition] = {"zxing-cpp": by_python(shown)}
    command = shutil.which("ZXingReader")
    if command is not None:
        readers["ZXingReader"] = by_command(command, shown)
    if CHROMIUM.is_file():
        with browser() as chromium:
            readers["web zxing"] = read_by_web_app(chromium, shown, "zxing")
            readers["web qr"] = read_by_web_app(chromium, shown, "qr")
    print(f"{'of ' + str(PER_KIND) + ' each':12s}" + "".join(f"{name:>13s}" for name in readers))
    for kind in KINDS:
        print(f"{kind:12s}" + "".join(f"{found.read[kind]:13d}" for found in readers.values()))
    print(f"{'of ' + str(len(shown)):12s}" + "".join(f"{found.total:13d}" for found in readers.values()))
    print(f"{'wrong':12s}" + "".join(f"{len(found.wrong):13d}" for found in readers.values()))


if __name__ == "__main__":
    run()
