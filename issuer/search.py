"""Finding passes by holder's name, number, plate, zone, status, type and day.

Names are found however their umlauts are typed, each word by its beginning (`passes.names.search_keys`). A plate is
found as what it is and never as a string: UE-MA 123 is not UEM-A 123.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, false, or_, select, tuple_

from issuer.models import HolderRow, PassRow, PassTermRow
from issuer.search_terms import PLATE, ZONE
from passes.errors import PassRefusal
from passes.names import search_keys
from passes.plates import Plate, PlateAmbiguous

LONGEST: Final = 100
_MOST_WORDS: Final = 8
# None, electric, vintage: a key ends with the suffix.
SUFFIXES: Final = ("", "E", "H")


@dataclass(frozen=True, slots=True)
class PassQuery:
    """What is looked for; None and empty do not matter. ``text`` is a name, a number's beginning or a plate.

    Names are compared only with ``by_name``, for those who may know holders.
    """

    text: str = ""
    plate: Plate | None = None
    zone: str | None = None
    status: str | None = None
    type_id: str | None = None
    valid_on: date | None = None
    by_name: bool = False


def passes_like(tenant: str, query: PassQuery) -> Select[Any]:
    """The passes of ``tenant`` that ``query`` describes, in no order."""
    found = select(PassRow).where(PassRow.tenant == tenant)
    if query.type_id is not None:
        found = found.where(PassRow.type_id == query.type_id)
    if query.status is not None:
        found = found.where(PassRow.status == query.status)
    if query.valid_on is not None:
        found = found.where(PassRow.period_first <= query.valid_on, PassRow.period_last >= query.valid_on)
    if query.plate is not None:
        found = found.where(_with_term(tenant, PLATE, PassTermRow.value == query.plate.key))
    if query.zone is not None:
        found = found.where(_with_term(tenant, ZONE, PassTermRow.value == query.zone))
    if query.text.strip():
        found = found.where(_text(tenant, query))
    return found


def _text(tenant: str, query: PassQuery) -> ColumnElement[bool]:
    text = query.text.strip()[:LONGEST]
    ways: list[ColumnElement[bool]] = [_number(text)]
    if keys := _plate_keys(text):
        ways.append(_with_term(tenant, PLATE, PassTermRow.value.in_(keys)))
    if query.by_name and (name := _named(tenant, text)) is not None:
        ways.append(name)
    return or_(*ways)


def _number(text: str) -> ColumnElement[bool]:
    """Numbers that begin with ``text``, in capitals or as typed: imports keep the case that they have."""
    if not text.isascii() or " " in text:
        return false()
    return or_(*(_begins(PassRow.number, one) for one in sorted({text, text.upper()})))


def _begins(column: Any, start: str) -> ColumnElement[bool]:
    found: ColumnElement[bool] = column.startswith(start, autoescape=True)
    return found


def _plate_keys(text: str) -> list[str]:
    """The compare keys of what ``text`` can be read as; typed without E or H, those with one count as well."""
    try:
        plates: tuple[Plate, ...] = (Plate.parse(text),)
    except PlateAmbiguous as ambiguous:
        plates = ambiguous.suggestions
    except PassRefusal:
        return []
    return sorted({one.key + suffix for one in plates for suffix in (("",) if one.suffix else SUFFIXES)})


def _named(tenant: str, text: str) -> ColumnElement[bool] | None:
    words = [sorted(search_keys(word)) for word in text.replace("-", " ").split()[:_MOST_WORDS]]
    if not any(words):
        return None
    # Keys have letters, digits and spaces only, so that nothing in them is a wildcard.
    conditions = [
        or_(
            *(
                condition
                for key in keys
                for condition in (
                    HolderRow.search_keys.like(f"{key}%"),
                    HolderRow.search_keys.like(f"% {key}%"),
                    HolderRow.search_keys.like(f"%\n{key}%"),
                )
            )
        )
        for keys in words
        if keys
    ]
    people = select(HolderRow.ref).where(HolderRow.tenant == tenant, and_(*conditions))
    return PassRow.holder_ref.in_(people)


def _with_term(tenant: str, kind: str, condition: ColumnElement[bool]) -> ColumnElement[bool]:
    keys = select(PassTermRow.type_id, PassTermRow.number).where(
        PassTermRow.tenant == tenant, PassTermRow.kind == kind, condition
    )
    return tuple_(PassRow.type_id, PassRow.number).in_(keys)
