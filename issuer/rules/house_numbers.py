"""House numbers as people write them, and ranges of them with odd and even sides.

``12 a``, ``12A`` and ``12a`` are one number. A building that has several (``12-14``, ``12 a-c``) is a span: whatever
holds for it must hold for each of its numbers.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from issuer.errors import IssuerRefusal

LONGEST: Final = 24
HIGHEST: Final = 9999
# A building with more numbers than this is a typing error.
WIDEST: Final = 100

_PREFIX = re.compile(r"(?:hausnummer|haus-nr|hausnr|nummer|nr|no)[. ]*(?=[0-9])")
_ONE = r"([0-9]{1,4}) ?([a-z]{1,2}[0-9]?|)"
_FRACTION = re.compile(r"([0-9]{1,4}) ([1-9]/[1-9])")
_NUMBER = re.compile(_ONE)
_SPAN = re.compile(rf"{_ONE} ?[-/+] ?{_ONE}")
_LETTERS = re.compile(r"([0-9]{1,4}) ?([a-z]) ?[-/+] ?([a-z])")
_SIGNS = str.maketrans({"–": "-", "—": "-", "‐": "-", "‑": "-", "½": " 1/2", "¼": " 1/4", "¾": " 3/4"})
# Orders suffixes: none, fractions, letters, and behind them all the end of a range that has no suffix.
_NO_SUFFIX, _FRACTIONAL, _LETTERED, _BEHIND = range(4)


class Side(StrEnum):
    """Which numbers of a range are meant."""

    ALL = "all"
    ODD = "odd"
    EVEN = "even"

    def has(self, number: int) -> bool:
        """Whether ``number`` lies on this side."""
        return self is Side.ALL or (number % 2 == 1) is (self is Side.ODD)


@dataclass(frozen=True, slots=True)
class HouseNumber:
    """One number, 1 to 9999, with its suffix: empty, letters (``a``) or a fraction (``1/2``)."""

    number: int
    suffix: str = ""

    @property
    def order(self) -> tuple[int, int, str]:
        """By this numbers are sorted: 12, 12 1/2, 12a, 13."""
        if not self.suffix:
            return self.number, _NO_SUFFIX, ""
        return self.number, _FRACTIONAL if "/" in self.suffix else _LETTERED, self.suffix

    def __str__(self) -> str:
        return f"{self.number} {self.suffix}" if "/" in self.suffix else f"{self.number}{self.suffix}"


@dataclass(frozen=True, slots=True)
class NumberRange:
    """The numbers from ``first`` to ``last`` on one side, both inclusive.

    A range whose last number has no suffix holds that number's suffixes too (1 to 19 holds 19a); a single number
    without a suffix is that number alone, since its 12a may stand elsewhere in the directory. Raises IssuerRefusal
    HOUSE_RANGE if it ends before it begins or nothing lies on its side.
    """

    first: HouseNumber
    last: HouseNumber
    side: Side = Side.ALL

    def __post_init__(self) -> None:
        numbers = range(self.first.number, self.last.number + 1)
        if self.last.order < self.first.order or not any(map(self.side.has, numbers[:2])):
            raise IssuerRefusal("HOUSE_RANGE", first=str(self.first), last=str(self.last))

    @property
    def whole_street(self) -> bool:
        """Whether this is every number of a street, and addresses without one."""
        return self == WHOLE_STREET

    def __contains__(self, one: HouseNumber) -> bool:
        return self.side.has(one.number) and self.first.order <= one.order <= self._end

    @property
    def _end(self) -> tuple[int, int, str]:
        if self.last.suffix or self.first == self.last:
            return self.last.order
        return self.last.number, _BEHIND, ""

    def overlaps(self, other: NumberRange) -> bool:
        """Whether some number lies in both."""
        start, end = max(self.first.order, other.first.order), min(self._end, other._end)
        # Of two neighbouring numbers one is odd; more need not be looked at.
        both = range(start[0], end[0] + 1)[:2]
        return start <= end and any(self.side.has(one) and other.side.has(one) for one in both)


WHOLE_STREET: Final = NumberRange(HouseNumber(0), HouseNumber(HIGHEST))


def parse_house_number(text: str) -> tuple[HouseNumber, ...]:
    """The numbers that ``text`` names: one, or for a building with several the first, the last and those between.

    Accepted are case, blanks, ``Nr.``, dashes of any kind, ``½``. A span between numbers of one side holds that side
    only, as numbers on a street do. Raises IssuerRefusal HOUSE_NUMBER_FORMAT for anything else, for 0, a span that
    runs backwards and one of more than 100 numbers.
    """
    if len(text) > LONGEST:
        raise IssuerRefusal("HOUSE_NUMBER_FORMAT")
    tidy = unicodedata.normalize("NFC", text).translate(_SIGNS).lower()
    tidy = _PREFIX.sub("", " ".join(tidy.split()), count=1) if tidy else tidy
    found = _FRACTION.fullmatch(tidy) or _NUMBER.fullmatch(tidy)
    if found is not None:
        return (_one(found[1], found[2]),)
    found = _LETTERS.fullmatch(tidy)
    if found is not None and found[2] < found[3]:
        letters = map(chr, range(ord(found[2]), ord(found[3]) + 1))
        return tuple(_one(found[1], letter) for letter in letters)
    found = _SPAN.fullmatch(tidy)
    if found is None:
        raise IssuerRefusal("HOUSE_NUMBER_FORMAT")
    first, last = _one(found[1], found[2]), _one(found[3], found[4])
    if last.order <= first.order or last.number - first.number > WIDEST:
        raise IssuerRefusal("HOUSE_NUMBER_FORMAT")
    step = 1 if (last.number - first.number) % 2 else 2
    between = (HouseNumber(number) for number in range(first.number + step, last.number, step))
    return (first, *between, last)


def _one(number: str, suffix: str) -> HouseNumber:
    if int(number) == 0:
        raise IssuerRefusal("HOUSE_NUMBER_FORMAT")
    return HouseNumber(int(number), suffix)
