"""The office's work list: cases by state and age, counted by filter, and found by number, plate or name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Text, and_, cast, exists, func, or_, select
from sqlalchemy.orm import Session, aliased

from issuer.cases.states import ENDED, RULES, CaseState, Turn
from issuer.models import PassTermRow
from issuer.models_cases import CaseApplicantRow, CaseRow
from issuer.search import LONGEST, SUFFIXES, name_condition, plate_keys
from issuer.search_terms import PLATE, ZONE
from passes.errors import PassRefusal
from passes.plates import Plate, PlateAmbiguous

# What waits for the office: everything that one of its people can do something about today.
OFFICE: Final = "office"
WAITING: Final = tuple(state for state in CaseState if RULES[state].turn is Turn.OFFICE)
_NUMBER: Final = re.compile(r"[Aa]-[0-9]{4}(?:-[0-9]{0,6})?")
_CURSOR: Final = re.compile(r"([0-9]{1,17})\.([A-Za-z0-9_-]{22})")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class CaseQuery:
    """What is looked for; empty does not matter. ``state`` is one of `CaseState` or `OFFICE`."""

    state: str = ""
    kind: str = ""
    zone: str = ""
    text: str = ""

    @property
    def is_newest_first(self) -> bool:
        """Work is shown oldest first; what has ended, and what is searched for, newest first."""
        return bool(self.text) or self.state in ("", *ENDED)


@dataclass(frozen=True, slots=True)
class CaseLine:
    """A case in the list; ``name`` is who asks, empty after the deletion."""

    id: str
    number: str
    kind: str
    state: CaseState
    zone: str
    name: str
    pass_number: str
    since: datetime
    deadline: date | None
    proposed_by: str

    def is_overdue(self, day: date) -> bool:
        """Whether its deadline has passed on ``day``."""
        return self.deadline is not None and self.deadline < day

    @property
    def cursor(self) -> str:
        """By which the page after this line is asked for."""
        return f"{(self.since - _EPOCH) // _MICROSECOND}.{self.id}"


@dataclass(frozen=True, slots=True)
class Work:
    """How much waits for the office: all of it, second looks among it, and what is overdue."""

    waiting: int
    second_looks: int
    overdue: int


_MICROSECOND: Final = (datetime(1970, 1, 1, 0, 0, 0, 1, tzinfo=UTC)) - _EPOCH
_zone = CaseRow.facts["zone"].as_string()


def find_cases(session: Session, tenant: str, query: CaseQuery, after: str, most: int) -> list[CaseLine]:
    """Up to ``most`` cases behind the line whose cursor is ``after`` (empty: from the beginning).

    An unreadable cursor counts as none. Nothing is skipped or shown twice when cases move meanwhile, but those that
    have moved.
    """
    found = (
        select(CaseRow, CaseApplicantRow)
        .outerjoin(
            CaseApplicantRow,
            (CaseApplicantRow.tenant == CaseRow.tenant) & (CaseApplicantRow.case_id == CaseRow.id),
        )
        .where(*_where(tenant, query))
        .limit(most)
    )
    key = _CURSOR.fullmatch(after)
    if key is not None:
        since, identity = _EPOCH + int(key[1]) * _MICROSECOND, key[2]
        later = CaseRow.state_since < since if query.is_newest_first else CaseRow.state_since > since
        found = found.where(or_(later, and_(CaseRow.state_since == since, CaseRow.id > identity)))
    by = CaseRow.state_since.desc() if query.is_newest_first else CaseRow.state_since
    return [_line(row, person) for row, person in session.execute(found.order_by(by, CaseRow.id))]


def counts(session: Session, tenant: str, query: CaseQuery, name: str) -> dict[str, int]:
    """How many cases each value of the filter ``name`` (state, kind, zone) has, beside the others of ``query``."""
    column: ColumnElement[Any] = {"state": CaseRow.state, "kind": CaseRow.kind, "zone": _zone}[name]
    others = replace(query, **{name: ""})
    value = column.label("value")
    query_of = select(value, func.count()).where(*_where(tenant, others))
    rows = session.execute(query_of.group_by("value").order_by("value"))
    return {str(one): count for one, count in rows if one}


def work(session: Session, tenant: str, day: date) -> Work:
    """How much waits for the office on ``day``."""
    waiting = (CaseRow.tenant == tenant, CaseRow.state.in_([one.value for one in WAITING]))
    rows = session.execute(select(CaseRow.state, func.count()).where(*waiting).group_by(CaseRow.state))
    by_state: dict[str, int] = {str(row[0]): int(row[1]) for row in rows}
    late = session.scalar(select(func.count()).select_from(CaseRow).where(*waiting, CaseRow.deadline < day))
    return Work(sum(by_state.values()), by_state.get(CaseState.SECOND_LOOK.value, 0), late or 0)


def _where(tenant: str, query: CaseQuery) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = [CaseRow.tenant == tenant]
    if query.state == OFFICE:
        found.append(CaseRow.state.in_([one.value for one in WAITING]))
    elif query.state:
        found.append(CaseRow.state == query.state)
    else:
        # What somebody still types is nobody's business yet; who looks for a draft asks for drafts.
        found.append(CaseRow.state != CaseState.DRAFT.value)
    if query.kind:
        found.append(CaseRow.kind == query.kind)
    if query.zone:
        found.append(or_(_zone == query.zone, _of_pass(ZONE, [query.zone])))
    if query.text.strip():
        found.append(_text(query.text.strip()[:LONGEST]))
    return found


def _text(text: str) -> ColumnElement[bool]:
    if not text.isprintable():
        return CaseRow.id == ""
    if _NUMBER.fullmatch(text):
        return CaseRow.number.startswith(text.upper(), autoescape=True)
    if keys := plate_keys(text):
        return or_(_with_plate(text), _of_pass(PLATE, keys), CaseRow.pass_number == text.upper())
    if " " not in text and any(character.isdecimal() for character in text):
        return CaseRow.pass_number.startswith(text.upper(), autoescape=True)
    # Beside the one whose name the list shows.
    person = aliased(CaseApplicantRow)
    named = name_condition(person.search_keys, text)
    if named is None:
        return CaseRow.id == ""
    return exists().where(person.tenant == CaseRow.tenant, person.case_id == CaseRow.id, named)


def _with_plate(text: str) -> ColumnElement[bool]:
    """Cases that ask for a plate: it stands there as it was accepted, in one spelling."""
    try:
        plates: Sequence[Plate] = (Plate.parse(text),)
    except PlateAmbiguous as ambiguous:
        plates = ambiguous.suggestions
    except PassRefusal:
        plates = ()
    facts = cast(CaseRow.facts, Text)
    # Typed without E or H, a plate with one is meant as well.
    spellings = [one.canonical + end for one in plates for end in (("",) if one.suffix else SUFFIXES)]
    return or_(*(facts.contains(f'"{one}"', autoescape=True) for one in spellings))


def _of_pass(kind: str, values: Sequence[str]) -> ColumnElement[bool]:
    return exists().where(
        PassTermRow.tenant == CaseRow.tenant,
        PassTermRow.type_id == CaseRow.type_id,
        PassTermRow.number == CaseRow.pass_number,
        PassTermRow.kind == kind,
        PassTermRow.value.in_(values),
    )


def _line(row: CaseRow, person: CaseApplicantRow | None) -> CaseLine:
    name = "" if person is None else f"{person.given_name} {person.family_name}".strip()
    return CaseLine(
        id=row.id,
        number=row.number,
        kind=row.kind,
        state=CaseState(row.state),
        zone=str(row.facts.get("zone", "")),
        name=name,
        pass_number=row.pass_number or "",
        since=row.state_since,
        deadline=row.deadline,
        proposed_by=row.proposed_by or "",
    )
