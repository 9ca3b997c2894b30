"""Parking zones: the code on the permit and its name. Which zones exist is the city's table, not code."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

from passes.errors import PassRefusal
from passes.names import LATIN_LETTERS, FieldKind, normalise

LONGEST_CODE: Final = 12

_SIGNS = frozenset("0123456789")
_INNER = re.compile(r"[ -]")


def normalise_zone_code(text: str) -> str:
    """A zone code as it is stored, signed and compared: NFC, no spaces around it, letters as they came.

    A code has 1 to 12 Latin letters and ASCII digits, with single spaces or hyphens between them (``MÜ``,
    ``CITY``, ``Süd 2``). Other scripts are refused, because Н and H look alike and are two zones.
    Raises PassRefusal ZONE_FORMAT.
    """
    if len(text) > 4 * LONGEST_CODE:
        raise PassRefusal("ZONE_FORMAT", limit=LONGEST_CODE)
    code = unicodedata.normalize("NFC", text).strip(" ")
    parts = _INNER.split(code)
    if len(code) > LONGEST_CODE or not all(part and all(map(_is_code_sign, part)) for part in parts):
        raise PassRefusal("ZONE_FORMAT", limit=LONGEST_CODE)
    return code


def _is_code_sign(character: str) -> bool:
    return character in LATIN_LETTERS or character in _SIGNS


@dataclass(frozen=True, slots=True)
class Zone:
    """One parking zone: its code as on the permit (``MÜ``) and its name (``Münsterstraße``), both NFC.

    Decomposed or padded text is brought into its stored form. Raises PassRefusal ZONE_FORMAT for the code, or
    what `names.normalise` raises for the name; an empty name is ZONE_NAME_MISSING.
    """

    code: str
    name: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "code", normalise_zone_code(self.code))
        object.__setattr__(self, "name", normalise(self.name, FieldKind.ADDRESS))
        if not self.name:
            raise PassRefusal("ZONE_NAME_MISSING", code=self.code)
