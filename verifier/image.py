"""From a picture to the texts of the codes in it."""

from __future__ import annotations

import io
from pathlib import Path
from typing import BinaryIO

from keys.errors import Refusal

MAX_PIXELS = 25_000_000


class ImageRefused(Refusal):
    """The picture is too large or none we read."""

    package = "verifier"


def looks_like_image(start: bytes) -> bool:
    """Whether the first bytes of a file are those of a PNG, JPEG or WebP."""
    return start.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")) or (
        start[:4] == b"RIFF" and start[8:12] == b"WEBP"
    )


def read_codes(path: Path) -> list[str]:
    """The texts of all matrix codes in the picture at ``path``, each once, in reading order.

    Raises ImageRefused IMAGE_TOO_LARGE or IMAGE_UNREADABLE, OSError where the file cannot be opened.
    """
    with path.open("rb") as file:
        return _codes(file)


def codes_in(data: bytes) -> list[str]:
    """The texts of all matrix codes in the picture ``data``, as `read_codes`."""
    return _codes(io.BytesIO(data))


def _codes(file: BinaryIO) -> list[str]:
    # Only here, so that checking texts and plates needs neither Pillow nor the code reader.
    import zxingcpp  # noqa: PLC0415

    from verifier.pictures import grey_picture  # noqa: PLC0415

    formats = zxingcpp.BarcodeFormats([zxingcpp.BarcodeFormat.QRCode, zxingcpp.BarcodeFormat.Aztec])
    found = zxingcpp.read_barcodes(grey_picture(file), formats=formats, text_mode=zxingcpp.TextMode.Plain)
    return list(dict.fromkeys(code.text for code in found if code.text))
