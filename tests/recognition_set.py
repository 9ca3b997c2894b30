"""Pictures as cameras take them of seals: fourteen kinds of trouble, each from none to more than a reader can take.

`frames` gives the same bytes each time: keys, signatures and noise come from the seed. The seals are real ones of
a parking permit, 1280 x 720 pixels, 8 bit grey.
"""

from __future__ import annotations

import io
import math
import random
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from keys import es256
from keys.identity import kid_of
from passes.qr import qr_png
from passes.seal import Sealer
from tests.trust_factory import permit

WIDTH, HEIGHT = 1280, 720
PER_KIND = 12
_SEED = 20261127
_ES256 = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
Matrix = tuple[float, float, float, float, float, float, float, float, float]


@dataclass(frozen=True, slots=True)
class Frame:
    """A picture of one seal: ``severity`` 0 (none) to 1 (the worst), ``grey`` row by row, ``text`` the truth."""

    kind: str
    severity: float
    grey: bytes
    text: str

    @property
    def picture(self) -> Image.Image:
        return Image.frombytes("L", (WIDTH, HEIGHT), self.grey)


class _SeededKey:
    def __init__(self, number: int) -> None:
        self.private = ec.derive_private_key(number, ec.SECP256R1())
        self.kid = kid_of(self.private.public_key())

    def sign(self, data: bytes) -> bytes:
        return es256.raw_from_der(self.private.sign(data, _ES256))


def _times(a: Matrix, b: Matrix) -> Matrix:
    rows, columns = (a[0:3], a[3:6], a[6:9]), (b[0::3], b[1::3], b[2::3])
    return tuple(sum(x * y for x, y in zip(row, column, strict=True)) for row in rows for column in columns)  # type: ignore[return-value]


def _moved(x: float, y: float) -> Matrix:
    return (1, 0, x, 0, 1, y, 0, 0, 1)


def _view(
    code: Image.Image, *, scale: float = 1.0, turn: float = 0.0, tilt: float = 0.0, paper: int = 235
) -> Image.Image:
    """The code on paper before the camera: ``turn`` and ``tilt`` (about the upright axis) in degrees.

    A pinhole camera sees the point (x, y) of a tilted plane at (d c x, d y) / (d + s x); what is written here is
    the way back, from the pixel to the plane.
    """
    far, sine, cosine = 900.0, math.sin(math.radians(tilt)), math.cos(math.radians(tilt))
    angle = math.radians(turn)
    tilted: Matrix = (far, 0, 0, 0, far * cosine, 0, -sine, 0, far * cosine)
    turned: Matrix = (
        math.cos(angle) / scale, math.sin(angle) / scale, 0,
        -math.sin(angle) / scale, math.cos(angle) / scale, 0,
        0, 0, 1,
    )  # fmt: skip
    back = _times(
        _moved(code.width / 2, code.height / 2),
        _times(turned, _times(tilted, _moved(-WIDTH / 2, -HEIGHT / 2))),
    )
    coefficients = [value / back[8] for value in back[:8]]
    return code.transform(
        (WIDTH, HEIGHT), Image.Transform.PERSPECTIVE, coefficients, Image.Resampling.BICUBIC, fillcolor=paper
    )


def _rolled(code: Image.Image, bend: float) -> Image.Image:
    """The code on an upright cylinder that shows ``bend`` degrees of its round to either side, seen from above."""
    half = math.radians(max(bend, 0.1))
    radius = code.width / 2 / half
    shown = 2 * radius * math.sin(half)
    left, step = (WIDTH - shown) / 2, 8
    mesh = []
    for x in range(int(left), int(left + shown), step):
        edges = []
        for side in (x, x + step):
            sine = max(-1.0, min(1.0, (side - WIDTH / 2) / radius))
            edges.append(
                (code.width / 2 + radius * math.asin(sine), radius * 0.25 * (1 - math.cos(math.asin(sine))))
            )
        (near, near_drop), (next_, next_drop) = edges
        top, bottom = -(HEIGHT - code.height) / 2, code.height + (HEIGHT - code.height) / 2
        quad = (
            near,
            top + near_drop,
            near,
            bottom + near_drop,
            next_,
            bottom + next_drop,
            next_,
            top + next_drop,
        )
        mesh.append(((x, 0, x + step, HEIGHT), quad))
    return code.transform(
        (WIDTH, HEIGHT), Image.Transform.MESH, mesh, Image.Resampling.BICUBIC, fillcolor=235
    )


def _levels(picture: Image.Image, black: float, white: float) -> Image.Image:
    return picture.point([round(black + (white - black) * value / 255) for value in range(256)])


def _noise(chance: random.Random, strength: float) -> Image.Image:
    """Nearly normal noise around 128; ``strength`` is its standard deviation in grey levels."""
    one, two = (Image.frombytes("L", (WIDTH, HEIGHT), chance.randbytes(WIDTH * HEIGHT)) for _ in range(2))
    # The mean of two even distributions of 0 to 255 deviates by 52.
    return ImageChops.blend(one, two, 0.5).point(
        [max(0, min(255, round(128 + (value - 127.5) * strength / 52))) for value in range(256)]
    )


