"""From a picture to the texts of the codes in it, within bounded memory.

The size is read from the header and judged before a single pixel is decoded. Pictures of up to 25
megapixels are read where the format lets them be decoded within the budget: greyscale, or JPEG, which
decodes to grey directly. Others have to be smaller; the refusal says so.
"""

from __future__ import annotations

import io
import warnings
from pathlib import Path

from keys.errors import Refusal

MAX_FILE_BYTES = 20 * 1024 * 1024
MAX_PIXELS = 25_000_000
# What decoding may hold at its peak. The whole check has to stay under 50 MB above its start.
_BUDGET = 40_000_000
_FORMATS = ("PNG", "JPEG", "WEBP")


class ImageRefused(Refusal):
    """The picture is too large or none we read."""

    package = "verifier"


def read_codes(path: Path) -> list[str]:
    """The texts of all matrix codes in the picture at ``path``, each once, in reading order.

    Raises ImageRefused IMAGE_TOO_LARGE or IMAGE_UNREADABLE, OSError where the file cannot be opened.
    """
    with path.open("rb") as file:
        data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise ImageRefused("IMAGE_TOO_LARGE", megapixels="?")
    return codes_in(data)


def looks_like_image(start: bytes) -> bool:
    """Whether the first bytes of a file are those of a PNG, JPEG or WebP."""
    return start.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")) or (
        start[:4] == b"RIFF" and start[8:12] == b"WEBP"
    )


def codes_in(data: bytes) -> list[str]:
    """The texts of all matrix codes in the picture ``data``, as `read_codes`."""
    # Only here, so that checking texts and plates needs neither library.
    import zxingcpp  # noqa: PLC0415
    from PIL import Image  # noqa: PLC0415

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            picture = Image.open(io.BytesIO(data), formats=_FORMATS)
            width, height = picture.size
            megapixels = f"{width * height / 1e6:.1f}"
            if width * height > MAX_PIXELS or getattr(picture, "n_frames", 1) > 1:
                raise ImageRefused("IMAGE_TOO_LARGE", megapixels=megapixels)
            if picture.format == "JPEG":
                picture.draft("L", picture.size)
            if width * height * _bytes_per_pixel(picture) > _BUDGET:
                raise ImageRefused("IMAGE_TOO_LARGE", megapixels=megapixels)
            grey = _grey(picture)
    except ImageRefused:
        raise
    except Exception as fault:
        # Pillow raises many kinds of errors for broken files; to a reader they all mean the same.
        raise ImageRefused("IMAGE_UNREADABLE") from fault
    formats = zxingcpp.BarcodeFormat.QRCode | zxingcpp.BarcodeFormat.Aztec
    found = zxingcpp.read_barcodes(grey, formats=formats, text_mode=zxingcpp.TextMode.Plain)
    return list(dict.fromkeys(code.text for code in found if code.text))


def _bytes_per_pixel(picture: object) -> float:
    mode, kind = getattr(picture, "mode", ""), getattr(picture, "format", "")
    info: dict[str, object] = getattr(picture, "info", {})
    if kind == "WEBP":
        return 8  # the decoder holds RGBA, and Pillow its own copy
    if kind == "JPEG" and info.get("progressive"):
        return 7  # all coefficients of a progressive picture are held at once
    return {"1": 1.4, "L": 1.4, "P": 2.4, "LA": 5.4, "I;16": 5.4}.get(mode, 5.4)


def _grey(picture: object) -> object:
    from PIL import Image  # noqa: PLC0415

    assert isinstance(picture, Image.Image)
    picture.load()
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        rgba = picture.convert("RGBA")
        flat = Image.new("RGBA", rgba.size, "white")
        flat.alpha_composite(rgba)
        picture = flat
    grey = picture if picture.mode == "L" else picture.convert("L")
    # The code reader needs two more bytes a pixel; a large photo loses nothing it needs at half size.
    return grey.reduce(2) if grey.width * grey.height > 9_000_000 else grey
