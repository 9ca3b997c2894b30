"""German number plates as structured values.

A plate is district sign, letters, number and suffix, never a stripped string: ``UE-MA 123`` and
``UEM-A 123`` are two cars. The rules are those of sections 9 to 11 FZV: one to three letters A-Z, Ä, Ö, Ü
for the district, one or two letters A-Z, a number from 1 to 9999 without leading zero, and at most one of E
(electric) and H (historic); at most eight characters together, seven on a seasonal plate.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from dataclasses import dataclass
from typing import Final, Self

from passes.districts import AUTHORITY_SIGNS, civil_district_signs, district_signs
from passes.errors import PassRefusal
from passes.seasons import Season

LONGEST: Final = 8
LONGEST_SEASONAL: Final = 7

_LONGEST_INPUT = 40
_CANONICAL = re.compile(r"([A-ZÄÖÜ]{1,3})-([A-Z]{1,2}) ([1-9][0-9]{0,3})([EH]?)")
_KEY = re.compile(r"([A-ZÄÖÜ]{1,3})\|([A-Z]{1,2})\|([1-9][0-9]{0,3})\|([EH]?)")

# Space, no-break spaces, thin space; hyphens and dashes, minus; middle dot, dot operator, bullet.
_SEPARATORS = re.compile("[ \u00a0\u2009\u202f\u2010-\u2015\u2212\u00b7\u22c5\u2022-]+")
_LETTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÜ")
_CHARACTERS = _LETTERS | frozenset("abcdefghijklmnopqrstuvwxyzäöü0123456789 ")

_CIVIL = re.compile(r"([A-ZÄÖÜ]+)(?: ([A-ZÄÖÜ]+))? ?([0-9]+)(?: ?([A-ZÄÖÜ]+))?")
_DIPLOMATIC = re.compile(r"0(?: ?[0-9]+)+[A-Z]?")
_AUTHORITY = re.compile(r"([A-ZÄÖÜ]{1,3}) ?([0-9]+)(?: [0-9]+)+")
_SPECIAL_NUMBER = re.compile(r"0[3-7][0-9]*|[1-9][0-9]*")
# The number or suffix of the plate must come right before a season, else "BD 16-12" would have one.
_SEASON_TAIL = re.compile(
    "(?<=[0-9EHeh])(?:[ \u00a0\u2009\u202f]+\\(?|\\()([0-9]{2})[-/\u2010-\u2015]([0-9]{2})\\)?"
)
_LOOKALIKE = str.maketrans("O0I1", "0O1I")
_CORRECTABLE = frozenset(
    {"PLATE_FORMAT", "PLATE_LETTERS_INVALID", "PLATE_DISTRICT_UNKNOWN", "PLATE_NUMBER_TOO_LONG"}
)


@dataclass(frozen=True, slots=True, order=True)
class Plate:
    """One plate. Equal plates are the same car; the suffix is part of the plate's identity.

    All parts are upper case and NFC; ``number`` is text because it is never calculated with. The constructor
    raises PassRefusal PLATE_FORMAT or PLATE_TOO_LONG for parts that no plate has; it does not ask whether
    the district exists, so that a sign issued after this software still decodes.
    """

    district: str
    letters: str
    number: str
    suffix: str = ""

    def __post_init__(self) -> None:
        if _KEY.fullmatch(self.key) is None:
            raise PassRefusal("PLATE_FORMAT")
        if self.length > LONGEST:
            raise PassRefusal("PLATE_TOO_LONG", length=self.length, limit=LONGEST)

    @property
    def canonical(self) -> str:
        """The one spelling that is stored, signed and shown: ``D-AB 123E``."""
        return f"{self.district}-{self.letters} {self.number}{self.suffix}"

    @property
    def key(self) -> str:
        """What two spellings of the same plate share: ``D|AB|123|E``."""
        return f"{self.district}|{self.letters}|{self.number}|{self.suffix}"

    @property
    def length(self) -> int:
        """The number of characters on the plate, suffix included."""
        return len(self.district) + len(self.letters) + len(self.number) + len(self.suffix)

    def __str__(self) -> str:
        return self.canonical

    @staticmethod
    def parse(text: str) -> Plate:
        """Read a plate as a person writes it; a season behind it is checked and dropped.

        Case, decomposed umlauts, spaces, dashes and middle dots do not matter. Without a separator between
        district and letters the plate is accepted only if one reading has a known district.

        Raises PassRefusal with the code of the first fault found: PLATE_TOO_LONG, PLATE_CONTROL_CHAR,
        PLATE_NON_LATIN, PLATE_LETTERS_INVALID, PLATE_SPECIAL (plates of authorities, diplomats and the
        armed forces, short-term and red plates: a person must decide), PLATE_SUFFIX_CONFLICT,
        PLATE_DISTRICT_UNKNOWN, PLATE_NUMBER_TOO_LONG, PLATE_FORMAT; PlateAmbiguous with the readings; and
        what `Season.parse` raises.
        """
        return _read(_split_season(text)[0])

    @classmethod
    def from_canonical(cls, text: str) -> Self:
        """Read the canonical spelling and nothing else, as a seal carries it.

        Raises PassRefusal PLATE_FORMAT or PLATE_TOO_LONG. Districts are not looked up here.
        """
        found = _CANONICAL.fullmatch(text)
        if found is None:
            raise PassRefusal("PLATE_FORMAT")
        return cls(*found.groups())

    @classmethod
    def from_key(cls, key: str) -> Self:
        """Read the compare key ``D|AB|123|E``. Raises PassRefusal PLATE_FORMAT or PLATE_TOO_LONG."""
        found = _KEY.fullmatch(key)
        if found is None:
            raise PassRefusal("PLATE_FORMAT")
        return cls(*found.groups())


class PlateAmbiguous(PassRefusal):
    """The text can be read as several plates with known districts; ``suggestions`` are all of them."""

    def __init__(self, suggestions: tuple[Plate, ...]) -> None:
        super().__init__("PLATE_AMBIGUOUS", suggestions=", ".join(plate.canonical for plate in suggestions))
        self.suggestions = suggestions


def parse_with_season(text: str) -> tuple[Plate, Season | None]:
    """Read a plate with an optional season behind it: ``D-AB 123 (04-10)`` or ``D HX 8900 08/10``.

    Raises what `Plate.parse` and `Season.parse` raise, and PLATE_TOO_LONG for a seasonal plate of more
    than seven characters.
    """
    spelling, season = _split_season(text)
    plate = _read(spelling)
    if season is not None:
        check_season_length(plate)
    return plate, season


def season_behind(text: str) -> Season | None:
    """The season behind a plate that cannot be read as it stands; None if there is none.

    Raises PassRefusal PLATE_TOO_LONG for a text longer than any plate, and what `Season.parse` raises.
    """
    return _split_season(text)[1]


def check_season_length(plate: Plate) -> None:
    """Raise PassRefusal PLATE_TOO_LONG unless ``plate`` leaves room for a season: seven characters.

    The E or H counts. Vehicles with a plate of eight characters cannot have a season.
    """
    if plate.length > LONGEST_SEASONAL:
        raise PassRefusal("PLATE_TOO_LONG", length=plate.length, limit=LONGEST_SEASONAL)


def correct_lookalikes(text: str) -> tuple[str, bool]:
    """Put O and 0, I and 1 right by their position, for what a warden typed at the car.

    Returns the text to parse and whether it was corrected, which the warden must see. Text that can be
    parsed as it stands, or that no such exchange mends, comes back unchanged with False; a plate that needs a
    person (PLATE_SPECIAL) is not turned into another one. Raises PlateAmbiguous if several corrections fit,
    and never picks one.
    """
    try:
        spelling, season = _split_season(text)
        _read(spelling)
    except PassRefusal as refusal:
        if refusal.code not in _CORRECTABLE:
            return text, False
    else:
        return text, False
    spelling = spelling.upper()
    places = [place for place, character in enumerate(spelling) if character in "O0I1"]
    if len(places) > LONGEST:
        return text, False
    plates: set[Plate] = set()
    for chosen in itertools.product((False, True), repeat=len(places)):
        characters = list(spelling)
        for place in itertools.compress(places, chosen):
            characters[place] = characters[place].translate(_LOOKALIKE)
        try:
            plates.add(_read("".join(characters)))
        except PlateAmbiguous as ambiguous:
            plates.update(ambiguous.suggestions)
        except PassRefusal:
            continue
    if not plates:
        return text, False
    if len(plates) > 1:
        raise PlateAmbiguous(tuple(sorted(plates)))
    corrected = plates.pop().canonical
    return (corrected if season is None else f"{corrected} ({season.text})"), True


def _split_season(text: str) -> tuple[str, Season | None]:
    """Bound the text, then part it into the spelling of the plate and the season, if one stands behind it."""
    if len(text) > _LONGEST_INPUT:
        raise PassRefusal("PLATE_TOO_LONG", length=len(text), limit=LONGEST)
    for found in _SEASON_TAIL.finditer(text):
        if found.end() == len(text):
            return text[: found.start()], Season(int(found[1]), int(found[2]))
    return text, None


def _read(spelling: str) -> Plate:
    """The plate behind a bounded spelling without season; raises what `Plate.parse` raises."""
    plain = _plain(spelling)
    found = _CIVIL.fullmatch(plain)
    if found is None:
        raise _uncivil(plain)
    first, second, number, suffix = found[1], found[2], found[3], found[4] or ""
    if suffix not in {"", "E", "H"}:
        raise PassRefusal("PLATE_SUFFIX_CONFLICT" if set(suffix) == {"E", "H"} else "PLATE_FORMAT")
    readings = _readings(first, number) if second is None else [_pair(first, second)]
    if len(number) > 4:
        raise PassRefusal("PLATE_NUMBER_TOO_LONG", number=number)
    plates = [Plate(district, letters, number, suffix) for district, letters in readings]
    if len(plates) > 1:
        raise PlateAmbiguous(tuple(plates))
    return plates[0]


def _plain(text: str) -> str:
    """Upper-case NFC with single spaces for separators. Only letters that upper-case one to one get there."""
    composed = _SEPARATORS.sub(" ", unicodedata.normalize("NFC", text)).strip(" ")
    for character in composed:
        if character not in _CHARACTERS:
            raise _bad_character(character)
    return composed.upper()


def _bad_character(character: str) -> PassRefusal:
    category = unicodedata.category(character)
    code_point = f"U+{ord(character):04X}"
    if category[0] == "C" or category in {"Zl", "Zp"}:
        return PassRefusal("PLATE_CONTROL_CHAR", code_point=code_point)
    if category[0] == "L" and unicodedata.name(character, "").startswith("LATIN "):
        return PassRefusal("PLATE_LETTERS_INVALID", letters=character)
    if category[0] in "LMN":
        return PassRefusal("PLATE_NON_LATIN", code_point=code_point)
    return PassRefusal("PLATE_FORMAT")


def _uncivil(plain: str) -> PassRefusal:
    """Why text without the shape letters, number, suffix is no plate of a resident."""
    if _DIPLOMATIC.fullmatch(plain):
        return PassRefusal("PLATE_SPECIAL")
    found = _AUTHORITY.fullmatch(plain)
    if found is None or found[2] == "0":  # a lone 0 is a mistyped O
        return PassRefusal("PLATE_FORMAT")
    if found[1] not in district_signs():
        return PassRefusal("PLATE_DISTRICT_UNKNOWN", district=found[1])
    return PassRefusal("PLATE_SPECIAL")


def _pair(district: str, letters: str) -> tuple[str, str]:
    """District and letters that the writer kept apart."""
    if district not in district_signs():
        raise PassRefusal("PLATE_DISTRICT_UNKNOWN", district=district)
    if district in AUTHORITY_SIGNS:
        raise PassRefusal("PLATE_SPECIAL")
    if not _are_letters(letters):
        raise PassRefusal("PLATE_LETTERS_INVALID", letters=letters)
    return district, letters


def _readings(joined: str, number: str) -> list[tuple[str, str]]:
    """All ways to part letters written together; at least one, or PassRefusal says why there is none."""
    splits = [(joined[:cut], joined[cut:]) for cut in range(1, min(3, len(joined) - 1) + 1)]
    readings = [
        (district, letters)
        for district, letters in splits
        if district in civil_district_signs() and _are_letters(letters)
    ]
    if readings:
        return readings
    if joined in district_signs():
        # Digits only: an authority, or 03 to 07 for short-term, test, dealer and vintage plates.
        raise PassRefusal("PLATE_SPECIAL" if _SPECIAL_NUMBER.fullmatch(number) else "PLATE_FORMAT")
    if any(district in AUTHORITY_SIGNS and _are_letters(letters) for district, letters in splits):
        raise PassRefusal("PLATE_SPECIAL")
    for district, letters in splits:
        if district in civil_district_signs():
            raise PassRefusal("PLATE_LETTERS_INVALID", letters=letters)
    raise PassRefusal("PLATE_DISTRICT_UNKNOWN", district=joined)


def _are_letters(text: str) -> bool:
    return 1 <= len(text) <= 2 and text.isascii() and text.isalpha()