def _noisy(picture: Image.Image, chance: random.Random, strength: float) -> Image.Image:
    return ImageChops.add(picture, _noise(chance, strength), offset=-128)


def _glare(picture: Image.Image, chance: random.Random, strength: float) -> Image.Image:
    spot = Image.new("L", (WIDTH // 8, HEIGHT // 8))
    x, y = WIDTH / 16 + chance.uniform(-12, 12), HEIGHT / 16 + chance.uniform(-12, 12)
    radius = 4 + 22 * strength
    ImageDraw.Draw(spot).ellipse((x - radius, y - radius * 0.7, x + radius, y + radius * 0.7), fill=255)
    return ImageChops.add(picture, spot.filter(ImageFilter.GaussianBlur(3)).resize((WIDTH, HEIGHT)))


def _shadow(picture: Image.Image, chance: random.Random, strength: float) -> Image.Image:
    light = Image.new("L", (WIDTH // 8, HEIGHT // 8), 255)
    x = WIDTH / 16 + chance.uniform(-15, 15)
    corners = [(x - 30, 0), (WIDTH / 8, 0), (WIDTH / 8, HEIGHT / 8), (x + 30, HEIGHT / 8)]
    ImageDraw.Draw(light).polygon(corners, fill=round(255 * (1 - 0.93 * strength)))
    return ImageChops.multiply(picture, light.filter(ImageFilter.GaussianBlur(1)).resize((WIDTH, HEIGHT)))


def _jpeg(picture: Image.Image, quality: int) -> Image.Image:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return Image.open(io.BytesIO(file.getvalue())).convert("L")


def _small(code: Callable[[int], Image.Image], chance: random.Random, strength: float) -> Image.Image:
    # Area average, as a sensor does it: 3.2 down to 0.9 pixels a module.
    return _view(
        code(4).resize((round(code(1).width * (3.2 - 2.3 * strength)),) * 2, Image.Resampling.BOX),
        turn=chance.uniform(-6, 6),
    )


Make = Callable[[Callable[[int], Image.Image], random.Random, float], Image.Image]
KINDS: dict[str, Make] = {
    "clean": lambda code, chance, hard: _view(code(6), turn=chance.uniform(-4, 4), scale=1 - 0.4 * hard),
    "blur": lambda code, chance, hard: _view(code(5), turn=chance.uniform(-6, 6)).filter(
        ImageFilter.GaussianBlur(0.5 + 4 * hard)
    ),
    "motion": lambda code, chance, hard: _view(code(5), turn=chance.uniform(0, 90)).filter(
        ImageFilter.BoxBlur((0.5 + 7 * hard, 0))
    ),
    "rotation": lambda code, _, hard: _view(code(5), turn=3 + 354 * hard).filter(ImageFilter.GaussianBlur(1)),
    "perspective": lambda code, chance, hard: _view(
        code(6), turn=chance.uniform(-15, 15), tilt=10 + 65 * hard
    ),
    "glare": lambda code, chance, hard: _glare(_view(code(5), turn=chance.uniform(-6, 6)), chance, hard),
    "contrast": lambda code, chance, hard: _noisy(
        _levels(_view(code(5)), 120 - 60 * (1 - hard), 132 + 60 * (1 - hard)), chance, 3
    ),
    "small": _small,
    "noise": lambda code, chance, hard: _noisy(_levels(_view(code(5)), 40, 210), chance, 10 + 110 * hard),
    "dark": lambda code, chance, hard: _noisy(
        _levels(_view(code(5)), 6, 14 + 60 * (1 - hard)), chance, 2 + 4 * hard
    ),
    "jpeg": lambda code, chance, hard: _jpeg(
        _view(code(3), turn=chance.uniform(-10, 10)), max(1, round(60 * (1 - hard)))
    ),
    "curved": lambda code, _, hard: _rolled(code(6), 15 + 60 * hard),
    "inverted": lambda code, chance, hard: ImageChops.invert(
        _view(code(5), turn=chance.uniform(-6, 6)).filter(ImageFilter.GaussianBlur(0.5 + 2.5 * hard))
    ),
    "shadow": lambda code, chance, hard: _noisy(
        _shadow(_view(code(5), turn=chance.uniform(-6, 6)), chance, hard), chance, 3
    ),
}


def frames(kinds: Collection[str] = tuple(KINDS)) -> Iterator[Frame]:
    """The frames of ``kinds``, kind by kind, from easy to hard."""
    key = _SeededKey(_SEED)
    sealer = Sealer(key, key.kid)
    for place, (kind, make) in enumerate(KINDS.items()):
        if kind not in kinds:
            continue
        for step in range(PER_KIND):
            index = place * PER_KIND + step
            text = sealer.seal(permit(number=f"BP-2026-{index:06d}", status_index=index))

            def code(module_px: int, text: str = text) -> Image.Image:
                return _levels(
                    Image.open(io.BytesIO(qr_png(text, module_px=module_px))).convert("L"), 20, 235
                )

            severity = step / (PER_KIND - 1)
            picture = make(code, random.Random(_SEED + index), severity)
            yield Frame(kind, severity, picture.tobytes(), text)
