"""The cells of a row as values: each by the kind that the pass type declares for its column."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Final

from issuer.errors import IssuerRefusal
from passes.errors import PassRefusal
from passes.names import FieldKind, mojibake_suspected, normalise
from passes.plates import Plate, parse_with_season
from passes.seasons import Season
from passes.type_file import ColumnSpec
from passes.zones import normalise_zone_code

PlateCell = tuple[Plate, Season | None]
Value = str | int | bool | date | Season | PlateCell | None

NUMBER_FORM: Final = re.compile(r"[A-Za-z0-9._-]{1,40}")
_REFERENCE = re.compile(r"[A-Za-z0-9._/-]{1,40}")
_DIGITS = re.compile(r"[0-9]{1,9}")
_LANGUAGE = re.compile(r"[a-z]{2,3}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_EMAIL = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z][A-Za-z0-9-]{1,62}"
)
_LONGEST_EMAIL = 254
_WORDS = {"yes": True, "ja": True, "no": False, "nein": False}
_CACHE_SIZE = 50_000


class Normaliser:
    """Turns cells into values. Registers repeat towns, streets and names, so texts are kept once seen."""

    def __init__(self) -> None:
        self._seen: dict[tuple[FieldKind, str], str] = {}

    def value(self, spec: ColumnSpec, cell: str) -> Value:
        """The value of ``cell`` in the column ``spec``; None if it is empty.

        Raises a Refusal: VALUE_MISSING for an empty cell of a required column, and what the kind asks for.
        """
        bare = cell.strip(" ")
        if not bare:
            if spec.required:
                raise IssuerRefusal("VALUE_MISSING", field=spec.name)
            return None
        text_kind = _TEXT_KINDS.get(spec.kind)
        if text_kind is not None:
            return self._text(spec, text_kind, cell)
        return _READERS[spec.kind](spec, bare)

    def suspicion(self, spec: ColumnSpec, value: Value) -> str | None:
        """What the text was before an encoding spoilt it, if it looks spoilt."""
        if spec.kind not in _TEXT_KINDS or not isinstance(value, str):
            return None
        return mojibake_suspected(value)

    def _text(self, spec: ColumnSpec, kind: FieldKind, cell: str) -> str | None:
        key = (kind, cell)
        text = self._seen.get(key)
        if text is None:
            text = normalise(cell, kind)
            if len(self._seen) >= _CACHE_SIZE:
                self._seen.clear()
            self._seen[key] = text
        if len(text) > spec.max_length:
            raise PassRefusal("FIELD_TOO_LONG", length=len(text), limit=spec.max_length)
        if not text:
            if spec.required:
                raise IssuerRefusal("VALUE_MISSING", field=spec.name)
            return None
        return text


_TEXT_KINDS: Final[Mapping[str, FieldKind]] = {
    "name": FieldKind.NAME,
    "organisation": FieldKind.ORGANISATION,
    "address": FieldKind.ADDRESS,
    "text": FieldKind.TEXT,
}


def _number(spec: ColumnSpec, text: str) -> str:
    if NUMBER_FORM.fullmatch(text) is None or set(text) == {"."}:
        raise IssuerRefusal("NUMBER_FORMAT", field=spec.name)
    return text


def _reference(spec: ColumnSpec, text: str) -> str:
    if _REFERENCE.fullmatch(text) is None:
        raise IssuerRefusal("REFERENCE_FORMAT", field=spec.name)
    return text


def is_email(text: str) -> bool:
    """Whether ``text`` is a mail address that the register takes."""
    return len(text) <= _LONGEST_EMAIL and ".." not in text and _EMAIL.fullmatch(text) is not None


def _email(spec: ColumnSpec, text: str) -> str:
    if not is_email(text):
        raise IssuerRefusal("EMAIL_FORMAT", field=spec.name)
    return text


def _language(spec: ColumnSpec, text: str) -> str:
    if _LANGUAGE.fullmatch(text) is None:
        raise IssuerRefusal("LANGUAGE_FORMAT", field=spec.name)
    return text


def _date(_spec: ColumnSpec, text: str) -> date:
    """Any day of the calendar: whether its year makes sense, the checks say in better words."""
    if _DAY.fullmatch(text) is not None:
        with contextlib.suppress(ValueError):
            return date.fromisoformat(text)
    raise PassRefusal("DATE_FORMAT", example="2026-11-20")


def _integer(spec: ColumnSpec, text: str) -> int:
    if _DIGITS.fullmatch(text) is None or not spec.minimum <= int(text) <= spec.maximum:
        raise IssuerRefusal("INTEGER_FORMAT", field=spec.name, minimum=spec.minimum, maximum=spec.maximum)
    return int(text)


def _choice(spec: ColumnSpec, text: str) -> str:
    if text not in spec.choices:
        raise IssuerRefusal("CHOICE_UNKNOWN", field=spec.name, known=", ".join(spec.choices))
    return text


def _yes_no(spec: ColumnSpec, text: str) -> bool:
    if text.lower() not in _WORDS:
        raise IssuerRefusal("YES_NO_FORMAT", field=spec.name)
    return _WORDS[text.lower()]


def _card_text(spec: ColumnSpec, text: str) -> str:
    if len(text) > spec.max_length:
        raise PassRefusal("FIELD_TOO_LONG", length=len(text), limit=spec.max_length)
    return text


_READERS: Final[Mapping[str, Callable[[ColumnSpec, str], Value]]] = {
    "number": _number,
    "reference": _reference,
    "email": _email,
    "language": _language,
    "date": _date,
    "integer": _integer,
    "cents": _integer,
    "choice": _choice,
    "yes_no": _yes_no,
    "zone": lambda _spec, text: normalise_zone_code(text),
    "plate": lambda _spec, text: parse_with_season(text),
    "season": lambda _spec, text: Season.parse(text),
    # Number, scheme and symbology make one value together: see `row_under_check.normalised`.
    "card_number": _card_text,
    "card_scheme": _card_text,
    "symbology": _card_text,
}
