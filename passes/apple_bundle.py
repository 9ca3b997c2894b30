"""The files of an Apple pass as one archive: images, manifest, ZIP, and several passes in one `.pkpasses`.

A pass is a flat ZIP archive with stored entries. Images and translations are the same in every pass of a
type, so their hashes and ZIP records are made once (`PreparedFiles`); only three small files differ.
Sources: Apple, "Building a Pass"; apple/pass-builder, PassPackage.swift; PKWARE APPNOTE 4.3.
"""

from __future__ import annotations

import hashlib
import json
import re
import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import TypeVar

from passes.errors import PassRefusal

PKPASS_MEDIA_TYPE = "application/vnd.apple.pkpass"
PKPASSES_MEDIA_TYPE = "application/vnd.apple.pkpasses"
MOST_PASSES = 10
LARGEST_BUNDLE = 150_000_000
LARGEST_PASS = 20_000_000

# Largest size in points: apple/pass-builder, PassPackage.swift. An icon has exactly that size, or the 29
# points of older documents.
_POINTS = {
    "icon": (38, 38), "logo": (160, 50), "thumbnail": (90, 90), "strip": (375, 144),
    "background": (345, 505), "footer": (286, 15),
}  # fmt: skip
_ICON_POINTS = (29, 38)
_IMAGE_NAME = re.compile(r"([a-z]+)(?:@([23])x)?\.png")
_PNG_START = b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR"
_PNG_END = b"\x00\x00\x00\x00IEND\xaeB`\x82"

# APPNOTE 4.3.7, 4.3.12, 4.3.16. Version 2.0, no flags, stored; always 1980-01-01 00:00, so that equal passes
# are equal bytes.
_LOCAL_START = struct.pack("<LHHHHH", 0x04034B50, 20, 0, 0, 0, 0x21)
_CENTRAL_START = struct.pack("<LHHHHHH", 0x02014B50, 20, 20, 0, 0, 0, 0x21)
# Signature, number of this disk and of the directory's.
_END_START = struct.pack("<LHH", 0x06054B50, 0, 0)
_UNIQUE = ("pass.json", "manifest.json", "signature")

_Part = TypeVar("_Part")


