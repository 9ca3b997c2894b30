"""Decoding pictures to grey within bounded memory: PNG, JPEG and WebP of at most 25 megapixels.

Sizes are judged by the file's own header before a pixel is decoded. Metadata never reaches the decoder: a
few kilobytes of it can unpack to gigabytes. A file in more pieces than any program writes is refused. Large
pictures come out at half size, which leaves a code on a photo enough pixels and the reader a quarter of the
work.
"""

from __future__ import annotations

import bisect
import io
import itertools
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import suppress
from typing import BinaryIO

from PIL import Image

from verifier.image import MAX_PIXELS, ImageRefused

MAX_FILE_BYTES = 20 * 1024 * 1024
# Above this a picture is halved: the code reader needs about three bytes a pixel.
_HALVED_FROM = 9_000_000
# What a decoder may hold at its peak, the file included.
_BUDGET = 40_000_000
_STRIP_BYTES = 1 << 20
_MAX_SIDE = 65_535

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
# Each scan of a progressive JPEG goes over the whole picture; cameras and editors write about ten.
_MAX_SCANS = 100
# Cameras write a handful of header segments; 5 MB of colour profile or maker's data would be 80 of them.
_MAX_SEGMENTS = 200
# Encoders cut image data every 4 or 8 KB: at most 5000 chunks in a file of 20 MB.
_MAX_CHUNKS = 20_000


def grey_picture(file: BinaryIO) -> Image.Image:
    """The picture in the seekable ``file`` in grey (mode ``L``), halved if it is large.

    Raises ImageRefused IMAGE_FILE_TOO_LARGE, IMAGE_TOO_LARGE or IMAGE_UNREADABLE.
    """
    check_file_size(file)
    file.seek(0)
    start = file.read(16)
    file.seek(0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if start.startswith(_PNG):
                return _png(file)
            if start.startswith(_JPEG):
                return _jpeg(file)
            return _webp(file.read())
    except ImageRefused:
        raise
    except Image.DecompressionBombError as fault:
        raise ImageRefused("IMAGE_TOO_LARGE", megapixels=f"> {MAX_PIXELS // 1_000_000}") from fault
    except Exception as fault:
        # Pillow raises many kinds of errors for broken files; to a reader they all mean the same.
        raise ImageRefused("IMAGE_UNREADABLE") from fault


def check_file_size(file: BinaryIO) -> int:
    """The size of the seekable ``file`` in bytes. Raises ImageRefused IMAGE_FILE_TOO_LARGE above 20 MB."""
    size = file.seek(0, io.SEEK_END)
    if size > MAX_FILE_BYTES:
        raise ImageRefused("IMAGE_FILE_TOO_LARGE", megabytes=MAX_FILE_BYTES >> 20)
    return size


def pixels_by_header(file: BinaryIO) -> int:
    """How many pixels the header of the seekable ``file`` claims. Raises ImageRefused IMAGE_UNREADABLE."""
    file.seek(0)
    start = file.read(32)
    with suppress(ValueError, IndexError, struct.error):
        if start.startswith(_PNG):
            width, height = struct.unpack_from(">II", start, 16)
            return int(width * height)
        if not start.startswith(_JPEG):
            width, height = _webp_size(start)
            return int(width * height)
        largest = 0
        for kind, begin, _ in _segments(file):
            if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):
                file.seek(begin + 5)
                height, width = struct.unpack(">HH", _exactly(file, 4))
                largest = max(largest, width * height)
        return largest
    raise ImageRefused("IMAGE_UNREADABLE")


def _check_size(width: int, height: int, peak_bytes: float) -> None:
    if width < 1 or height < 1:
        raise ValueError("no pixels")
    if width * height > MAX_PIXELS or peak_bytes > _BUDGET:
        raise ImageRefused("IMAGE_TOO_LARGE", megapixels=f"{width * height / 1e6:.1f}")
    if max(width, height) > _MAX_SIDE:
        raise ValueError("longer than the code reader takes")


def _finished(picture: Image.Image) -> Image.Image:
    """Grey, on white where it is transparent, and halved if it is large."""
    picture.load()
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        rgba = picture.convert("RGBA")
        picture = Image.new("RGBA", rgba.size, "white")
        picture.alpha_composite(rgba)
    if picture.mode != "L":
        picture = picture.convert("L")
    return picture.reduce(2) if picture.width * picture.height > _HALVED_FROM else picture


