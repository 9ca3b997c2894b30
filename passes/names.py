"""Names, addresses and remarks: which characters they may hold, and the keys they are found by.

DIN 91379 lists the letters that every German register must be able to hold. The rule here accepts all of them
and builds the set from Unicode properties instead of a list: cased letters named LATIN in the blocks Basic
Latin to Latin Extended-B and Latin Extended Additional, the three IPA letters the standard names, and behind
a letter up to two of the twenty combining marks of its sequences (none of them has more). That is somewhat
wider than the standard, by letters of living languages it leaves out, and never wider than the Latin script.
Stored text is NFC and never folded to ASCII; only search keys are.
"""

from __future__ import annotations

import re
import unicodedata
from enum import Enum
from typing import Final

from passes.errors import PassRefusal

LONGEST_SEARCH: Final = 400
_MOST_MARKS = 2


def _latin_letters() -> str:
    candidates = [*range(0x41, 0x250), 0x259, 0x268, 0x292, *range(0x1E00, 0x1F00)]
    return "".join(
        character
        for character in map(chr, candidates)
        if unicodedata.category(character) in {"Lu", "Ll"}
        and unicodedata.name(character, "").startswith("LATIN ")
    )


LATIN_LETTERS: Final = frozenset(_latin_letters())
COMBINING_MARKS: Final = frozenset(
    "\u0300\u0301\u0302\u0304\u0306\u0307\u0308\u030b\u030c\u030d"
    "\u0310\u0315\u031b\u0323\u0325\u0326\u0327\u0328\u0331\u035f"
)
# Non-letters N1 of DIN 91379, the ones in names of natural persons. U+02BC is the modifier apostrophe that
# keyboards for Ukrainian give, U+2010 and U+2013 what word processors make of a hyphen.
_IN_NAMES = frozenset(
    " ',-.`~\u00a8\u00b4\u00b7\u02b9\u02ba\u02be\u02bf\u02c8\u02cc\u2019\u2021\u02bc\u2010\u2013"
)
_DIGITS = frozenset("0123456789")
_QUOTES = frozenset('"\u2018\u201a\u201c\u201d\u201e\u00ab\u00bb\u2039\u203a')
_IN_ADDRESSES = _IN_NAMES | _DIGITS | frozenset("/()&+\u00bd\u00bc\u00be") | _QUOTES
_IN_ORGANISATIONS = _IN_ADDRESSES | frozenset("!:;*#@_\u00b0\u00ae\u00b2\u00b3\u2026\u20ac")
# No < > | \\ { } $ ^: they carry markup, formulas and commands, and no remark of an office needs them.
_IN_TEXTS = _IN_ORGANISATIONS | frozenset("?=%[]\u00a7\u00d7\u00f7\u00b1\u00b9\u2014\u2020\u2030\u2122")
# Spreadsheets take a cell that begins so for a formula. Names may begin with a hyphen; export guards that.
_FORMULA_STARTS = frozenset("=+@")

# Characters without a picture that Unicode does not count as format characters: joiners, fillers, selectors.
_BLANKS = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
_SPACES = re.compile("[ \u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]+")


class FieldKind(Enum):
    """What a field holds: its allowed characters and the most code points after NFC."""

    NAME = (_IN_NAMES, 200)
    ORGANISATION = (_IN_ORGANISATIONS, 200)
    ADDRESS = (_IN_ADDRESSES, 200)
    TEXT = (_IN_TEXTS, 1000)

    def __init__(self, signs: frozenset[str], limit: int) -> None:
        self.signs = signs
        self.limit = limit


def normalise(text: str, kind: FieldKind = FieldKind.NAME) -> str:
    """``text`` as it is stored: NFC, runs of spaces made one, none at the ends. Empty text stays empty.

    Text that looks like UTF-8 once read in a wrong encoding is kept as it came if its repaired form would be
    allowed; ask `mojibake_suspected` for the warning. Applying it twice changes nothing more.

    Raises PassRefusal FIELD_TOO_LONG, CONTROL_CHAR, NAME_INVISIBLE_CHAR (zero-width, bidirectional and
    other characters without a picture) or NAME_FORBIDDEN_CHAR, in this order, with the place counted from 1.
    """
    if len(text) > 4 * kind.limit:
        raise PassRefusal("FIELD_TOO_LONG", length=len(text), limit=kind.limit)
    composed = unicodedata.normalize("NFC", text)
    if len(composed) > kind.limit:
        raise PassRefusal("FIELD_TOO_LONG", length=len(composed), limit=kind.limit)
    for place, character in enumerate(composed, start=1):
        category = unicodedata.category(character)
        if category in {"Cc", "Zl", "Zp"}:
            raise PassRefusal("CONTROL_CHAR", place=place, code_point=f"U+{ord(character):04X}")
        if category == "Cf" or _BLANKS.match(character):
            raise PassRefusal("NAME_INVISIBLE_CHAR", place=place, code_point=f"U+{ord(character):04X}")
    repaired = mojibake_suspected(composed)
    if repaired is not None:
        _refuse_forbidden(_SPACES.sub(" ", repaired).strip(" "), kind)
        return composed.strip(" ")
    tidy = _SPACES.sub(" ", composed).strip(" ")
    _refuse_forbidden(tidy, kind)
    return tidy


