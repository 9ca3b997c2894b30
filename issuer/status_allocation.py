"""Places in the status lists: one list for each pass type and half-year of expiry, a random free index each.

A random index tells nothing about when or to whom a pass was issued, and with a list that is never more than
80 % full it is found in a few draws. An index is never given out twice; the database enforces that.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import islice
from typing import Final, TypeVar

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from issuer.models import NOT_VALID, RevisionRow, SequenceRow, StatusListRow, WithdrawnPlaceRow

CAPACITY: Final = 1 << 20
FULL_PERCENT: Final = 80
# The sequence whose value no new list's number falls below: after a restore, numbers may have been given already.
NUMBERS: Final = "status-lists"
_CHUNK = 500
_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class StatusListEntries:
    """One status list as the register knows it; ``entries`` gives (index, value 0 to 3) and is read once."""

    number: int
    type_id: str
    half_year: str
    last_expiry: date | None
    entries: Iterable[tuple[int, int]]


def half_year(day: date) -> str:
    """The half-year in which ``day`` lies: ``2027H2``."""
    return f"{day.year:04d}H{1 if day.month <= 6 else 2}"


def allocate(
    session: Session, tenant: str, type_id: str, period_last: date, count: int, *, capacity: int = CAPACITY
) -> list[tuple[int, int]]:
    """Take ``count`` places (list number, index) for passes that end on ``period_last``.

    A list that is 80 % full is left and a new one begun; ``capacity`` is the size of new lists. The session
    must be one of `issuer.database.writing`, and the caller stores a revision at each place.
    """
    places: list[tuple[int, int]] = []
    while len(places) < count:
        current = _current(session, tenant, type_id, half_year(period_last), capacity)
        room = current.capacity * FULL_PERCENT // 100 - current.used
        wanted = min(room, count - len(places))
        places += [(current.number, index) for index in _free(session, tenant, current, wanted)]
        current.used += wanted
        session.flush()
    return places


def status_entries(session: Session, tenant: str) -> Iterator[StatusListEntries]:
    """Every status list of ``tenant`` in order of its number, with the entries that were given out."""
    lists = session.scalars(
        select(StatusListRow).where(StatusListRow.tenant == tenant).order_by(StatusListRow.number)
    ).all()
    for one in lists:
        yield StatusListEntries(
            one.number, one.type_id, one.half_year, _last_day(one.half_year), _entries(session, tenant, one)
        )


def last_touched(session: Session, tenant: str, numbers: Sequence[int]) -> dict[int, datetime]:
    """When each of the lists ``numbers`` last got a seal or saw one superseded."""
    rows = session.execute(
        select(RevisionRow.list_number, func.max(RevisionRow.issued_at), func.max(RevisionRow.superseded_at))
        .where(RevisionRow.tenant == tenant, RevisionRow.list_number.in_(numbers))
        .group_by(RevisionRow.list_number)
    )
    return {number: max(filter(None, times)) for number, *times in rows if number is not None}


def not_valid(session: Session, tenant: str) -> Iterator[tuple[int, int, int]]:
    """Every entry of a status list that is not valid: (list number, index, value 1 to 3).

    Places that no revision has any more are among them; see `WithdrawnPlaceRow`.
    """
    withdrawn = select(
        WithdrawnPlaceRow.list_number, WithdrawnPlaceRow.list_index, WithdrawnPlaceRow.status_value
    ).where(WithdrawnPlaceRow.tenant == tenant)
    for row in session.execute(withdrawn):
        yield row[0], row[1], row[2]
    rows = session.execute(
        select(RevisionRow.list_number, RevisionRow.list_index, RevisionRow.status_value)
        # Word for word the condition of the index that holds only these few.
        .where(RevisionRow.tenant == tenant, text(NOT_VALID))
        .execution_options(yield_per=10_000)
    )
    for number, index, value in rows:
        if number is not None and index is not None:
            yield number, index, value


def _entries(session: Session, tenant: str, one: StatusListRow) -> Iterator[tuple[int, int]]:
    rows = session.execute(
        select(RevisionRow.list_index, RevisionRow.status_value)
        .where(RevisionRow.tenant == tenant, RevisionRow.list_number == one.number)
        .execution_options(yield_per=10_000)
    )
    for index, value in rows:
        if index is not None:
            yield index, value
    withdrawn = select(WithdrawnPlaceRow.list_index, WithdrawnPlaceRow.status_value).where(
        WithdrawnPlaceRow.tenant == tenant, WithdrawnPlaceRow.list_number == one.number
    )
    for place in session.execute(withdrawn):
        yield place[0], place[1]


def _last_day(name: str) -> date:
    return date(int(name[:4]), 6, 30) if name.endswith("H1") else date(int(name[:4]), 12, 31)


def _current(session: Session, tenant: str, type_id: str, name: str, capacity: int) -> StatusListRow:
    """The newest list of the half-year that still has room, or a new one."""
    newest = session.scalars(
        select(StatusListRow)
        .where(
            StatusListRow.tenant == tenant, StatusListRow.type_id == type_id, StatusListRow.half_year == name
        )
        .order_by(StatusListRow.number.desc())
        .limit(1)
        .with_for_update()
    ).first()
    if newest is not None and newest.used < newest.capacity * FULL_PERCENT // 100:
        return newest
    highest = session.scalar(select(func.max(StatusListRow.number)).where(StatusListRow.tenant == tenant))
    floor = session.get(SequenceRow, (tenant, NUMBERS))
    number = max(highest or 0, floor.last_value if floor else 0) + 1
    begun = StatusListRow(
        tenant=tenant, number=number, type_id=type_id, half_year=name, capacity=capacity, used=0
    )
    session.add(begun)
    session.flush()
    return begun


def _free(session: Session, tenant: str, one: StatusListRow, count: int) -> list[int]:
    """``count`` random indexes of the list that no revision has."""
    free: dict[int, None] = {}
    while len(free) < count:
        drawn = {secrets.randbelow(one.capacity) for _ in range(count - len(free))} - free.keys()
        for chunk in chunks(sorted(drawn), _CHUNK):
            taken = session.scalars(
                select(RevisionRow.list_index).where(
                    RevisionRow.tenant == tenant,
                    RevisionRow.list_number == one.number,
                    RevisionRow.list_index.in_(chunk),
                )
            ).all()
            free.update(dict.fromkeys(set(chunk) - set(taken)))
    indexes = list(free)
    # Drawn in sorted chunks: without shuffling, the order of the rows would show in the indexes.
    secrets.SystemRandom().shuffle(indexes)
    return indexes


def chunks(items: Sequence[_Item], size: int) -> Iterator[list[_Item]]:
    """``items`` in lists of at most ``size``."""
    remaining = iter(items)
    while chunk := list(islice(remaining, size)):
        yield chunk
