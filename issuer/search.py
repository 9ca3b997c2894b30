"""Finding passes by holder's name, number, plate, zone, status, type and day.

Names are found however their umlauts are typed, each word by its beginning (`passes.names.search_keys`). A plate is
found as what it is and never as a string: UE-MA 123 is not UEM-A 123.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, exists, false, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from issuer.models import HolderRow, PassRow, PassTermRow
from issuer.search_terms import PLATE, ZONE
from passes.errors import PassRefusal
from passes.names import search_keys
from passes.plates import Plate, PlateAmbiguous

LONGEST: Final = 100
_MOST_WORDS: Final = 8
# A plate whose permit was renewed as a new one for decades has fewer.
_MOST_WITH_PLATE: Final = 100
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


def passes_like(session: Session, tenant: str, query: PassQuery) -> Select[Any]:
    """The passes of ``tenant`` that ``query`` describes, in no order.

    Who has a plate is looked up at once: a handful at most, by which the database then finds the passes directly.
    """
    found = select(PassRow).where(PassRow.tenant == tenant)
    if query.type_id is not None:
        found = found.where(PassRow.type_id == query.type_id)
    if query.status is not None:
        found = found.where(PassRow.status == query.status)
    if query.valid_on is not None:
        found = found.where(PassRow.period_first <= query.valid_on, PassRow.period_last >= query.valid_on)
    if query.plate is not None:
        found = found.where(_with_plate(session, tenant, [query.plate.key]))
    if query.zone is not None:
        found = found.where(_in_zone(tenant, query.zone))
    if query.text.strip():
        found = found.where(_text(session, tenant, query))
    return found


def _text(session: Session, tenant: str, query: PassQuery) -> ColumnElement[bool]:
    text = query.text.strip()[:LONGEST]
    if keys := plate_keys(text):
        return or_(_number(text), _with_plate(session, tenant, keys))
    # With a digit and in one piece it is the number of something, not somebody's name.
    is_number = " " not in text and any(character.isdecimal() for character in text)
    name = _named(tenant, text) if query.by_name and not is_number else None
    return _number(text) if name is None else or_(_number(text), name)


def _number(text: str) -> ColumnElement[bool]:
    """Numbers that begin with ``text``, in capitals or as typed: imports keep the case that they have."""
    if not text.isascii() or " " in text:
        return false()
    return or_(*(_begins(PassRow.number, one) for one in sorted({text, text.upper()})))


def _begins(column: Any, start: str) -> ColumnElement[bool]:
    found: ColumnElement[bool] = column.startswith(start, autoescape=True)
    return found


def plate_keys(text: str) -> list[str]:
    """The compare keys of what ``text`` can be read as; typed without E or H, those with one count as well."""
    try:
        plates: tuple[Plate, ...] = (Plate.parse(text),)
    except PlateAmbiguous as ambiguous:
        plates = ambiguous.suggestions
    except PassRefusal:
        return []
    return sorted({one.key + suffix for one in plates for suffix in (("",) if one.suffix else SUFFIXES)})


def _named(tenant: str, text: str) -> ColumnElement[bool] | None:
    condition = name_condition(HolderRow.search_keys, text)
    if condition is None:
        return None
    people = select(HolderRow.ref).where(HolderRow.tenant == tenant, condition)
    return PassRow.holder_ref.in_(people)


def name_condition(keys: InstrumentedAttribute[str], text: str) -> ColumnElement[bool] | None:
    """Whether the name with the spellings ``keys`` has words that begin as those of ``text``; None for no word."""
    words = [sorted(search_keys(word)) for word in text.replace("-", " ").split()[:_MOST_WORDS]]
    if not any(words):
        return None
    return and_(*(or_(*(_has_word(keys, one) for one in spellings)) for spellings in words if spellings))


def _has_word(keys: InstrumentedAttribute[str], start: str) -> ColumnElement[bool]:
    """A word of the name begins with ``start``, which has letters, digits and spaces only: nothing is a wildcard."""
    # The first condition is the only one that most holders are compared with.
    return and_(
        keys.like(f"%{start}%"),
        or_(keys.like(f"{start}%"), keys.like(f"% {start}%"), keys.like(f"%\n{start}%")),
    )


def _with_plate(session: Session, tenant: str, keys: Sequence[str]) -> ColumnElement[bool]:
    found = session.execute(
        select(PassTermRow.type_id, PassTermRow.number)
        .where(PassTermRow.tenant == tenant, PassTermRow.kind == PLATE, PassTermRow.value.in_(keys))
        .order_by(PassTermRow.type_id, PassTermRow.number)
        .limit(_MOST_WITH_PLATE)
    ).all()
    if not found:
        return false()
    return or_(*(and_(PassRow.type_id == type_id, PassRow.number == number) for type_id, number in found))


def _in_zone(tenant: str, code: str) -> ColumnElement[bool]:
    return exists().where(
        PassTermRow.tenant == tenant,
        PassTermRow.kind == ZONE,
        PassTermRow.value == code,
        PassTermRow.type_id == PassRow.type_id,
        PassTermRow.number == PassRow.number,
    )
