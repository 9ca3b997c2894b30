"""A card number as the picture that a library's own readers know: bars, or a plain QR code.

Bars come from zxing-cpp, which has the encoders of zint and is here for reading anyway. It draws wide bars of
Code 39 and Codabar two narrow ones wide; below 0.5 mm, where print and screens smear, the specifications (AIM BC1 and
BC3) ask for more than 2.2, so they are drawn two and a half wide here. Bars have their quiet zones, as a part of the
picture, and no text: the number belongs beside them, large enough for people.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

import zxingcpp
from PIL import Image

from passes.card_numbers import CardNumber, Symbology
from passes.errors import PassRefusal
from passes.qr import QrMatrix, link_matrix, matrix_png, matrix_svg

#: The light margin beside the bars in narrow bars: ISO/IEC 15417, 16388, 16390 and AIM BC3.
QUIET_ZONE: Final = 10
# ISO/IEC 15420: eleven before and seven behind; more does no harm and keeps the bars in the middle.
_QUIET_ZONE_EAN: Final = 11
#: How high bars are drawn, in widths of the whole picture: GS1 and AIM ask for 15 per cent of the bars' length.
_HEIGHT: Final = 0.2
# Pictures count in half narrow bars, so that two and a half are a whole number.
_HALVES: Final = 2
_WIDE: Final = 5
_FORMATS: Final = {
    Symbology.CODABAR: zxingcpp.BarcodeFormat.Codabar,
    Symbology.CODE_39: zxingcpp.BarcodeFormat.Code39,
    Symbology.CODE_128: zxingcpp.BarcodeFormat.Code128,
    Symbology.EAN_13: zxingcpp.BarcodeFormat.EAN13,
    Symbology.ITF: zxingcpp.BarcodeFormat.ITF,
}
# Codabar begins and ends with one of A to D. They are no part of the number: readers drop them, as
# `CardNumber.parse` does with those that hand them on.
_CODABAR_START, _CODABAR_STOP = "A", "B"


@dataclass(frozen=True, slots=True)
class Bars:
    """A linear code: widths of its bars and spaces in turn, the first and last being bars, in half narrow bars."""

    symbology: Symbology
    widths: tuple[int, ...]

    @property
    def quiet(self) -> int:
        """The light margin on either side, in half narrow bars."""
        return _HALVES * (_QUIET_ZONE_EAN if self.symbology is Symbology.EAN_13 else QUIET_ZONE)

    @property
    def width(self) -> int:
        """The whole picture with its quiet zones, in half narrow bars."""
        return sum(self.widths) + 2 * self.quiet

    @property
    def modules(self) -> float:
        """The whole picture with its quiet zones, in narrow bars."""
        return self.width / _HALVES

    @property
    def edges(self) -> list[tuple[int, int]]:
        """Where each bar begins and how wide it is, in half narrow bars."""
        found, at = [], self.quiet
        for place, width in enumerate(self.widths):
            if place % 2 == 0:
                found.append((at, width))
            at += width
        return found


CardCode = Bars | QrMatrix


def card_code(card: CardNumber) -> CardCode:
    """The code of ``card`` in the first of its symbologies (`CardNumber.symbologies`).

    The same number always gives the same code; none is kept. Raises PassRefusal CARD_FORMAT for a number that
    cannot be drawn, which `CardNumber` has ruled out.
    """
    symbology = shown_symbology(card)
    if symbology is Symbology.QR:
        return link_matrix(card.text)
    text = card.text
    if symbology is Symbology.CODABAR:
        text = _CODABAR_START + text + _CODABAR_STOP
    try:
        made = zxingcpp.create_barcode(text, _FORMATS[symbology])
    except ValueError as fault:
        raise PassRefusal("CARD_FORMAT", scheme=card.scheme or "-") from fault
    return Bars(symbology, _half_widths(symbology, _runs(made)))


def shown_symbology(card: CardNumber) -> Symbology:
    """The symbology in which print and pages draw ``card``."""
    return card.symbologies[0]


def card_code_svg(card: CardNumber, *, upright: bool = False) -> str:
    """The code with its quiet zone as SVG, light ground included; ``upright`` turns bars by a quarter.

    Bars may be stretched to any height; a square code keeps its shape.
    Raises as `card_code` does.
    """
    code = card_code(card)
    if isinstance(code, QrMatrix):
        return matrix_svg(code)
    width, height = code.width, _height(code)
    if upright:
        path = "".join(f"M0 {at}h{height}v{wide}h-{height}z" for at, wide in code.edges)
        width, height = height, width
    else:
        path = "".join(f"M{at} 0h{wide}v{height}h-{wide}z" for at, wide in code.edges)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" preserveAspectRatio="none">'
        f'<path fill="#fff" d="M0 0h{width}v{height}h-{width}z"/><path d="{path}"/></svg>'
    )


def card_code_png(card: CardNumber, *, half_px: int = 2, module_px: int = 8) -> bytes:
    """The code with its quiet zone as a black and white PNG.

    A narrow bar is 2 · ``half_px`` pixels wide, a module of a QR code ``module_px``. Raises as `card_code` does.
    """
    code = card_code(card)
    if isinstance(code, QrMatrix):
        return matrix_png(code, module_px)
    row = bytearray(b"\xff" * code.width)
    for at, wide in code.edges:
        row[at : at + wide] = bytes(wide)
    image = Image.frombytes("L", (code.width, 1), bytes(row)).convert("1")
    image = image.resize((code.width * half_px, _height(code) * half_px), Image.Resampling.NEAREST)
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=6)
    return file.getvalue()


def _height(code: Bars) -> int:
    return round(code.width * _HEIGHT)


def _runs(made: zxingcpp.Barcode) -> list[int]:
    """The widths of bars and spaces in turn, in narrow bars: the first row of the picture at one pixel a bar."""
    picture = made.to_image(scale=1, add_quiet_zones=False)
    # A buffer of one byte a pixel, which the stubs of the module do not say.
    row = bytes(picture)[: picture.shape[1]]  # type: ignore[call-overload]
    return [sum(1 for _ in run) for _, run in groupby(row.strip(b"\xff"))]


def _half_widths(symbology: Symbology, runs: Sequence[int]) -> tuple[int, ...]:
    if symbology in (Symbology.CODABAR, Symbology.CODE_39):
        return tuple(_HALVES if run == 1 else _WIDE for run in runs)
    return tuple(_HALVES * run for run in runs)
