"""What a scanner, a camera or a person at the desk delivers, as the card numbers that it can be.

Scanners hand on more than the number: start and stop characters (``*...*`` of Code 39, ``A...B`` of Codabar), an
identifier of the symbology (ISO/IEC 15424, ``]F0``), blanks, a carriage return; with Caps Lock on they type small
letters. Which of that belongs to the number only the library knows: the answer is every spelling that can be meant.

A seal is never a card number: what begins with a word and a colon (``SP1:``, ``https:``, ``tel:``) is neither sent to
a library nor looked up. Nor is what has other signs than letters, digits and those of Code 39 and Codabar: of several
layouts in which keys can be understood, the wrong ones mostly have them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from passes.card_numbers import LONGEST, SCHEMES, CardNumber, CheckScheme, Symbology
from passes.errors import PassRefusal

LONGEST_DELIVERED: Final = 80

_EDGES: Final = "".join(map(chr, range(0x21))) + "\x7f"
_SIGNS: Final = re.compile(r"[0-9A-Za-z $%+./:_*-]*")
_INSIDE: Final = re.compile(r"[\x00-\x1f\x7f]")
_IDENTIFIER: Final = re.compile(r"\]([A-Za-z])[0-9A-Za-z]")
_OF_IDENTIFIER: Final = {
    "A": Symbology.CODE_39, "C": Symbology.CODE_128, "E": Symbology.EAN_13, "F": Symbology.CODABAR,
    "I": Symbology.ITF, "Q": Symbology.QR,
}  # fmt: skip
_WORD_AND_COLON: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_CODABAR_FRAME: Final = re.compile(r"[A-Da-d]([0-9$:/.+-]+)[A-Da-d]")
_CODABAR_BARE: Final = re.compile(r"[0-9$:/.+-]+")
# They have capital letters only, so a small one is the keyboard's.
_CAPITALS: Final = frozenset({Symbology.CODABAR, Symbology.CODE_39, Symbology.EAN_13, Symbology.ITF})


class Delivered(StrEnum):
    """What kind of thing was delivered."""

    NUMBER = "number"
    #: Half of a code, or two run into each other.
    MISREAD = "misread"
    #: No card number: a seal, an address, a word.
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Spelling:
    """A card number that may be meant. ``framed``: start and stop characters came with it, so it was read whole."""

    text: str
    framed: bool = False

    def fits(self, schemes: Collection[str], known: Mapping[str, CheckScheme] = SCHEMES) -> bool:
        """Whether one of ``schemes`` has such a number; True without any, and where one of them is not ``known``.

        The check digit of a framed number is not held against it, as `CardNumber.parse` has it.
        """
        if not schemes or any(name not in known for name in schemes):
            return True
        return any(
            known[name].form.fullmatch(self.text) and (self.framed or known[name].check(self.text))
            for name in schemes
        )


@dataclass(frozen=True, slots=True)
class ScannedCard:
    """What was delivered, and for a number its spellings, the likeliest first; for everything else none."""

    kind: Delivered
    spellings: tuple[Spelling, ...] = ()

    def of_schemes(self, schemes: Collection[str], known: Mapping[str, CheckScheme] = SCHEMES) -> ScannedCard:
        """The same for a library that numbers by ``schemes`` alone: a number that fits none of them is misread.

        ``known`` are the built-in ones, and a city's own where its folder is at hand.
        """
        fitting = tuple([one for one in self.spellings if one.fits(schemes, known)])
        if self.kind is not Delivered.NUMBER or fitting:
            return ScannedCard(self.kind, fitting)
        return ScannedCard(Delivered.MISREAD)


def scanned_card(text: str, symbology: Symbology | None = None) -> ScannedCard:
    """What ``text`` can be. An identifier in it counts more than ``symbology``, what the reader said it had read."""
    if len(text) > LONGEST_DELIVERED:
        return ScannedCard(Delivered.OTHER)
    bare, told = without_envelope(text)
    kind = told or symbology
    if not bare.isascii() or (_WORD_AND_COLON.match(bare) and not _is_codabar(bare, kind)):
        return ScannedCard(Delivered.OTHER)
    if not bare or _INSIDE.search(bare):
        return ScannedCard(Delivered.MISREAD)
    if not _SIGNS.fullmatch(bare):
        return ScannedCard(Delivered.OTHER)
    found: dict[str, Spelling] = {}
    for one in _spellings(bare, kind):
        if _can_be(one.text, kind):
            found.setdefault(one.text, one)
    if found:
        return ScannedCard(Delivered.NUMBER, tuple(found.values()))
    is_word = kind not in _CAPITALS and not any(sign in "0123456789*" for sign in bare)
    return ScannedCard(Delivered.OTHER if is_word or len(bare) > LONGEST + 2 else Delivered.MISREAD)


def without_envelope(text: str) -> tuple[str, Symbology | None]:
    """``text`` without blanks and control characters around it and without the identifier of a symbology.

    The symbology is None where no identifier names one of ours.
    """
    bare = text.strip(_EDGES)
    identifier = _IDENTIFIER.match(bare)
    if identifier is None:
        return bare, None
    return bare[identifier.end() :].strip(_EDGES), _OF_IDENTIFIER.get(identifier[1])


def _is_codabar(bare: str, kind: Symbology | None) -> bool:
    return kind is Symbology.CODABAR and _CODABAR_FRAME.fullmatch(bare) is not None


def _spellings(bare: str, kind: Symbology | None) -> Iterator[Spelling]:
    if kind in (None, Symbology.CODE_39) and (bare.startswith("*") or bare.endswith("*")):
        # One asterisk alone is half a code.
        inner = bare[1:-1]
        if len(bare) > 2 and bare[0] == bare[-1] == "*" and "*" not in inner:
            yield from _typed(inner.strip(" "), Symbology.CODE_39, framed=True)
        return
    frame = _CODABAR_FRAME.fullmatch(bare)
    if kind is Symbology.CODABAR:
        if frame is not None or _CODABAR_BARE.fullmatch(bare):
            yield Spelling(bare if frame is None else frame[1], frame is not None)
        return
    yield from _typed(bare, kind, framed=False)
    if kind is None and frame is not None:
        yield Spelling(frame[1], framed=True)


def _typed(text: str, kind: Symbology | None, *, framed: bool) -> Iterator[Spelling]:
    """As it is, in capitals, and without the blanks between groups of digits."""
    for one in (text, text.replace(" ", "")):
        if kind not in _CAPITALS:
            yield Spelling(one, framed)
        yield Spelling(one.upper(), framed)


def _can_be(text: str, kind: Symbology | None) -> bool:
    if not any(sign in "0123456789" for sign in text) or "*" in text or _WORD_AND_COLON.match(text):
        return False
    # Of the symbologies only Code 39 has a blank in a number, and it may have been typed.
    code = Symbology.CODE_39 if kind is None and " " in text else kind
    try:
        CardNumber(text, None, code)
    except PassRefusal:
        return False
    return True
