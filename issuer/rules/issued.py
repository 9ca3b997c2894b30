"""Which permits a change of rules meets: those that run on, and those that were issued under a rule already."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from issuer.models import PassRow, PassTermRow
from issuer.search_terms import ZONE
from passes.model import PassStatus
from passes.periods import Period

_RUNNING: Final = (PassStatus.ACTIVE.value, PassStatus.SUSPENDED.value)


@dataclass(frozen=True, slots=True)
class IssuedPermit:
    """A permit as far as rules look at it; ``record`` has the register's columns."""

    type_id: str
    number: str
    period: Period
    record: Mapping[str, Any]
    created_at: datetime


def permits_in(
    session: Session,
    tenant: str,
    codes: Collection[str],
    *,
    ending_from: date | None = None,
    beginning_from: date | None = None,
    created_from: datetime | None = None,
) -> Iterator[IssuedPermit]:
    """The issued permits of the zones ``codes`` in the order of their numbers.

    With ``ending_from`` those that run and do not end before that day; with ``beginning_from`` those that begin on
    that day or later, and with ``created_from`` those issued since that time, whatever became of them.
    """
    conditions: list[ColumnElement[bool]] = [
        PassTermRow.tenant == tenant,
        PassTermRow.kind == ZONE,
        PassTermRow.value.in_(sorted(codes)),
        PassRow.tenant == tenant,
        PassRow.type_id == PassTermRow.type_id,
        PassRow.number == PassTermRow.number,
    ]
    return _found(session, [*conditions, *_when(ending_from, beginning_from, created_from)])


def permits_of_type(
    session: Session,
    tenant: str,
    type_id: str,
    *,
    ending_from: date | None = None,
    created_from: datetime | None = None,
) -> Iterator[IssuedPermit]:
    """As `permits_in`, for all permits of a pass type."""
    conditions: list[ColumnElement[bool]] = [PassRow.tenant == tenant, PassRow.type_id == type_id]
    return _found(session, [*conditions, *_when(ending_from, None, created_from)])


def _when(
    ending_from: date | None, beginning_from: date | None, created_from: datetime | None
) -> Iterator[ColumnElement[bool]]:
    if ending_from is not None:
        yield PassRow.status.in_(_RUNNING)
        yield PassRow.period_last >= ending_from
    else:
        # Not paid is not issued.
        yield PassRow.status != PassStatus.PENDING_PAYMENT.value
    if beginning_from is not None:
        yield PassRow.period_first >= beginning_from
    if created_from is not None:
        yield PassRow.created_at >= created_from


def _found(session: Session, conditions: list[ColumnElement[bool]]) -> Iterator[IssuedPermit]:
    rows = session.execute(
        select(
            PassRow.type_id,
            PassRow.number,
            PassRow.period_first,
            PassRow.period_last,
            PassRow.record,
            PassRow.created_at,
        )
        .where(*conditions)
        .order_by(PassRow.number, PassRow.type_id)
    )
    for type_id, number, first, last, record, created_at in rows:
        yield IssuedPermit(type_id, number, Period(first, last), record, created_at)
