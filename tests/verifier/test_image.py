import io
import random
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from passes.qr import qr_png
from tests.trust_factory import City
from verifier.image import ImageRefused, codes_in, read_codes

TEXT = "SP1:" + "0123456789ABCDEFGHIJ" * 11


def picture(mode: str = "L", size: tuple[int, int] = (1000, 1000), text: str = TEXT) -> Image.Image:
    """A code in the middle of a light picture of ``size``."""
    whole = Image.new("L", size, 230)
    code = Image.open(io.BytesIO(qr_png(text, module_px=8))).convert("L")
    whole.paste(code, ((size[0] - code.width) // 2, (size[1] - code.height) // 2))
    return whole.convert(mode)


def saved(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_png_of_every_kind(mode: str) -> None:
    image = picture("I").point(lambda value: value * 256).convert("I;16") if mode == "I;16" else picture(mode)
    assert codes_in(saved(image)) == [TEXT]


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P"])
@pytest.mark.parametrize("size", [(3001, 3000), (4001, 3003), (701, 9999)])
def test_large_png_are_read_strip_by_strip(mode: str, size: tuple[int, int]) -> None:
    assert codes_in(saved(picture(mode, size), compress_level=1)) == [TEXT]


def test_strips_show_the_same_picture_as_the_whole() -> None:
    noise = Image.frombytes("RGB", (701, 1999), random.Random(5).randbytes(701 * 1999 * 3)).resize(
        (1402, 1999)
    )
    from verifier.pictures import grey_picture

    for image in (
        noise,
        noise.quantize(64, dither=Image.Dither.NONE),
        noise.convert("RGBA"),
        noise.convert("LA"),
    ):
        got = grey_picture(io.BytesIO(saved(image, compress_level=3)))
        assert got.tobytes() == image.convert("L").tobytes()


def test_transparent_ground_counts_as_white() -> None:
    code = Image.open(io.BytesIO(qr_png(TEXT, module_px=8))).convert("L")
    clear = Image.new("RGBA", code.size, (0, 0, 0, 0))
    clear.paste((0, 0, 0, 255), mask=code.point(lambda value: 255 - value))
    for kind in ("PNG", "WEBP"):
        assert codes_in(saved(clear, kind, **({"lossless": True} if kind == "WEBP" else {}))) == [TEXT]


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"optimize": True, "quality": 40}])
@pytest.mark.parametrize(("mode", "size"), [("L", (1000, 1000)), ("RGB", (1000, 1000)), ("CMYK", (1000, 1000)),
                                            ("RGB", (4000, 3000))])  # fmt: skip
def test_jpeg_of_every_kind(mode: str, size: tuple[int, int], options: dict[str, object]) -> None:
    assert codes_in(saved(picture(mode, size), "JPEG", **options)) == [TEXT]


def test_a_jpeg_with_metadata_is_read() -> None:
    exif = Image.Exif()
    exif[0x0110] = "phone" * 1000
    options = {"exif": exif, "comment": b"x" * 60_000, "icc_profile": b"p" * 200_000}
    assert codes_in(saved(picture("RGB"), "JPEG", **options)) == [TEXT]


def test_webp() -> None:
    for options in ({"lossless": True}, {"quality": 80}):
        assert codes_in(saved(picture("RGB"), "WEBP", **options)) == [TEXT]


