"""From a picture to the texts of the codes in it, in bounded time.

Finding codes takes time that grows faster than the picture: 23 KB of repeated corner marks kept the reader
busy for 16 seconds. A picture of up to a megapixel is read at once (at worst about 0.4 s); a larger one in a
process of its own, which is ended after three seconds, and which also takes a crash of a decoder with it.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import BinaryIO

from keys.errors import Refusal

MAX_PIXELS = 25_000_000
# Pictures up to this size, in pixels and bytes of file, are read without a process of their own.
AT_ONCE_PIXELS, AT_ONCE_BYTES = 1_000_000, 4_000_000
_SECONDS = 3.0


class ImageRefused(Refusal):
    """The picture is too large, takes too long or is none we read."""

    package = "verifier"


class ReaderMissing(Refusal):
    """The libraries that read pictures are not installed."""

    package = "verifier"


def looks_like_image(start: bytes) -> bool:
    """Whether the first bytes of a file are those of a PNG, JPEG or WebP."""
    return start.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")) or (
        start[:4] == b"RIFF" and start[8:12] == b"WEBP"
    )


def read_codes(path: Path) -> list[str]:
    """The texts of all matrix codes in the picture at ``path``, each once, in reading order.

    Raises ImageRefused IMAGE_FILE_TOO_LARGE, IMAGE_TOO_LARGE, IMAGE_TOO_SLOW or IMAGE_UNREADABLE,
    ReaderMissing where the libraries for pictures are not installed, OSError where the file cannot be opened.
    """
    with path.open("rb") as file:
        return _codes(file)


def codes_in(data: bytes) -> list[str]:
    """The texts of all matrix codes in the picture ``data``, as `read_codes`."""
    return _codes(io.BytesIO(data))


def codes_at_once(file: BinaryIO) -> list[str]:
    """As `read_codes`, of a seekable file, here and now however long it takes."""
    import zxingcpp  # noqa: PLC0415

    from verifier.pictures import grey_picture  # noqa: PLC0415

    formats = zxingcpp.BarcodeFormats([zxingcpp.BarcodeFormat.QRCode, zxingcpp.BarcodeFormat.Aztec])
    found = zxingcpp.read_barcodes(grey_picture(file), formats=formats, text_mode=zxingcpp.TextMode.Plain)
    return list(dict.fromkeys(code.text for code in found if code.text))


def _codes(file: BinaryIO) -> list[str]:
    # Only here, so that checking texts and plates needs neither Pillow nor the code reader.
    try:
        import zxingcpp  # noqa: F401, PLC0415

        from verifier.pictures import check_file_size, pixels_by_header  # noqa: PLC0415
    except ImportError:
        raise ReaderMissing("PICTURE_LIBRARIES_MISSING") from None
    size = check_file_size(file)
    if size <= AT_ONCE_BYTES and pixels_by_header(file) <= AT_ONCE_PIXELS:
        return codes_at_once(file)
    if isinstance(file, io.BytesIO):
        with tempfile.TemporaryFile() as copy:
            copy.write(file.getbuffer())
            copy.flush()
            return _codes_of_process(copy)
    return _codes_of_process(file)


def _codes_of_process(file: BinaryIO) -> list[str]:
    # A new interpreter rather than a fork: the caller may have threads.
    paths = os.pathsep.join(one or str(Path.cwd()) for one in sys.path)
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "verifier.picture_process"],
            stdin=file,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_SECONDS,
            check=False,
            env={**os.environ, "PYTHONPATH": paths},
        )
    except subprocess.TimeoutExpired:
        raise ImageRefused("IMAGE_TOO_SLOW") from None
    except OSError as fault:
        raise RuntimeError("no process for reading the picture") from fault
    if done.returncode != 0:
        # A decoder that crashes or runs out of memory says about the picture what an error of its says.
        raise ImageRefused("IMAGE_UNREADABLE")
    answer = json.loads(done.stdout)
    if isinstance(answer, dict):
        raise ImageRefused(answer["refused"], **answer["params"])
    return [str(code) for code in answer]