class PreparedFiles:
    """Files that stand unchanged in many passes, with hashes and ZIP records made once.

    ``files`` maps names such as ``logo@2x.png`` or ``de.lproj/pass.strings`` (ASCII) to their bytes.
    Raises ValueError for a name that is not ASCII or belongs to a pass's own files, PassRefusal
    APPLE_PASS_SIZE beyond 20 MB.
    """

    def __init__(self, files: Mapping[str, bytes]) -> None:
        if any(name in _UNIQUE or not name.isascii() for name in files):
            raise ValueError("a prepared file has a reserved or non-ASCII name")
        self.size = sum(map(len, files.values()))
        if self.size > LARGEST_PASS:
            raise PassRefusal("APPLE_PASS_SIZE", limit=LARGEST_PASS // 1_000_000)
        self.names = tuple(files)
        local, central = _stored(files.items())
        self._local, self._central = b"".join(local), b"".join(central)
        hashes = {name: _sha1(data) for name, data in files.items()}
        self._manifest_rest = b"".join(
            b"," + json.dumps(name).encode() + b':"' + value.encode() + b'"' for name, value in hashes.items()
        )
        entries = [_Entry(name) for name in _UNIQUE]
        self._heads = [one.local for one in entries]
        self._head_sizes = [one.local_size for one in entries]
        # The records of the three unique files and the end of the archive in one go.
        constants = [one.central_parts for one in entries]
        size = len(self._central) + sum(one.central_size for one in entries)
        count = len(files) + len(entries)
        self._end = _END_START + struct.pack("<HHL", count, count, size)
        self._constants = constants
        shape = "".join(f"{len(a)}sLLL{len(b)}sL{len(c)}s" for a, b, c in constants)
        self._tail = struct.Struct(f"<{shape}{len(self._end)}sLH")

    def manifest(self, pass_json: bytes) -> bytes:
        """The manifest of a pass made of ``pass_json`` and these files: JSON of SHA-1 in hex per file."""
        return b'{"pass.json":"' + _sha1(pass_json).encode() + b'"' + self._manifest_rest + b"}"

    def archive(self, pass_json: bytes, manifest: bytes, signature: bytes) -> bytes:
        """The `.pkpass` archive of the prepared files and the three that differ from pass to pass."""
        size_1, size_2, size_3 = len(pass_json), len(manifest), len(signature)
        crc_1, crc_2, crc_3 = zlib.crc32(pass_json), zlib.crc32(manifest), zlib.crc32(signature)
        head_1, head_2, head_3 = self._heads
        at_1 = len(self._local)
        at_2 = at_1 + self._head_sizes[0] + size_1
        at_3 = at_2 + self._head_sizes[1] + size_2
        (a_1, b_1, c_1), (a_2, b_2, c_2), (a_3, b_3, c_3) = self._constants
        tail = self._tail.pack(
            a_1, crc_1, size_1, size_1, b_1, at_1, c_1,
            a_2, crc_2, size_2, size_2, b_2, at_2, c_2,
            a_3, crc_3, size_3, size_3, b_3, at_3, c_3,
            self._end, at_3 + self._head_sizes[2] + size_3, 0,
        )  # fmt: skip
        return b"".join(
            (
                self._local,
                head_1(crc_1, size_1), pass_json,
                head_2(crc_2, size_2), manifest,
                head_3(crc_3, size_3), signature,
                self._central,
                tail,
            )
        )  # fmt: skip


class PreparedImages:
    """The PNG images of a pass type, checked: names, sizes in pixels for every scale, and an icon.

    Raises PassRefusal APPLE_IMAGE_NAME, _FORMAT, _SIZE or _MISSING with the file. ``files`` are the images
    in a fixed order.
    """

    def __init__(self, images: Mapping[str, bytes]) -> None:
        for name in sorted(images):
            _check_image(name, images[name])
        for needed in ("icon@2x.png", "icon@3x.png"):
            if needed not in images:
                raise PassRefusal("APPLE_IMAGE_MISSING", file=needed)
        self.files: dict[str, bytes] = {name: images[name] for name in sorted(images)}


def strings_file(translations: Mapping[str, str]) -> bytes:
    """A `pass.strings` file in UTF-8 from texts as they stand in pass.json to their translations.

    UTF-8 is what every reader of passes understands; UTF-16LE is not.
    """
    lines = [f"{_strings_quoted(text)} = {_strings_quoted(value)};\n" for text, value in translations.items()]
    return "".join(lines).encode()


def bundle_parts(passes: Sequence[_Part]) -> list[Sequence[_Part]]:
    """``passes``, or what stands for them, in their order in as few parts as `bundle_passes` can take.

    The parts are of about one size, so that eleven passes are six and five, and no bundle has a single one.
    """
    count = -(-len(passes) // MOST_PASSES)
    bounds = [len(passes) * part // count for part in range(count + 1)] if count else []
    return [passes[start:end] for start, end in pairwise(bounds)]


def bundle_passes(passes: Sequence[bytes]) -> bytes:
    """Several `.pkpass` archives as one `.pkpasses` (``application/vnd.apple.pkpasses``, Safari only).

    Raises PassRefusal APPLE_BUNDLE_COUNT unless there are 1 to 10, APPLE_BUNDLE_SIZE beyond 150 MB.
    """
    if not 1 <= len(passes) <= MOST_PASSES:
        raise PassRefusal("APPLE_BUNDLE_COUNT", count=len(passes), limit=MOST_PASSES)
    if sum(map(len, passes)) > LARGEST_BUNDLE:
        raise PassRefusal("APPLE_BUNDLE_SIZE", limit=LARGEST_BUNDLE // 1_000_000)
    local, central = _stored((f"pass{place}.pkpass", data) for place, data in enumerate(passes, start=1))
    count, size, offset = len(passes), sum(map(len, central)), sum(map(len, local))
    end = _END_START + struct.pack("<HHLLH", count, count, size, offset, 0)
    bundle = b"".join((*local, *central, end))
    if len(bundle) > LARGEST_BUNDLE:
        raise PassRefusal("APPLE_BUNDLE_SIZE", limit=LARGEST_BUNDLE // 1_000_000)
    return bundle


class _Entry:
    """What is the same in all ZIP records of one file name."""

    __slots__ = ("_head", "_tail", "central_parts", "central_size", "local_size")

    def __init__(self, name: str) -> None:
        raw = name.encode("ascii")
        self._tail = struct.pack("<HH", len(raw), 0) + raw
        self._head = struct.Struct(f"<{len(_LOCAL_START)}sLLL{len(self._tail)}s")
        self.local_size = self._head.size
        attributes = struct.pack("<HHHHHL", len(raw), 0, 0, 0, 0, 0)
        # Around CRC and the two sizes, then around the offset.
        self.central_parts = (_CENTRAL_START, attributes, raw)
        self.central_size = sum(map(len, self.central_parts)) + 16

    def local(self, crc: int, size: int) -> bytes:
        """The header in front of the file's data."""
        return self._head.pack(_LOCAL_START, crc, size, size, self._tail)

    def central(self, crc: int, size: int, offset: int) -> bytes:
        """The record in the directory of a file whose header is at ``offset``."""
        start, attributes, raw = self.central_parts
        return b"".join(
            (start, struct.pack("<LLL", crc, size, size), attributes, struct.pack("<L", offset), raw)
        )


def _stored(files: Iterable[tuple[str, bytes]]) -> tuple[list[bytes], list[bytes]]:
    """Headers with data, and directory records, of files from the start of an archive on."""
    local: list[bytes] = []
    central: list[bytes] = []
    offset = 0
    for name, data in files:
        entry, crc = _Entry(name), zlib.crc32(data)
        local += (entry.local(crc, len(data)), data)
        central.append(entry.central(crc, len(data), offset))
        offset += entry.local_size + len(data)
    return local, central


def _sha1(data: bytes) -> str:
    # The manifest's format fixes SHA-1; the signature over the manifest uses SHA-256.
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()


def _strings_quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    return f'"{escaped}"'


def _check_image(name: str, data: bytes) -> None:
    def refuse(rule: str, **params: object) -> PassRefusal:
        return PassRefusal(rule, file=name, **params)

    found = _IMAGE_NAME.fullmatch(name)
    if found is None or found[1] not in _POINTS:
        raise refuse("APPLE_IMAGE_NAME", known=", ".join(_POINTS))
    if not (data.startswith(_PNG_START) and data.endswith(_PNG_END)):
        raise refuse("APPLE_IMAGE_FORMAT")
    scale = int(found[2] or 1)
    width, height = struct.unpack_from(">LL", data, len(_PNG_START))
    if found[1] == "icon":
        fits = width == height and width in {points * scale for points in _ICON_POINTS}
    else:
        most_width, most_height = _POINTS[found[1]]
        fits = 1 <= width <= most_width * scale and 1 <= height <= most_height * scale
    if not fits:
        most_width, most_height = (points * scale for points in _POINTS[found[1]])
        raise refuse("APPLE_IMAGE_SIZE", width=width, height=height, most=f"{most_width} x {most_height}")
