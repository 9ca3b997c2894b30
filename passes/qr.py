"""QR codes of seals and other texts of the QR alphanumeric alphabet, error correction level M.

The text goes in as one alphanumeric segment. `qrcode` would cut a long run of digits out into a segment of
its own, and a seal is random enough to have one now and then; one segment keeps the size predictable.

The mask is fixed instead of searched for. ISO/IEC 18004 7.8 lets an encoder choose the mask that looks best;
every reader takes any. The search costs five times the rest (9.8 ms against 2.1 ms for a permit), and over
150 blurred, noisy and tilted pictures at each of three sizes zxing-cpp read fixed masks as often as the best.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import lru_cache

from PIL import Image
from qrcode import QRCode
from qrcode.constants import ERROR_CORRECT_M
from qrcode.util import MODE_8BIT_BYTE, MODE_ALPHA_NUM, QRData

from passes.base45 import ALPHABET
from passes.errors import PassRefusal

# ISO/IEC 18004 9.1: four light modules on every side.
QUIET_ZONE = 4

_MASK = 3
# Alphanumeric characters in version 40-M (ISO/IEC 18004 table 7).
_LONGEST = 3391
# Far more than an address of ours has, and still a symbol that a phone reads from a screen.
_LONGEST_LINK = 1000
_ALPHABET = frozenset(ALPHABET.decode())


@dataclass(frozen=True, slots=True)
class QrMatrix:
    """A QR symbol without its quiet zone: ``rows`` of modules, 1 dark and 0 light."""

    rows: tuple[bytes, ...]

    @property
    def modules(self) -> int:
        """Modules along one side."""
        return len(self.rows)

    @property
    def version(self) -> int:
        """The symbol version, 1 to 40 (ISO/IEC 18004 5.3.1)."""
        return (self.modules - 17) // 4


@lru_cache(maxsize=64)
def qr_matrix(text: str) -> QrMatrix:
    """The symbol for ``text`` at level M; the same text always gives the same symbol.

    Raises PassRefusal QR_ALPHABET for text outside the QR alphanumeric alphabet, which a seal never is,
    and QR_TOO_LONG beyond version 40.
    """
    if not text or not _ALPHABET.issuperset(text):
        raise PassRefusal("QR_ALPHABET")
    if len(text) > _LONGEST:
        raise PassRefusal("QR_TOO_LONG", length=len(text))
    code = QRCode(error_correction=ERROR_CORRECT_M, border=QUIET_ZONE, mask_pattern=_MASK)
    code.add_data(QRData(text.encode("ascii"), mode=MODE_ALPHA_NUM, check_data=False))
    code.make()
    return QrMatrix(tuple(bytes(map(bool, row)) for row in code.modules))


def qr_version(text: str) -> int:
    """The version (1 to 40) of the symbol for ``text`` at level M. Raises as `qr_matrix` does."""
    return qr_matrix(text).version


def qr_png(text: str, *, module_px: int = 8) -> bytes:
    """The symbol with its quiet zone as a black and white PNG, 1 bit, ``module_px`` pixels a module.

    The bytes depend on nothing but text and size. Raises as `qr_matrix` does.
    """
    return matrix_png(qr_matrix(text), module_px)


def link_png(address: str, *, module_px: int = 8) -> bytes:
    """A web address as `qr_png` draws it: in byte mode, since an address has small letters.

    Nothing is kept: an address may hold a secret. Raises as `link_matrix` does.
    """
    return matrix_png(link_matrix(address), module_px)


def link_matrix(address: str) -> QrMatrix:
    """The symbol for a web address, in byte mode.

    Raises PassRefusal QR_TOO_LONG beyond 1000 characters, and UnicodeEncodeError for what is no address.
    """
    if len(address) > _LONGEST_LINK:
        raise PassRefusal("QR_TOO_LONG", length=len(address))
    code = QRCode(error_correction=ERROR_CORRECT_M, border=QUIET_ZONE, mask_pattern=_MASK)
    code.add_data(QRData(address.encode("ascii"), mode=MODE_8BIT_BYTE))
    code.make()
    return QrMatrix(tuple(bytes(map(bool, row)) for row in code.modules))


def matrix_png(matrix: QrMatrix, module_px: int) -> bytes:
    """A symbol with its quiet zone as `qr_png` draws it."""
    side = matrix.modules + 2 * QUIET_ZONE
    grey = bytearray(b"\xff" * (side * side))
    for y, row in enumerate(matrix.rows, start=QUIET_ZONE):
        start = y * side + QUIET_ZONE
        grey[start : start + matrix.modules] = row.translate(_TO_GREY)
    image = Image.frombytes("L", (side, side), bytes(grey)).convert("1")
    image = image.resize((side * module_px, side * module_px), Image.Resampling.NEAREST)
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=6)
    return file.getvalue()


def qr_svg(text: str) -> str:
    """The symbol with its quiet zone as SVG; one unit is one module, light ground included.

    Raises as `qr_matrix` does.
    """
    return matrix_svg(qr_matrix(text))


def matrix_svg(matrix: QrMatrix) -> str:
    """A symbol with its quiet zone as `qr_svg` draws it."""
    side = matrix.modules + 2 * QUIET_ZONE
    path = "".join(_dark_runs(row, y) for y, row in enumerate(matrix.rows, start=QUIET_ZONE))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {side} {side}" width="{side}" height="{side}" '
        f'shape-rendering="crispEdges"><path fill="#fff" d="M0 0h{side}v{side}h-{side}z"/>'
        f'<path d="{path}"/></svg>'
    )


_TO_GREY = bytes.maketrans(b"\x00\x01", b"\xff\x00")


def _dark_runs(row: bytes, y: int) -> str:
    runs: list[str] = []
    start = row.find(1)
    while start >= 0:
        end = row.find(0, start)
        length = (len(row) if end < 0 else end) - start
        runs.append(f"M{start + QUIET_ZONE} {y}h{length}v1h-{length}z")
        start = row.find(1, start + length)
    return "".join(runs)
