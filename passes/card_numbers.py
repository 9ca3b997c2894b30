"""Card numbers of libraries: text exactly as printed, with an optional check rule of the library.

No two libraries number alike, and a number may have leading zeros, letters or a check digit nobody knows the
rule of. So a number is text. A library may name a check scheme from the table below; without one only the
symbology limits what the number may hold. One thing no number may do is to begin like a seal: readers tell the
two apart by nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate
from types import MappingProxyType
from typing import Final, Self

from passes.errors import PassRefusal
from passes.rotating import PREFIX as ROTATING_PREFIX
from passes.seal import PREFIX

LONGEST: Final = 40
#: The longest number that is drawn as bars. In Code 39, the widest, 26 characters on a card of 85.6 mm have narrow
#: bars of 0.19 mm; AIM's specifications of the linear symbologies allow no finer ones.
LONGEST_IN_BARS: Final = 26
SCHEME_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")

_BASE32 = "0123456789ABCDEFGHIJKLMNOPQRSTUV"
_KENNUNG_DIGITS = 9
_LARGEST_GROUP = 4


class Symbology(StrEnum):
    """The printed codes that the self-checks and desk scanners of a library read."""

    CODABAR = "CODABAR"
    CODE_39 = "CODE_39"
    CODE_128 = "CODE_128"
    EAN_13 = "EAN_13"
    ITF = "ITF"
    QR = "QR"


# What a symbology can encode: ANSI/AIM BC3 (Codabar), BC1 (Code 39), ISO/IEC 15417, 15420 and 16390.
_ENCODABLE: Final[Mapping[Symbology, re.Pattern[str]]] = {
    Symbology.CODABAR: re.compile(r"[0-9$:/.+-]+"),
    Symbology.CODE_39: re.compile(r"[0-9A-Z $%+./-]+"),
    Symbology.CODE_128: re.compile(r"[!-~]+"),
    Symbology.EAN_13: re.compile(r"[0-9]{13}"),
    Symbology.ITF: re.compile(r"(?:[0-9]{2})+"),
    Symbology.QR: re.compile(r"[!-~]+"),
}
# What a symbology can hold, in words; the others hold what any number may.
_SENTENCES: Final[Mapping[Symbology | None, str]] = {
    Symbology.CODABAR: "CARD_FORMAT_CODABAR",
    Symbology.CODE_39: "CARD_FORMAT_CODE_39",
    Symbology.EAN_13: "CARD_FORMAT_EAN_13",
    Symbology.ITF: "CARD_FORMAT_ITF",
}
_ANY_SENTENCE: Final = "CARD_FORMAT_CHARACTERS"
_ANY: Final = re.compile(r"[!-~]+")
# A keyboard with Caps Lock on turns the letters of what a scanner types.
_LIKE_A_SEAL: Final = (PREFIX.casefold(), ROTATING_PREFIX.casefold())
_CODABAR_FRAME: Final = re.compile(r"([A-Da-d])(.+)([A-Da-d])")
_CODE_39_FRAME: Final = re.compile(r"\*(.+)\*")


@dataclass(frozen=True, slots=True)
class CheckScheme:
    """A numbering rule: the form of a number and the test of its check digit."""

    form: re.Pattern[str]
    check: Callable[[str], bool]


def _luhn(text: str) -> bool:
    """Luhn, ISO/IEC 7812-1 annex B: every second digit from the right doubled, digit sum divisible by 10."""
    digits = [int(digit) for digit in reversed(text)]
    return (sum(digits[0::2]) + sum(sum(divmod(2 * digit, 10)) for digit in digits[1::2])) % 10 == 0


def _mod11(text: str) -> bool:
    """Weights 1, 2, 3, ... from the right over all digits behind the letter, X being 10; divisible by 11."""
    digits = [10 if digit == "X" else int(digit) for digit in reversed(text[1:])]
    return sum(weight * digit for weight, digit in enumerate(digits, start=1)) % 11 == 0


def _weights_3_1(digits: str) -> bool:
    """Check digit last; weights 3, 1, 3, 1, ... from the right over those before it; divisible by 10."""
    return sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(reversed(digits))) % 10 == 0


def _sbc_kennung(text: str) -> bool:
    digits = text if len(text) == _KENNUNG_DIGITS else str(int(text, 32))
    return len(digits) == _KENNUNG_DIGITS and _weights_3_1(digits)


def _sbc_reader(text: str) -> bool:
    """An SBC Kennung of kind 3, reader, in base 32, before a running number of six digits."""
    digits = str(int(text[:6], 32))
    return digits.startswith("3") and _sbc_kennung(digits)


#: The check schemes by name.
#:
#: - ``codabar14``: 14 digits, the last by Luhn.
#: - ``mod11``: a letter and nine digits, the last one (0-9 or X) by modulus 11.
#: - ``sbc_kennung``: SBC-Standard, nine digits or the same in base 32 (0-9, A-V): kind of object, seven-digit
#:   library key, check digit; ``211403607`` is ``69JGQN``.
#: - ``sbc_like``: the Kennung of the library's readers in base 32, then six digits; the check digit is the
#:   Kennung's, the six digits have none.
SCHEMES: Final[Mapping[str, CheckScheme]] = MappingProxyType(
    {
        "codabar14": CheckScheme(re.compile(r"[0-9]{14}"), _luhn),
        "mod11": CheckScheme(re.compile(r"[A-Z][0-9]{8}[0-9X]"), _mod11),
        "sbc_kennung": CheckScheme(re.compile(r"[0-9]{9}|[0-9A-V]{6}"), _sbc_kennung),
        "sbc_like": CheckScheme(re.compile(r"[0-9A-V]{6}[0-9]{6}"), _sbc_reader),
    }
)


@dataclass(frozen=True, slots=True)
class CardNumber:
    """One card number. ``text`` is what the card shows; ``scheme`` and ``symbology`` are None if not known.

    Raises PassRefusal CARD_FORMAT for text that the symbology cannot encode or that lacks the form of a scheme of
    the table, CARD_LIKE_SEAL for one that begins like a seal (``SP1:``, ``SP1R:``, in small letters as well),
    CARD_SCHEME_UNKNOWN for what is no scheme's name. A city's own schemes and the check digit are looked at by
    `parse`, so that a stored number can be read when its scheme's file has gone.
    """

    text: str
    scheme: str | None = None
    symbology: Symbology | None = None

    def __post_init__(self) -> None:
        if self.scheme is not None and SCHEME_NAME.fullmatch(self.scheme) is None:
            raise PassRefusal("CARD_SCHEME_UNKNOWN", known=", ".join(sorted(SCHEMES)))
        _refuse_seal(self.text)
        known = None if self.scheme is None else SCHEMES.get(self.scheme)
        if known is not None and (len(self.text) > LONGEST or known.form.fullmatch(self.text) is None):
            raise _refused(self.scheme)
        encodable = _ANY if self.symbology is None else _ENCODABLE[self.symbology]
        if not (
            len(self.text) <= LONGEST
            and encodable.fullmatch(self.text)
            and (self.symbology is not Symbology.EAN_13 or _weights_3_1(self.text))
        ):
            raise _not_encodable(self.text, self.symbology)

    @classmethod
    def parse(
        cls,
        text: str,
        scheme: str = "",
        symbology: str = "",
        schemes: Mapping[str, CheckScheme] | None = None,
    ) -> Self:
        """Read a number as it was typed, imported or scanned; empty ``scheme`` or ``symbology`` mean unknown.

        ``schemes`` are those that are known: the table's, if none are given, else those of the pass type.

        Start and stop characters that a scanner hands on (``*...*`` of Code 39, ``A...B`` of Codabar) are
        taken off first. A number that came with them was read from a card and is what the card shows, so
        its check digit is not held against it (`check_digit_holds` tells); a typed or imported one must hold.

        Raises PassRefusal CARD_FORMAT, CARD_LIKE_SEAL, CARD_SCHEME_UNKNOWN or CARD_SYMBOLOGY_UNKNOWN.
        """
        try:
            kind = Symbology(symbology) if symbology else None
        except ValueError:
            known = ", ".join(Symbology)
            raise PassRefusal("CARD_SYMBOLOGY_UNKNOWN", known=known) from None
        # A whole seal, scanned where a number is asked for, is longer than any number.
        _refuse_seal(text[: LONGEST + 2].strip(" "))
        if len(text) > LONGEST + 2:
            raise _refused(scheme) if scheme else _not_encodable(text, kind)
        known_schemes = SCHEMES if schemes is None else schemes
        if scheme and scheme not in known_schemes:
            raise PassRefusal("CARD_SCHEME_UNKNOWN", known=", ".join(sorted(known_schemes)))
        bare = _without_frame(text.strip(" "), scheme, kind)
        number = cls(bare, scheme or None, kind)
        rule = known_schemes[scheme] if scheme else None
        if rule is not None and (
            rule.form.fullmatch(bare) is None or (bare == text.strip(" ") and not rule.check(bare))
        ):
            raise _refused(scheme)
        return number

    @property
    def check_digit_holds(self) -> bool:
        """Whether the check digit fits a scheme of the table; True without one, which has nothing to hold."""
        return self.scheme is None or self.scheme not in SCHEMES or SCHEMES[self.scheme].check(self.text)

    @property
    def symbologies(self) -> tuple[Symbology, ...]:
        """The symbologies in which the number is shown, best first: its own, then those that stand in for it.

        Code 128 holds every number, and every imager and iOS before 27 read it; QR code reads everywhere but on
        readers of bars. What is too long for bars is shown as QR code alone.
        """
        if self.symbology is Symbology.QR or len(self.text) > LONGEST_IN_BARS:
            return (Symbology.QR,)
        if self.symbology in (None, Symbology.CODE_128):
            return (Symbology.CODE_128, Symbology.QR)
        return (self.symbology, Symbology.CODE_128, Symbology.QR)

    @property
    def is_gtin_14(self) -> bool:
        """Whether the number is one of 14 digits with the check digit of ITF-14 (ISO/IEC 16390, GS1)."""
        return re.fullmatch(r"[0-9]{14}", self.text) is not None and _weights_3_1(self.text)

    @property
    def groups(self) -> tuple[str, ...]:
        """The number in parts of two to four characters, for people who read it out; joined they are the number."""
        count = -(-len(self.text) // _LARGEST_GROUP)
        short, longer = divmod(len(self.text), count)
        sizes = [short + (place < longer) for place in range(count)]
        ends = list(accumulate(sizes))
        return tuple(self.text[end - size : end] for size, end in zip(sizes, ends, strict=True))

    def __str__(self) -> str:
        return self.text


def to_base32(kennung: str) -> str:
    """The base-32 form (0-9, A-V) in which the SBC-Standard prints a Kennung of nine ASCII digits.

    Raises PassRefusal CARD_FORMAT if ``kennung`` is not one or its check digit is wrong.
    """
    if len(kennung) != _KENNUNG_DIGITS:
        raise _refused("sbc_kennung")
    rest = int(CardNumber.parse(kennung, "sbc_kennung").text)
    digits = ""
    while rest:
        rest, digit = divmod(rest, 32)
        digits = _BASE32[digit] + digits
    return digits


def _without_frame(text: str, scheme: str, symbology: Symbology | None) -> str:
    if (symbology is Symbology.CODE_39 or symbology is None) and (found := _CODE_39_FRAME.fullmatch(text)):
        return found[1]
    codabar = symbology is Symbology.CODABAR or (symbology is None and scheme == "codabar14")
    if codabar and (found := _CODABAR_FRAME.fullmatch(text)):
        return found[2]
    return text


def _refuse_seal(text: str) -> None:
    if text.casefold().startswith(_LIKE_A_SEAL):
        raise PassRefusal("CARD_LIKE_SEAL")


def _not_encodable(text: str, symbology: Symbology | None) -> PassRefusal:
    """The refusal of a number for what its symbology can hold, with the sentence that says so."""
    refusal = PassRefusal("CARD_FORMAT", scheme="-", longest=LONGEST)
    is_limited = symbology is not None and 0 < len(text) <= LONGEST
    refusal.text = _SENTENCES.get(symbology, _ANY_SENTENCE) if is_limited else _ANY_SENTENCE
    return refusal


def _refused(scheme: str | None) -> PassRefusal:
    known = scheme is not None and SCHEME_NAME.fullmatch(scheme) is not None
    return PassRefusal("CARD_FORMAT", scheme=scheme if known else "-")