def test_each_code_is_given_once_and_all_are_given() -> None:
    whole = Image.new("L", (1400, 1400), 255)
    for place, text in enumerate([TEXT, TEXT, "https://look-alike.example/"]):
        tile = picture("L", (700, 700), TEXT) if place < 2 else _foreign(text)
        whole.paste(tile, (700 * (place % 2), 700 * (place // 2)))
    assert sorted(codes_in(saved(whole))) == sorted([TEXT, "https://look-alike.example/"])


def _foreign(text: str) -> Image.Image:
    import qrcode

    return qrcode.make(text).get_image().convert("L").resize((600, 600))


def test_a_picture_without_a_code_has_none() -> None:
    assert codes_in(saved(Image.new("L", (500, 500), 128))) == []


def refused(data: bytes) -> str:
    with pytest.raises(ImageRefused) as refusal:
        codes_in(data)
    assert refusal.value.sentence("de")
    assert refusal.value.sentence("en")
    return refusal.value.code


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(
    width: int, height: int, colour: int = 0, data: bytes = b"", depth: int = 8, extra: bytes = b""
) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    ending = chunk(b"IDAT", data) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + ending


BOMB = zlib.compress(bytes(200_000_000), 9)


@pytest.mark.parametrize(
    "data",
    [
        png(5001, 5000, data=BOMB),
        png(60_000, 60_000, 2, BOMB),
        png(1 << 31, 1 << 31, 6, BOMB),
        png(5000, 5000, 6, BOMB, depth=16),
    ],
)
def test_large_pictures_are_refused_by_their_header(data: bytes) -> None:
    assert refused(data) == "IMAGE_TOO_LARGE"


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_large_jpeg_and_webp_are_refused_by_their_header(kind: str) -> None:
    small = saved(Image.new("L", (64, 64), 7), kind)
    if kind == "JPEG":
        at = small.index(b"\xff\xc0") + 5
        large = small[:at] + struct.pack(">HH", 65_000, 65_000) + small[at + 4 :]
    else:
        at = small.index(b"\x9d\x01\x2a") + 3
        large = small[:at] + struct.pack("<HH", 16_383, 16_383) + small[at + 4 :]
    assert refused(large) == "IMAGE_TOO_LARGE"


def test_more_than_twenty_megabytes_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.png"
    with path.open("wb") as file:
        file.write(saved(picture()))
        file.truncate(20 * 1024 * 1024 + 1)
    with pytest.raises(ImageRefused) as refusal:
        read_codes(path)
    assert refusal.value.code == "IMAGE_FILE_TOO_LARGE"
    assert "20 MB" in refusal.value.sentence("de")
    assert "20 MB" in refusal.value.sentence("en")


@pytest.mark.parametrize(("width", "height"), [(65_536, 15), (15, 65_536), (1, 25_000_000)])
def test_a_strip_longer_than_the_reader_takes_is_refused(width: int, height: int) -> None:
    assert refused(png(width, height, data=BOMB)) == "IMAGE_UNREADABLE"


def test_data_beyond_the_picture_is_not_inflated() -> None:
    assert codes_in(png(100, 100, data=BOMB)) == []


def test_compressed_text_is_not_inflated() -> None:
    text = chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(1_000_000), 9)) * 60
    assert codes_in(png(100, 100, data=zlib.compress(bytes(10_100)), extra=text)) == []


WHOLE = {kind: saved(picture("RGB", (700, 700)), kind) for kind in ("PNG", "JPEG", "WEBP")}


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("part", [0.0, 0.01, 0.1, 0.5, 0.9])
def test_truncated_pictures_are_refused(kind: str, part: float) -> None:
    assert refused(WHOLE[kind][: int(len(WHOLE[kind]) * part)]) == "IMAGE_UNREADABLE"


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["PNG", "JPEG", "WEBP"]), st.integers(0, 60_000), st.binary(min_size=1, max_size=8))
def test_damaged_pictures_are_read_or_refused(kind: str, at: int, damage: bytes) -> None:
    data = bytearray(WHOLE[kind])
    at %= len(data)
    data[at : at + len(damage)] = damage
    try:
        codes = codes_in(bytes(data))
    except ImageRefused:
        return
    assert codes in ([], [TEXT])


# No deadline: the first picture loads the reader, and machines are shared.
@settings(max_examples=60, deadline=None)
@given(
    st.binary(max_size=200),
    st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF\0\0\0\0WEBP"]),
)
def test_any_bytes_are_refused(data: bytes, start: bytes) -> None:
    assert refused(start + data) in ("IMAGE_UNREADABLE", "IMAGE_TOO_LARGE")


def test_too_many_scans_are_refused() -> None:
    data = saved(picture("RGB"), "JPEG", progressive=True)
    scan = data[data.rindex(b"\xff\xda") : -2]
    assert refused(data[:-2] + scan * 200 + data[-2:]) == "IMAGE_UNREADABLE"


