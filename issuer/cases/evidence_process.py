"""The process that takes an uploaded document apart: the file as standard input, what may be kept as standard output.

Nothing of the upload itself is kept. A picture is drawn anew without its metadata, a PDF becomes pictures of its
pages: scripts, attached files, forms and whatever only some viewer would run are gone, and so is where a photo
was taken. It has a process of its own, with limits on memory and time, because it reads what strangers have sent.

Exit codes: 0; 2 for a refusal, whose code and params are then the output, as JSON.
"""

from __future__ import annotations

import io
import json
import resource
import sys
import warnings
from typing import Final, NoReturn

import pypdfium2
from PIL import Image, ImageOps

LARGEST_FILE: Final = 10 * 1024 * 1024
MOST_PAGES: Final = 10
MOST_PIXELS: Final = 50_000_000
REFUSED: Final = 2
_LONGEST_SIDE: Final = 2_400
_QUALITY: Final = 82
# A sheet of A4 then has 1,240 by 1,754 pixels: small print can be read.
_DPI: Final = 150
_POINTS_PER_INCH: Final = 72
_MEMORY: Final = 2 * 1024 * 1024 * 1024
_CPU_SECONDS: Final = 30
_JPEG: Final = b"\xff\xd8\xff"
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_PDF: Final = b"%PDF-"


def main() -> int:
    """Read, draw anew, answer."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_SECONDS, _CPU_SECONDS))
    Image.MAX_IMAGE_PIXELS = MOST_PIXELS
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    data = sys.stdin.buffer.read(LARGEST_FILE + 1)
    if len(data) > LARGEST_FILE:
        _refuse("EVIDENCE_TOO_LARGE", megabytes=LARGEST_FILE >> 20)
    if data.startswith((_JPEG, _PNG)):
        kept = _picture(data)
    elif data.startswith(_PDF):
        kept = _document(data)
    else:
        _refuse("EVIDENCE_KIND")
    sys.stdout.buffer.write(kept)
    return 0


def _picture(data: bytes) -> bytes:
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG", "PNG")) as picture:
            if picture.width * picture.height > MOST_PIXELS:
                _refuse("EVIDENCE_PIXELS", megapixels=MOST_PIXELS // 1_000_000)
            picture.draft("RGB", (_LONGEST_SIDE, _LONGEST_SIDE))
            upright = ImageOps.exif_transpose(picture)
            return _jpeg(_flat(upright))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        _refuse("EVIDENCE_PIXELS", megapixels=MOST_PIXELS // 1_000_000)
    except (OSError, ValueError, SyntaxError, EOFError, MemoryError):
        _refuse("EVIDENCE_DAMAGED")


def _document(data: bytes) -> bytes:
    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as fault:
        _refuse("EVIDENCE_PROTECTED" if "assword" in str(fault) else "EVIDENCE_DAMAGED")
    if not 1 <= len(document) <= MOST_PAGES:
        _refuse("EVIDENCE_PAGES", most=MOST_PAGES, pages=len(document))
    pages: list[Image.Image] = []
    try:
        for page in document:
            longest = max(page.get_size())
            scale = min(_DPI / _POINTS_PER_INCH, _LONGEST_SIDE / max(longest, 1.0))
            # Forms stay undrawn: what runs them is not even loaded.
            pages.append(page.render(scale=scale, may_draw_forms=False).to_pil().convert("RGB"))
    except (pypdfium2.PdfiumError, ValueError, MemoryError):
        _refuse("EVIDENCE_DAMAGED")
    out = io.BytesIO()
    pages[0].save(out, "PDF", save_all=True, append_images=pages[1:], resolution=_DPI, quality=_QUALITY)
    return out.getvalue()


def _flat(picture: Image.Image) -> Image.Image:
    """Without transparency, and no larger than anybody needs to read it."""
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        coloured = picture.convert("RGBA")
        white = Image.new("RGBA", coloured.size, "white")
        white.alpha_composite(coloured)
        picture = white
    flat = picture.convert("RGB")
    flat.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE))
    return flat


def _jpeg(picture: Image.Image) -> bytes:
    # A new picture: what came along with the old one stays behind.
    plain = Image.new("RGB", picture.size)
    plain.paste(picture)
    out = io.BytesIO()
    plain.save(out, "JPEG", quality=_QUALITY, optimize=True)
    return out.getvalue()


def _refuse(code: str, **params: object) -> NoReturn:
    sys.stdout.write(json.dumps({"code": code, "params": params}))
    sys.stdout.flush()
    raise SystemExit(REFUSED)


if __name__ == "__main__":
    sys.exit(main())
