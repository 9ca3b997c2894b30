"""The two files of a keystore as bytes: JSON with base64, of bounded size, read strictly.

A reader accepts exactly the members that a writer of format version 1 puts there: none missing, none more,
none repeated, base64 in its one spelling. That keeps a damaged file from being half understood.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from keys.envelope import FORMAT_VERSION, SALT_BYTES, WRAPPED_BYTES, Header, Label, Suite
from keys.errors import KeyRefusal
from keys.identity import KID_BYTES
from keys.store import Algorithm
from keys.uri import check_name

MAX_TABLE_BYTES = 4 * 1024 * 1024
MAX_KEY_BYTES = 16 * 1024

SECRET_KIND = "secret"  # noqa: S105 - a kind of key, not one

_KINDS = frozenset({Algorithm.ES256.value, Algorithm.RS256.value, SECRET_KIND})
_TABLE_FORMAT = "stadtpass-keystore"
_KEY_FORMAT = "stadtpass-key"


@dataclass(frozen=True, slots=True)
class KeyTable:
    """How the KEK is derived, and the wrapped DEK of every key by name."""

    header: Header
    deks: dict[str, bytes]

    def encode(self) -> bytes:
        """The bytes of the file."""
        members: dict[str, object] = {
            "suite": self.header.suite.value,
            "salt": _text(self.header.salt),
            "check": _text(self.header.check),
            "keys": {name: _text(dek) for name, dek in sorted(self.deks.items())},
        }
        return _write(_TABLE_FORMAT, members)

    @classmethod
    def decode(cls, content: bytes, path: Path) -> Self:
        """Read the file; ``path`` is for the message. Raises KeyRefusal."""
        members = _read(content, path, _TABLE_FORMAT, {"suite", "salt", "check", "keys"})
        suite, entries = members["suite"], members["keys"]
        if suite not in {known.value for known in Suite} or not isinstance(entries, dict):
            raise KeyRefusal("KEYSTORE_DAMAGED", path=path)
        salt = _octets(members["salt"], path, SALT_BYTES)
        header = Header(Suite(suite), salt, _octets(members["check"], path, WRAPPED_BYTES))
        deks = {check_name(name): _octets(dek, path, WRAPPED_BYTES) for name, dek in entries.items()}
        return cls(header, deks)


def encode_key(label: Label, sealed: bytes) -> bytes:
    """The bytes of a key file."""
    members: dict[str, object] = {
        "name": label.name,
        "kind": label.kind,
        "kid": label.kid.hex(),
        "sealed": _text(sealed),
    }
    return _write(_KEY_FORMAT, members)


def decode_key(content: bytes, path: Path) -> tuple[Label, bytes]:
    """Read a key file: its label, not yet authenticated, and what is sealed. Raises KeyRefusal."""
    members = _read(content, path, _KEY_FORMAT, {"name", "kind", "kid", "sealed"})
    name, kind, kid = members["name"], members["kind"], members["kid"]
    if not isinstance(name, str) or not isinstance(kind, str) or not isinstance(kid, str):
        raise KeyRefusal("KEYSTORE_DAMAGED", path=path)
    if kind not in _KINDS or not (kid == "" if kind == SECRET_KIND else _is_kid(kid)):
        raise KeyRefusal("KEYSTORE_DAMAGED", path=path)
    return Label(check_name(name), kind, bytes.fromhex(kid)), _octets(members["sealed"], path)


def _write(file_format: str, members: dict[str, object]) -> bytes:
    document = {"format": file_format, "version": FORMAT_VERSION, **members}
    return json.dumps(document, indent=1).encode() + b"\n"


def _read(content: bytes, path: Path, file_format: str, names: set[str]) -> dict[str, object]:
    try:
        document: object = json.loads(content, object_pairs_hook=_without_repetition)
    except (ValueError, RecursionError) as error:
        raise KeyRefusal("KEYSTORE_DAMAGED", path=path) from error
    if not isinstance(document, dict) or document.get("format") != file_format:
        raise KeyRefusal("KEYSTORE_DAMAGED", path=path)
    version: object = document.get("version")
    if type(version) is int and version > FORMAT_VERSION:
        raise KeyRefusal("KEYSTORE_NEWER", path=path)
    if type(version) is not int or version != FORMAT_VERSION:
        raise KeyRefusal("KEYSTORE_DAMAGED", path=path)
    if set(document) != names | {"format", "version"}:
        raise KeyRefusal("KEYSTORE_DAMAGED", path=path)
    return document


def _without_repetition(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is repeated")
    return members


def _is_kid(text: str) -> bool:
    try:
        octets = bytes.fromhex(text)
    except ValueError:
        return False
    return len(octets) == KID_BYTES and octets.hex() == text


def _text(octets: bytes) -> str:
    return base64.b64encode(octets).decode()


def _octets(value: object, path: Path, length: int | None = None) -> bytes:
    """Read base64 in its one spelling, of ``length`` bytes if given."""
    try:
        octets = base64.b64decode(value, validate=True) if isinstance(value, str) else b""
    except (binascii.Error, ValueError) as error:
        raise KeyRefusal("KEYSTORE_DAMAGED", path=path) from error
    if not octets or _text(octets) != value or (length is not None and len(octets) != length):
        raise KeyRefusal("KEYSTORE_DAMAGED", path=path)
    return octets
