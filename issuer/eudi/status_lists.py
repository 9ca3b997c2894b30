"""Places of EUDI credentials in their own status lists, and what the lists say.

One list for each pass type, document signer and half-year in which credentials end, a random free place each, never
given out twice: a list is not drawn from after its half-year, and its rows stay until then. Wallets want list and
credential to be signed with one certificate, so a new document signer begins lists of its own.

1 is invalid, for good; 2 is suspended, which is taken back when the pass is resumed; 3 is never used
(draft-ietf-oauth-status-list-21, 7; ARF 3.0 VCR_04).
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session

from issuer.models import SequenceRow
from issuer.models_eudi import EudiCredentialRow, EudiStatusListRow
from issuer.status_allocation import FULL_PERCENT
from passes.credential_status import ENTRIES

VALID: Final = 0
INVALID: Final = 1
SUSPENDED: Final = 2
# After a restore no list goes on where others may have drawn from it; see `issuer.status_allocation.NUMBERS`.
NUMBERS: Final = "eudi-status-lists"


@dataclass(frozen=True, slots=True)
class Series:
    """Lists that are drawn from one after the other: of one pass type, half-year of expiry and document signer.

    ``kid`` is the key's id in hex digits, None where no key can sign now.
    """

    type_id: str
    half_year: str
    kid: str | None


def allocate(
    session: Session, tenant: str, series: Series, count: int, *, capacity: int = ENTRIES
) -> list[tuple[int, int]]:
    """Take ``count`` places (list number, index), in a writing transaction; the caller stores a row at each."""
    places: list[tuple[int, int]] = []
    while len(places) < count:
        current = _current(session, tenant, series, capacity)
        room = current.capacity * FULL_PERCENT // 100 - current.used
        wanted = min(room, count - len(places))
        places += [(current.number, index) for index in _free(session, current, wanted)]
        current.used += wanted
        session.flush()
    return places


def mark(
    session: Session, tenant: str, which: Sequence[ColumnElement[bool]], value: int, *, only: Sequence[int]
) -> int:
    """Set the entries of the credentials ``which`` to ``value``, those that are one of ``only`` now.

    Nothing that is invalid becomes anything else. Returns how many there were.
    """
    if INVALID in only:
        raise ValueError("what is invalid stays so")
    chosen = (EudiCredentialRow.tenant == tenant, EudiCredentialRow.status_value.in_(only), *which)
    touched = session.scalars(select(EudiCredentialRow.list_number).where(*chosen).distinct()).all()
    if not touched:
        return 0
    count = session.scalar(select(func.count()).select_from(EudiCredentialRow).where(*chosen)) or 0
    session.execute(
        update(EudiCredentialRow)
        .where(*chosen)
        .values(status_value=value)
        .execution_options(synchronize_session="fetch")
    )
    session.execute(
        update(EudiStatusListRow)
        .where(EudiStatusListRow.tenant == tenant, EudiStatusListRow.number.in_(touched))
        .values(version=EudiStatusListRow.version + 1)
    )
    return count


def entries(session: Session, one: EudiStatusListRow) -> list[tuple[int, int]]:
    """The entries of a list that are not valid: (index, value)."""
    rows = session.execute(
        select(EudiCredentialRow.list_index, EudiCredentialRow.status_value).where(
            EudiCredentialRow.tenant == one.tenant,
            EudiCredentialRow.list_number == one.number,
            *(() if one.unknown_invalid else (EudiCredentialRow.status_value != VALID,)),
        )
    )
    known = dict(rows.all())
    if one.unknown_invalid:
        known = dict.fromkeys(range(one.capacity), INVALID) | known
    return [(index, value) for index, value in known.items() if value != VALID]


def distrust(session: Session, tenant: str, kid: str, at: datetime) -> int:
    """Let nothing count any more that the key with this id has signed or may have signed for somebody else.

    In a writing transaction; ``at`` is aware. Its lists say "invalid" at every place, also where nothing was given
    out, and are drawn from no more. Returns how many credentials that count now were hit.
    """
    lists = select(EudiStatusListRow.number).where(
        EudiStatusListRow.tenant == tenant, EudiStatusListRow.kid == kid
    )
    hit = (EudiCredentialRow.list_number.in_(lists),)
    count = mark(session, tenant, hit, INVALID, only=(VALID, SUSPENDED))
    session.execute(
        update(EudiCredentialRow)
        .where(EudiCredentialRow.tenant == tenant, *hit, EudiCredentialRow.superseded_at.is_(None))
        .values(superseded_at=at)
    )
    session.execute(
        update(EudiStatusListRow)
        .where(EudiStatusListRow.tenant == tenant, EudiStatusListRow.kid == kid)
        .values(used=EudiStatusListRow.capacity, unknown_invalid=True, version=EudiStatusListRow.version + 1)
    )
    return count


def close_all(session: Session, tenant: str, at: datetime, numbers_left_out: int) -> None:
    """After a restore: draw no place again that may have been given out since, and let none of them count.

    In a writing transaction; ``at`` is aware. All credentials are invalid from now on, those that were issued since
    the backup and those before: any of them may have become invalid since, and that is for good (ARF 3.0, VCR_04).
    The next lists begin ``numbers_left_out`` later.
    """
    mark(session, tenant, (), INVALID, only=(VALID, SUSPENDED))
    session.execute(
        update(EudiCredentialRow)
        .where(EudiCredentialRow.tenant == tenant, EudiCredentialRow.superseded_at.is_(None))
        .values(superseded_at=at)
    )
    session.execute(
        update(EudiStatusListRow)
        .where(EudiStatusListRow.tenant == tenant)
        .values(used=EudiStatusListRow.capacity, unknown_invalid=True, version=EudiStatusListRow.version + 1)
    )
    highest = session.scalar(
        select(func.max(EudiStatusListRow.number)).where(EudiStatusListRow.tenant == tenant)
    )
    floor = session.get(SequenceRow, (tenant, NUMBERS))
    if floor is None:
        floor = SequenceRow(tenant=tenant, name=NUMBERS, last_value=0)
        session.add(floor)
    floor.last_value = max(floor.last_value, highest or 0) + numbers_left_out
    session.flush()


def _current(session: Session, tenant: str, series: Series, capacity: int) -> EudiStatusListRow:
    newest = session.scalars(
        select(EudiStatusListRow)
        .where(
            EudiStatusListRow.tenant == tenant,
            EudiStatusListRow.type_id == series.type_id,
            EudiStatusListRow.half_year == series.half_year,
            EudiStatusListRow.kid.is_not_distinct_from(series.kid),
        )
        .order_by(EudiStatusListRow.number.desc())
        .limit(1)
        .with_for_update()
    ).first()
    if newest is not None and newest.used < newest.capacity * FULL_PERCENT // 100:
        return newest
    highest = session.scalar(
        select(func.max(EudiStatusListRow.number)).where(EudiStatusListRow.tenant == tenant)
    )
    floor = session.get(SequenceRow, (tenant, NUMBERS))
    begun = EudiStatusListRow(
        tenant=tenant,
        number=max(highest or 0, floor.last_value if floor else 0) + 1,
        type_id=series.type_id,
        half_year=series.half_year,
        kid=series.kid,
        capacity=capacity,
        used=0,
        version=0,
    )
    session.add(begun)
    session.flush()
    return begun


def _free(session: Session, one: EudiStatusListRow, count: int) -> list[int]:
    free: dict[int, None] = {}
    while len(free) < count:
        drawn = [secrets.randbelow(one.capacity) for _ in range(count - len(free))]
        taken = set(
            session.scalars(
                select(EudiCredentialRow.list_index).where(
                    EudiCredentialRow.tenant == one.tenant,
                    EudiCredentialRow.list_number == one.number,
                    EudiCredentialRow.list_index.in_(drawn),
                )
            )
        )
        free |= dict.fromkeys(index for index in drawn if index not in taken)
    return list(free)