def _jpeg(file: BinaryIO) -> Image.Image:
    data = _without_metadata(file)
    picture = Image.open(data, formats=("JPEG",))
    width, height = picture.size
    pixels = width * height
    halved = pixels > _HALVED_FROM
    coefficients = 0.0
    if picture.info.get("progressive"):
        # All of them, two bytes each, are held until the last scan.
        layers: list[tuple[int, int, int, int]] = picture.layer  # type: ignore[attr-defined]
        full = max(layer[1] for layer in layers) * max(layer[2] for layer in layers)
        coefficients = 2.0 * pixels * sum(layer[1] * layer[2] for layer in layers) / full
    decoded = pixels / (4 if halved else 1) * (10 if picture.mode == "CMYK" else 1.1)
    _check_size(width, height, coefficients + decoded)
    picture.draft("L", (width // 2, height // 2) if halved else (width, height))
    return _finished(picture)


def _without_metadata(file: BinaryIO) -> io.BufferedReader:
    """A JPEG without comments and application data, of which only JFIF and Adobe's say how to decode."""
    end = file.seek(0, io.SEEK_END)
    parts = [(0, 2)]
    for kind, start, after in _segments(file):
        if kind == 0xDA:
            parts.append((start, end))
        elif not (0xE0 <= kind <= 0xEF or kind == 0xFE) or kind in (0xE0, 0xEE):
            parts.append((start, after))
    scans = 0
    while piece := file.read(_STRIP_BYTES):
        scans += piece.count(b"\xff\xda")
        if scans > _MAX_SCANS:
            raise ValueError("too many scans")
    return io.BufferedReader(_Parts(file, parts))


def _segments(file: BinaryIO) -> Iterator[tuple[int, int, int]]:
    """The header segments of a JPEG: marker, start, end; the last is the start of scan."""
    end = file.seek(0, io.SEEK_END)
    file.seek(2)
    for _ in range(_MAX_SEGMENTS):
        start = file.tell()
        marker, kind = _exactly(file, 2)
        if marker != 0xFF:
            raise ValueError("no marker")
        if kind == 0xFF:
            file.seek(-1, io.SEEK_CUR)
            continue
        after = start + 2 + int.from_bytes(_exactly(file, 2), "big")
        if after > end or after < start + 4:
            raise ValueError("ends too early")
        yield kind, start, after
        file.seek(after)
        if kind == 0xDA:
            return
    raise ValueError("too many segments")


class _Parts(io.RawIOBase):
    """Some parts of a file, (start, end) each and in order, as if they were all of it."""

    def __init__(self, file: BinaryIO, parts: list[tuple[int, int]]) -> None:
        merged: list[tuple[int, int]] = []
        for start, end in parts:
            beside = merged and merged[-1][1] == start
            merged.append((merged.pop()[0] if beside else start, end))
        self._file, self._parts, self._at = file, merged, 0
        # Where each part begins in what is shown; last, where that ends.
        self._begins = [0, *itertools.accumulate(end - start for start, end in merged)]

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_END:
            offset += self._begins[-1]
        self._at = offset + (self._at if whence == io.SEEK_CUR else 0)
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        current = bisect.bisect_right(self._begins, self._at) - 1
        if not 0 <= current < len(self._parts):
            return 0
        start, end = self._parts[current]
        place = start + self._at - self._begins[current]
        self._file.seek(place)
        octets = self._file.read(min(len(buffer), end - place))
        buffer[: len(octets)] = octets
        self._at += len(octets)
        return len(octets)


def _webp(data: bytes) -> Image.Image:
    # Pillow's WebP decoder takes its memory on opening, so the size is read from the first chunk here.
    width, height = _webp_size(data)
    _check_size(width, height, 19.0 * width * height + len(data))
    picture = Image.open(io.BytesIO(data), formats=("WEBP",))
    if picture.size != (width, height) or getattr(picture, "n_frames", 1) != 1:
        raise ValueError("animation")
    return _finished(picture)


def _webp_size(start: bytes) -> tuple[int, int]:
    kind = start[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(start[24:27], "little"), 1 + int.from_bytes(start[27:30], "little")
    if kind == b"VP8L" and start[20] == 0x2F:
        bits = int.from_bytes(start[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 " and start[23:26] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", start, 26)
        return width & 0x3FFF, height & 0x3FFF
    raise ValueError("no WebP")


def _png(file: BinaryIO) -> Image.Image:
    """In strips where a row starts on a byte and stands on the one before; else in one piece."""
    chunks = _chunks(file)
    kind, header = next(chunks)
    if kind != b"IHDR" or len(header) != 13:
        raise ValueError("no header")
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", header)
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    if depth == 8 and not interlaced:
        _check_size(width, height, width * height)
        return _png_in_strips(width, height, channels, header, chunks)
    # Pillow holds four bytes a pixel for anything but grey, and flattening another four.
    peak = width * height * (2.4 if colour == 0 and depth < 8 else 9.4)
    _check_size(width, height, peak)
    return _finished(Image.open(_in_one_piece(width, height, peak, header, chunks), formats=("PNG",)))


def _in_one_piece(
    width: int, height: int, peak: float, header: bytes, chunks: Iterator[tuple[bytes, bytes]]
) -> io.BytesIO:
    """The PNG with all of its image data in one chunk."""
    whole = io.BytesIO()
    whole.write(_PNG + _chunk(b"IHDR", header))
    length, check, begin = 0, zlib.crc32(b"IDAT"), 0
    for kind, content in chunks:
        if kind != b"IDAT":
            whole.write(_chunk(kind, content))
            continue
        if not length:
            begin = whole.tell()
            whole.write(bytes(4) + b"IDAT")
        whole.write(content)
        length += len(content)
        check = zlib.crc32(content, check)
        _check_size(width, height, peak + length)
    if not length:
        raise ValueError("no image data")
    whole.write(struct.pack(">I", check) + _chunk(b"IEND", b""))
    whole.seek(begin)
    whole.write(struct.pack(">I", length))
    whole.seek(0)
    return whole


def _png_in_strips(
    width: int, height: int, channels: int, header: bytes, chunks: Iterator[tuple[bytes, bytes]]
) -> Image.Image:
    halved = width * height > _HALVED_FROM
    scale = 2 if halved else 1
    grey = Image.new("L", (width // scale, height // scale), 255)
    row_bytes = 1 + width * channels
    if row_bytes > _STRIP_BYTES:
        raise ValueError("rows too long")
    strip_rows = 2 * max(1, _STRIP_BYTES // (2 * row_bytes))
    done, above = 0, b""
    palette: dict[bytes, bytes] = {}
    pending = bytearray()
    for kind, content in _inflated(chunks):
        if kind != b"IDAT":
            palette[kind] = _chunk(kind, content)
            continue
        if done == height:
            break
        pending += content
        while done < height and len(pending) >= (rows := min(strip_rows, height - done)) * row_bytes:
            filtered = bytes(pending[: rows * row_bytes])
            del pending[: rows * row_bytes]
            # The filters of the first row refer to the row above, which goes along unfiltered.
            extra = 1 if above else 0
            body = (b"\0" + above if above else b"") + filtered
            size = struct.pack(">II", width, rows + extra)
            strip = Image.open(
                io.BytesIO(
                    _PNG
                    + _chunk(b"IHDR", size + header[8:])
                    + b"".join(palette.values())
                    + _chunk(b"IDAT", zlib.compress(body, 0))
                    + _chunk(b"IEND", b"")
                ),
                formats=("PNG",),
            )
            strip.load()
            above = strip.crop((0, rows + extra - 1, width, rows + extra)).tobytes()
            own = strip.crop((0, extra, width, rows + extra))
            own.info = strip.info
            part = _finished(own)
            if halved and rows > 1:
                part = part.reduce(2)
                part = part.crop((0, 0, width // 2, rows // 2))
            if not halved or rows > 1:
                grey.paste(part, (0, done // scale))
            done += rows
    if done < height:
        raise ValueError("ends too early")
    return grey


def _inflated(chunks: Iterator[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
    inflater = zlib.decompressobj()
    for kind, content in chunks:
        if kind != b"IDAT":
            yield kind, content
            continue
        rest = content
        while rest and not inflater.eof:
            yield kind, inflater.decompress(rest, _STRIP_BYTES)
            rest = inflater.unconsumed_tail


def _chunks(file: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """The chunks that say what the picture looks like; image data in pieces of bounded size.

    Header, palette and transparency come once each and before the image data.
    """
    file.seek(len(_PNG))
    seen: set[bytes] = set()
    for _ in range(_MAX_CHUNKS):
        length, kind = struct.unpack(">I4s", _exactly(file, 8))
        if kind == b"IEND":
            return
        if kind in (b"IHDR", b"PLTE", b"tRNS"):
            if length > 768 or kind in seen or b"IDAT" in seen:
                raise ValueError("chunk too long, again or too late")
            seen.add(kind)
            yield kind, _exactly(file, length)
        elif kind == b"IDAT":
            seen.add(kind)
            while length:
                piece = _exactly(file, min(length, _STRIP_BYTES))
                length -= len(piece)
                yield kind, piece
        else:
            file.seek(length, io.SEEK_CUR)
        file.seek(4, io.SEEK_CUR)
    raise ValueError("too many chunks")


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _exactly(file: BinaryIO, count: int) -> bytes:
    data = file.read(count) if count >= 0 else b""
    if len(data) != count:
        raise ValueError("ends too early")
    return data