@pytest.mark.parametrize("fill", [b"\xff\xdb\0\2", b"\xff\xfe\0\2", b"\xff\xfe\0\4xx", b"\xff"])
def test_a_jpeg_of_many_header_segments_is_refused(fill: bytes) -> None:
    small = saved(picture("RGB", (700, 700)), "JPEG")
    assert codes_in(small[:2] + b"\xff\xfe\0\4xx" * 100 + small[2:]) == [TEXT]
    # Quadratic work on these would not end within the time a test has.
    assert refused(small[:2] + fill * (16_000_000 // len(fill)) + small[2:]) == "IMAGE_UNREADABLE"


@pytest.mark.parametrize("kind", [b"PLTE", b"tRNS"])
def test_a_png_with_a_second_palette_is_refused(kind: bytes) -> None:
    one = chunk(kind, bytes(768 if kind == b"PLTE" else 256))
    palette = chunk(b"PLTE", bytes(768)) if kind == b"tRNS" else b""
    data = zlib.compress(bytes(10_100))
    assert codes_in(png(100, 100, 3, data, extra=palette + one)) == []
    assert refused(png(100, 100, 3, data, extra=palette + one + one)) == "IMAGE_UNREADABLE"


@pytest.mark.parametrize("mode", ["1", "L", "RGB"])
def test_a_png_in_many_chunks_is_read_and_in_too_many_refused(mode: str) -> None:
    whole = saved(picture(mode, (800, 800)))
    assert codes_in(_cut(whole, 1 + len(whole) // 15_000)) == [TEXT]
    assert refused(whole[:33] + chunk(b"tEXt", b"k\0v") * 20_000 + whole[33:]) == "IMAGE_UNREADABLE"


def _corner_marks(side: int) -> Image.Image:
    """Nothing but corner marks of QR codes: the reader tries them all."""
    rows = ("#######.", "#.....#.", "#.###.#.", "#.###.#.", "#.###.#.", "#.....#.", "#######.", "........")
    tile = Image.frombytes("L", (8, 8), "".join(rows).encode()).point(
        lambda value: 0 if value == ord("#") else 255
    )
    row, whole = Image.new("L", (side, 8)), Image.new("L", (side, side))
    for at in range(0, side, 8):
        row.paste(tile, (at, 0))
    for at in range(0, side, 8):
        whole.paste(row, (0, at))
    return whole


def test_a_picture_that_keeps_the_reader_busy_is_given_up(tmp_path: Path) -> None:
    data = saved(_corner_marks(2990))
    assert refused(data) == "IMAGE_TOO_SLOW"
    path = tmp_path / "marks.png"
    path.write_bytes(data)
    with pytest.raises(ImageRefused, match="IMAGE_TOO_SLOW"):
        read_codes(path)


def test_a_small_code_on_a_large_photo_is_read() -> None:
    code = picture("L", (500, 500)).crop((18, 18, 482, 482)).resize((250, 250), Image.Resampling.LANCZOS)
    photo = _noise("L", 400, 300).resize((4000, 3000), Image.Resampling.BICUBIC)
    photo.paste(code.rotate(7, Image.Resampling.BICUBIC, expand=True, fillcolor=230), (1801, 1203))
    photo = photo.filter(ImageFilter.GaussianBlur(0.7))
    assert codes_in(saved(photo, "JPEG", quality=85)) == [TEXT]


def test_a_reader_that_crashes_takes_nothing_with_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "zxingcpp.py").write_text("import os\nos.abort()\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert refused(saved(picture("L", (2000, 2000)))) == "IMAGE_UNREADABLE"


def _noise(mode: str, width: int, height: int) -> Image.Image:
    channels = len(Image.new(mode, (1, 1)).getbands())
    return Image.frombytes(mode, (width, height), random.Random(1).randbytes(width * height * channels))


def _app(data: bytes) -> bytes:
    segment = b"\xff\xe1" + struct.pack(">H", 65_502) + b"Exif\0\0" + bytes(65_494)
    return data[:2] + segment * 190 + data[2:]


def _cut(data: bytes, size: int) -> bytes:
    """The PNG with its image data cut into chunks of ``size`` bytes."""
    cut, at = bytearray(data[:8]), 8
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        content = data[at + 8 : at + 8 + length]
        step = size if kind == b"IDAT" else max(length, 1)
        for start in range(0, max(length, 1), step):
            cut += chunk(kind, content[start : start + step])
        at += 12 + length
    return bytes(cut)


def _interlaced(width: int, height: int, data: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 1)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


HEAVY: dict[str, Callable[[], bytes]] = {
    "24 megapixels grey PNG": lambda: saved(picture("L", (6000, 4000)), compress_level=1),
    "19 megabytes grey PNG": lambda: saved(_noise("L", 4400, 4400), compress_level=1),
    "12 megapixels RGB PNG": lambda: saved(picture("RGB", (4000, 3000)), compress_level=1),
    "25 megapixels RGBA PNG": lambda: saved(picture("RGBA", (5000, 5000)), compress_level=1),
    "18 megabytes JPEG": lambda: saved(_noise("RGB", 5000, 4900), "JPEG", quality=80),
    "12 megapixels progressive JPEG": lambda: saved(picture("RGB", (4000, 3000)), "JPEG", progressive=True),
    "13 megabytes progressive JPEG": lambda: saved(
        _noise("RGB", 4000, 3000), "JPEG", quality=88, progressive=True
    ),
    "25 megapixels CMYK JPEG": lambda: saved(picture("CMYK", (5000, 5000)), "JPEG"),
    "12 megabytes of metadata": lambda: _app(saved(picture("RGB"), "JPEG")),
    "2 megapixels WebP": lambda: saved(picture("RGB", (1920, 1080)), "WEBP", lossless=True, method=0),
    "5 megapixels WebP": lambda: saved(picture("RGB", (2500, 2000)), "WEBP", lossless=True, method=0),
    "16 bits PNG": lambda: saved(picture("I", (3000, 1400)).convert("I;16"), compress_level=1),
    "million one-byte chunks": lambda: _cut(
        _interlaced(1000, 1000, random.Random(2).randbytes(1_000_000)), 1
    ),
    "half a million palettes": lambda: png(100, 100, 3, extra=chunk(b"PLTE", bytes(3)) * 500_000),
    "million transparencies": lambda: png(100, 100, 0, depth=16, extra=chunk(b"tRNS", bytes(2)) * 1_000_000),
    "16 bits PNG in 19 000 chunks": lambda: _cut(
        png(900, 900, 2, random.Random(2).randbytes(8_000_000), 16), 421
    ),
    "megabytes of empty segments": lambda: b"\xff\xd8" + b"\xff\xdb\0\2" * 4_000_000,
    "compressed text": lambda: png(
        9, 9, extra=chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(1_000_000))) * 63
    ),
}
MEASURE = """
import sys
import zxingcpp, PIL.Image, PIL.ImageFile, PIL.PngImagePlugin, PIL.JpegImagePlugin, PIL.WebPImagePlugin
from pathlib import Path
import verifier.cli, verifier.pictures
def peak():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
start = peak()
# Here, not in a process of its own, whose peak is harder to see.
verifier.image._codes_of_process = verifier.image.codes_at_once
verifier.cli.main(["verify", "--trust", sys.argv[1], "--at", "2026-11-20T12:00", sys.argv[2]])
print("grown", peak() - start)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read from /proc")
@pytest.mark.parametrize("name", HEAVY)
def test_no_picture_takes_more_than_50_megabytes(tmp_path: Path, name: str) -> None:
    city = City(tmp_path / "trust").publish()
    path = tmp_path / "picture"
    path.write_bytes(HEAVY[name]())
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(city.folder), str(path)],
        capture_output=True,
        text=True,
        check=True,
    )
    grown = int(done.stdout.rsplit("grown", 1)[1])
    assert grown * 1024 < 50_000_000