def mojibake_suspected(text: str) -> str | None:
    """What ``text`` was before its UTF-8 was read as Windows-1252 or Latin-1: ``MÃ¼ller`` gives ``Müller``.

    None if every character beyond ASCII does not belong to well-formed UTF-8 that spells letters or signs of
    names. Only a suspicion, for a warning with a suggestion: the text must not be replaced unasked.
    """
    if text.isascii() or len(text) > 4 * FieldKind.TEXT.limit:
        return None
    try:
        repaired = b"".join(map(_legacy_byte, text)).decode("utf-8")
    except UnicodeError:
        return None
    beyond = [character for character in repaired if not character.isascii()]
    if not all(
        character in LATIN_LETTERS or character in COMBINING_MARKS or character in _IN_TEXTS
        for character in beyond
    ):
        return None
    return unicodedata.normalize("NFC", repaired)


def search_keys(name: str) -> frozenset[str]:
    """The A-Z spellings under which ``name`` is found; two names match when their keys meet.

    An umlaut is written both ways, as DIN 91379 maps it (ä to AE) and without its dots (ä to A), so that
    ``Müller``, typed ``Mueller`` or ``Muller``, is found. Hyphens count as spaces, apostrophes and other
    signs as nothing. For search only: the stored name keeps its letters. Raises PassRefusal
    FIELD_TOO_LONG beyond 400 characters.
    """
    if len(name) > LONGEST_SEARCH:
        raise PassRefusal("FIELD_TOO_LONG", length=len(name), limit=LONGEST_SEARCH)
    return frozenset({folded(name, expand=True), folded(name, expand=False)} - {""})


# Letters that Unicode does not decompose: (spelling in full, spelling without the mark), after DIN 91379.
_BASE_LETTERS: Final = {
    "ß": ("SS", "SS"), "ẞ": ("SS", "SS"), "æ": ("AE", "AE"), "œ": ("OE", "OE"), "ø": ("OE", "O"),
    "þ": ("TH", "TH"), "ð": ("D", "D"), "đ": ("D", "D"), "ł": ("L", "L"), "ħ": ("H", "H"), "ı": ("I", "I"),
    "ŋ": ("N", "N"), "ŧ": ("T", "T"), "ə": ("E", "E"), "ɨ": ("I", "I"), "ʒ": ("Z", "Z"), "ĳ": ("IJ", "IJ"),
    "ĸ": ("K", "K"), "ŉ": ("N", "N"), "ŀ": ("L", "L"), "ǥ": ("G", "G"), "ƈ": ("C", "C"),
}  # fmt: skip
_EXPANDED: Final = {
    ("a", "\u0308"): "AE",
    ("o", "\u0308"): "OE",
    ("u", "\u0308"): "UE",
    ("a", "\u030a"): "AA",
}


def folded(name: str, *, expand: bool) -> str:
    """The A-Z spelling of ``name``, words by single spaces: with ``expand`` ä is AE, else A.

    For keys of comparison only, of text whose length the caller has bounded.
    """
    folded: list[str] = []
    letter = ""
    for character in unicodedata.normalize("NFD", unicodedata.normalize("NFC", name).lower()):
        category = unicodedata.category(character)
        if category[0] == "M":
            # Umlaut dots may stand behind another mark, as in ạ̈.
            if expand and (letter, character) in _EXPANDED:
                folded[-1] = _EXPANDED[letter, character]
            continue
        letter = character
        if character in _BASE_LETTERS:
            folded.append(_BASE_LETTERS[character][0 if expand else 1])
        elif category in {"Lu", "Ll", "Lt", "Lo", "Nd"}:
            folded.append(character.upper())
        elif character in "-\u2010\u2013 ,./":
            folded.append(" ")
    return " ".join("".join(folded).split())


def _legacy_byte(character: str) -> bytes:
    try:
        return character.encode("cp1252")
    except UnicodeEncodeError:
        return character.encode("latin-1")


def _refuse_forbidden(text: str, kind: FieldKind) -> None:
    if text[:1] in _FORMULA_STARTS and text:
        raise _forbidden(text[0], 1)
    marks = 0
    carries = False
    for place, character in enumerate(text, start=1):
        if character in LATIN_LETTERS:
            marks, carries = 0, True
        elif character in COMBINING_MARKS:
            marks += 1
            if not carries or marks > _MOST_MARKS:
                raise _forbidden(character, place)
        elif character in kind.signs:
            carries = False
        else:
            raise _forbidden(character, place)


def _forbidden(character: str, place: int) -> PassRefusal:
    shown = character if character.isprintable() and not unicodedata.combining(character) else "\u25cc"
    return PassRefusal(
        "NAME_FORBIDDEN_CHAR", character=shown, code_point=f"U+{ord(character):04X}", place=place
    )
