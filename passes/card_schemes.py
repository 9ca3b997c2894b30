"""Card number schemes as data: the form of a number and the weights of its check digit, in a TOML file.

A city's own folder of pass types may hold ``card-schemes.toml``; its schemes stand beside the built-in ones
(`passes.card_numbers.SCHEMES`) for every type. What weights cannot say, such as the base 32 of the SBC-Standard,
is an entry of that table in code.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from importlib.resources.abc import Traversable
from typing import Annotated, Final

import msgspec

from passes.card_numbers import LONGEST, SCHEME_NAME, SCHEMES, CheckScheme
from passes.errors import PassRefusal

FILE_NAME: Final = "card-schemes.toml"
# Characters and classes of them, each with a fixed or bounded count, and alternatives. Few counts may be open, so
# that no text makes a form slow.
_COUNT: Final = r"(?:\{[0-9]{1,2}(?:,[0-9]{1,2})?\})?"
_ATOM: Final = rf"(?:\[[0-9A-Za-z-]{{1,40}}\]|[0-9A-Za-z:/%-]){_COUNT}"
_FORM: Final = re.compile(rf"(?:{_ATOM}){{1,20}}(?:\|(?:{_ATOM}){{1,20}}){{0,3}}")
_LONGEST_FORM: Final = 200
_OPEN_COUNTS: Final = 2
_LONGEST_FILE: Final = 100_000


_Weight = Annotated[int, msgspec.Meta(ge=0, le=1000)]


class WeightedCheck(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A check by weights: characters are values, weighted from the right and summed.

    A character's value is its place in ``alphabet``. The weights repeat; the first is that of the last character,
    which usually is the check digit. The first ``skip`` characters do not count. With ``digit_sums`` the digits of
    each product are added (Luhn). The sum modulo ``modulus`` must be ``remainder``.
    """

    modulus: Annotated[int, msgspec.Meta(ge=2, le=1000)]
    weights: Annotated[
        tuple[Annotated[int, msgspec.Meta(ge=0, le=1000)], ...],
        msgspec.Meta(min_length=1, max_length=LONGEST),
    ]
    alphabet: Annotated[str, msgspec.Meta(min_length=2, max_length=64, pattern=r"\A[!-~]+\Z")] = "0123456789"
    skip: Annotated[int, msgspec.Meta(ge=0, le=LONGEST)] = 0
    remainder: Annotated[int, msgspec.Meta(ge=0, le=999)] = 0
    digit_sums: bool = False

    def __call__(self, text: str) -> bool:
        """Whether the check digit of ``text`` holds; False for characters without a value."""
        counted = text[self.skip :]
        if not counted or not set(counted) <= set(self.alphabet):
            return False
        total = 0
        for place, character in enumerate(reversed(counted)):
            product = self.alphabet.index(character) * self.weights[place % len(self.weights)]
            total += sum(map(int, str(product))) if self.digit_sums else product
        return total % self.modulus == self.remainder


class _Scheme(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: Annotated[str, msgspec.Meta(pattern=rf"\A{SCHEME_NAME.pattern}\Z")]
    form: Annotated[str, msgspec.Meta(min_length=1, max_length=_LONGEST_FORM)]
    check: WeightedCheck | None = None


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    schemes: Annotated[tuple[_Scheme, ...], msgspec.Meta(max_length=100)] = ()


def read_schemes(file: Traversable) -> Mapping[str, CheckScheme]:
    """The schemes in ``file`` by name; without ``check`` a scheme has a form alone.

    Raises PassRefusal TYPE_FILE for anything that is not as declared here, a form that could be slow, a name used
    twice or that of a built-in scheme.
    """
    try:
        text = file.read_text("utf-8")
        if len(text) > _LONGEST_FILE:
            raise _faulty(file, "the file is too long")
        told = msgspec.convert(tomllib.loads(text), _File)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as fault:
        raise _faulty(file, str(fault)) from fault
    found: dict[str, CheckScheme] = {}
    for one in told.schemes:
        if one.name in SCHEMES or one.name in found:
            raise _faulty(file, f"the scheme {one.name} is there already")
        found[one.name] = CheckScheme(_form(file, one), one.check or _no_check)
    return found


def _form(file: Traversable, scheme: _Scheme) -> re.Pattern[str]:
    if _FORM.fullmatch(scheme.form) is None or scheme.form.count(",") > _OPEN_COUNTS:
        raise _faulty(file, f"the form of {scheme.name} has more than characters, classes, few counts and |")
    try:
        return re.compile(scheme.form)
    except re.error as fault:
        raise _faulty(file, f"the form of {scheme.name}: {fault}") from fault


def _no_check(text: str) -> bool:
    return bool(text)


def _faulty(file: Traversable, fault: str) -> PassRefusal:
    return PassRefusal("TYPE_FILE", file=str(file), fault=fault)
