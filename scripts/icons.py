"""Draw the icons of the verifier web app, a tick within the corners of a camera's frame: `python scripts/icons.py`.

Their names and sizes are those in `manifest.webmanifest` and `index.html`. The same Pillow makes the same bytes.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from PIL import Image, ImageDraw

FOLDER: Final = Path(__file__).resolve().parent.parent / "verifier" / "web" / "icons"
GROUND, WHITE, YELLOW = "#0b3a5b", "#ffffff", "#ffc72c"
# Each with its width in pixels and the part of it that the frame takes. Of a maskable icon no more may be seen than
# the centre circle of 80 %: up to a part of 0.8 / √2 the corners of the frame are within it.
ICONS: Final = {
    "apple-touch-icon.png": (180, 0.58),
    "icon-192.png": (192, 0.615),
    "icon-512.png": (512, 0.615),
    "icon-maskable-512.png": (512, 0.435),
}
# The middle of the lines and their thickness, measured from the centre in widths of the frame.
CORNER, CORNER_LINE = ((-0.461, -0.206), (-0.461, -0.461), (-0.206, -0.461)), 0.077
TICK, TICK_LINE = ((-0.249, 0.027), (-0.07, 0.2), (0.258, -0.175)), 0.12
# Drawn that many times as large and then made smaller: Pillow draws hard edges.
FINER: Final = 8


def main() -> int:
    """Write all icons anew."""
    for name, (width, part) in ICONS.items():
        icon(width, part).save(FOLDER / name, optimize=True)
    return 0


def icon(width: int, part: float) -> Image.Image:
    """A square picture, ``width`` pixels wide, whose frame takes ``part`` of that."""
    picture = Image.new("RGB", (width * FINER, width * FINER), GROUND)
    unit = picture.width * part
    for across, down in ((1, 1), (-1, 1), (1, -1), (-1, -1)):
        _stroke(picture, [(x * across, y * down) for x, y in CORNER], CORNER_LINE, WHITE, unit)
    _stroke(picture, TICK, TICK_LINE, YELLOW, unit)
    return picture.resize((width, width), Image.Resampling.BOX)


def _stroke(
    picture: Image.Image, points: Sequence[tuple[float, float]], line: float, colour: str, unit: float
) -> None:
    """A line through ``points`` that is round at its ends and where it bends."""
    pen = ImageDraw.Draw(picture)
    centre, thickness = picture.width / 2, line * unit
    placed = [(centre + x * unit, centre + y * unit) for x, y in points]
    pen.line(placed, fill=colour, width=round(thickness))
    for place in placed:
        pen.circle(place, thickness / 2, fill=colour)


if __name__ == "__main__":
    sys.exit(main())
