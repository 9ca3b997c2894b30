"""What is in a seal, for people who want to see it: the exact bytes, and every value in them.

Nothing is checked but the form: the signature is the verifier's affair.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from keys import cose
from passes import base45, rotating, seal
from passes.periods import BERLIN
from passes.seal import SealContent

_LINE: Final = 16


@dataclass(frozen=True, slots=True)
class SealParts:
    """A seal taken apart: its text, its bytes, the CBOR of its claims in diagnostic notation (RFC 8949, 8), and
    ``fields``: the code SEAL_FIELD_<name> of a label, and the value as text, for every value there is.
    """

    text: str
    token: bytes
    claims: str
    fields: tuple[tuple[str, str], ...]

    @property
    def hexadecimal(self) -> str:
        """The bytes, sixteen on a line."""
        lines = (self.token[place : place + _LINE] for place in range(0, len(self.token), _LINE))
        return "\n".join(line.hex(" ") for line in lines)


def take_apart(text: str) -> SealParts:
    """The parts of an SP1 text, static or rotating.

    Raises NotASeal and MalformedSeal, as `passes.seal.read_seal` does.
    """
    if text.startswith(rotating.PREFIX):
        encoded = rotating.split(text).token
        read = seal.read_token(encoded)
    else:
        read = seal.read_seal(text)
        encoded = text.removeprefix(seal.PREFIX)
    token = base45.decode(encoded)
    fields = (
        *_fields(read.content),
        ("KEY", read.message.kid.hex()),
    )
    claims = _shown(cose.decode(read.message.payload, max_bytes=seal.MAX_BYTES))
    return SealParts(text, token, claims, fields)


def _fields(content: SealContent) -> list[tuple[str, str]]:
    plates = [
        f"{plate.canonical} ({season.text})" if season is not None else plate.canonical
        for plate, season in zip(content.plates, content.seasons, strict=True)
    ]
    found = [
        ("TYPE", str(content.type_code)),
        ("NUMBER", content.number),
        ("PLATES", ", ".join(plates)),
        ("ZONE", content.zone or ""),
        ("ORGANISATION", content.organisation or ""),
        ("CARD_NUMBER", content.card_number or ""),
        ("ISSUED_AT", _moment(content.issued_at)),
        ("NOT_BEFORE", _moment(content.not_before)),
        ("EXPIRES", _moment(content.expires)),
        ("STATUS", f"{content.status_list} / {content.status_index}"),
        ("FURTHER", _further(content.further)),
    ]
    return [(name, text) for name, text in found if text]


def _further(values: Mapping[int, int | str | bool]) -> str:
    return ", ".join(f"{key}: {_shown(value)}" for key, value in values.items())


def _moment(seconds: int) -> str:
    at = datetime.fromtimestamp(seconds, UTC).astimezone(BERLIN)
    return f"{at.isoformat()} ({seconds})"


def _shown(value: cose.Value) -> str:
    if isinstance(value, bytes):
        return f"h'{value.hex()}'"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, list):
        return "[" + ", ".join(map(_shown, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_shown(key)}: {_shown(item)}" for key, item in value.items()) + "}"
    if value is None:
        return "null"
    return str(value).lower()
