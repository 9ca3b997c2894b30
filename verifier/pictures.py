"""Decoding pictures to grey within bounded memory: PNG, JPEG and WebP of at most 25 megapixels.

Sizes are judged by the file's own header before a pixel is decoded. Metadata never reaches the decoder: a
few kilobytes of it can unpack to gigabytes. Large pictures come out at half size, which leaves a code on a
photo enough pixels and the reader a quarter of the work.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from PIL import Image

from verifier.image import MAX_PIXELS, ImageRefused

MAX_FILE_BYTES = 20 * 1024 * 1024
# Above this a picture is halved: the code reader needs about three bytes a pixel.
_HALVED_FROM = 9_000_000
# What a decoder may hold at its peak, the file included.
_BUDGET = 40_000_000
_STRIP_BYTES = 1 << 20

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
# Each scan of a progressive JPEG goes over the whole picture; cameras and editors write about ten.
_MAX_SCANS = 100


def grey_picture(file: BinaryIO) -> Image.Image:
    """The picture in the seekable ``file`` in grey (mode ``L``), halved if it is large.

    Raises ImageRefused IMAGE_TOO_LARGE or IMAGE_UNREADABLE.
    """
    if file.seek(0, io.SEEK_END) > MAX_FILE_BYTES:
        raise ImageRefused("IMAGE_TOO_LARGE", megapixels="?")
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


def _check_size(width: int, height: int, peak_bytes: float) -> None:
    if width < 1 or height < 1:
        raise ValueError("no pixels")
    if width * height > MAX_PIXELS or peak_bytes > _BUDGET:
        raise ImageRefused("IMAGE_TOO_LARGE", megapixels=f"{width * height / 1e6:.1f}")


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
    file.seek(2)
    while True:
        start = file.tell()
        marker, kind = _exactly(file, 2)
        if marker != 0xFF:
            raise ValueError("no marker")
        if kind == 0xFF:
            file.seek(-1, io.SEEK_CUR)
            continue
        if kind == 0xDA:
            break
        after = start + 2 + int.from_bytes(_exactly(file, 2), "big")
        if after > end:
            raise ValueError("ends too early")
        if not (0xE0 <= kind <= 0xEF or kind == 0xFE) or kind in (0xE0, 0xEE):
            parts.append((start, after))
        file.seek(after)
    scans = 0
    while piece := file.read(_STRIP_BYTES):
        scans += piece.count(b"\xff\xda")
        if scans > _MAX_SCANS:
            raise ValueError("too many scans")
    return io.BufferedReader(_Parts(file, [*parts, (start, end)]))


class _Parts(io.RawIOBase):
    """Some parts of a file, (start, end) each, as if they were all of it."""

    def __init__(self, file: BinaryIO, parts: list[tuple[int, int]]) -> None:
        self._file, self._parts, self._at = file, parts, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_END:
            offset += sum(end - start for start, end in self._parts)
        self._at = offset + (self._at if whence == io.SEEK_CUR else 0)
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        before = 0
        for start, end in self._parts:
            inside = self._at - before
            if inside < end - start:
                self._file.seek(start + inside)
                octets = self._file.read(min(len(buffer), end - start - inside))
                buffer[: len(octets)] = octets
                self._at += len(octets)
                return len(octets)
            before += end - start
        return 0


def _webp(data: bytes) -> Image.Image:
    # Pillow's WebP decoder takes its memory on opening, so the size is read from the first chunk here.
    kind = data[12:16]
    if kind == b"VP8X":
        width = 1 + int.from_bytes(data[24:27], "little")
        height = 1 + int.from_bytes(data[27:30], "little")
    elif kind == b"VP8L" and data[20] == 0x2F:
        bits = int.from_bytes(data[21:25], "little")
        width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    elif kind == b"VP8 " and data[23:26] == b"\x9d\x01\x2a":
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
    else:
        raise ValueError("no WebP")
    _check_size(width, height, 19.0 * width * height + len(data))
    picture = Image.open(io.BytesIO(data), formats=("WEBP",))
    if picture.size != (width, height) or getattr(picture, "n_frames", 1) != 1:
        raise ValueError("animation")
    return _finished(picture)


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
    kept = [_PNG, _chunk(b"IHDR", header)]
    kept += [_chunk(kind, content) for kind, content in chunks]
    _check_size(width, height, peak + sum(map(len, kept)))
    kept.append(_chunk(b"IEND", b""))
    picture = Image.open(io.BytesIO(b"".join(kept)), formats=("PNG",))
    return _finished(picture)


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
    """The chunks that say what the picture looks like; image data in pieces of bounded size."""
    file.seek(len(_PNG))
    while True:
        length, kind = struct.unpack(">I4s", _exactly(file, 8))
        if kind == b"IEND":
            return
        if kind in (b"IHDR", b"PLTE", b"tRNS"):
            if length > 768:
                raise ValueError("chunk too long")
            yield kind, _exactly(file, length)
        elif kind == b"IDAT":
            while length:
                piece = _exactly(file, min(length, _STRIP_BYTES))
                length -= len(piece)
                yield kind, piece
        else:
            file.seek(length, io.SEEK_CUR)
        file.seek(4, io.SEEK_CUR)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _exactly(file: BinaryIO, count: int) -> bytes:
    data = file.read(count) if count >= 0 else b""
    if len(data) != count:
        raise ValueError("ends too early")
    return data
