"""Asking the register itself whether a plate has a permit at a moment, for the system that deals with fines.

Unlike the signed plate list, which lives for two days, the register also answers for the past: the revision that was
in force then, and the status that the audit trail tells. Nothing of the question is kept.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Text, cast, select
from sqlalchemy.orm import Session

from issuer.models import AuditEntryRow, PassRow, PassTermRow, RevisionRow
from issuer.register import subject
from issuer.rules.zones import area_of
from issuer.search_terms import PLATE
from issuer.tariffs import zones
from passes.model import PassStatus
from passes.periods import berlin_day
from passes.plates import LONGEST, Plate
from passes.seasons import Season
from verifier.common import same_zone

_STATUS_ACTIONS: Final = ("revoke", "suspend", "resume")


class Finding(StrEnum):
    """Why a plate has a permit or has none; the earlier one counts where a plate has several."""

    VALID = "VALID"
    OUT_OF_SEASON = "OUT_OF_SEASON"
    OTHER_ZONE = "OTHER_ZONE"
    SUSPENDED = "SUSPENDED"
    NOT_YET_VALID = "NOT_YET_VALID"
    EXPIRED = "EXPIRED"
    REVOKED = "REVOKED"
    SUPERSEDED = "SUPERSEDED"
    SUFFIX_DIFFERS = "SUFFIX_DIFFERS"
    NOT_LISTED = "NOT_LISTED"


@dataclass(frozen=True, slots=True)
class PlateFinding:
    """The answer for one plate: ``valid_until`` with `Finding.VALID`, ``others`` with `Finding.SUFFIX_DIFFERS`."""

    finding: Finding
    valid_until: date | None = None
    others: tuple[Plate, ...] = ()


def find_plate(session: Session, tenant: str, plate: Plate, zone: str | None, at: datetime) -> PlateFinding:
    """What the register says of ``plate`` at the aware time ``at``, in ``zone`` or (None) in any.

    A permit counts on all its days in Europe/Berlin, also those before it was entered. A plate that was taken off
    a permit counts until the change. A permit of a zone that was merged by then holds in all of the successor.
    """
    area = None if zone is None else _area(session, tenant, zone, berlin_day(at))
    found: dict[str, list[PlateFinding]] = {}
    for row, revisions in _with_plate(session, tenant, plate, at):
        revision = _in_force(revisions, at)
        for key, season in revision.attributes.get("plates") or ():
            if _same_but_suffix(key, plate):
                one = _finding(session, row, revision, Season.parse(season) if season else None, area, at)
                found.setdefault(key, []).append(one)
    order = list(Finding)
    own = [one for one in found.get(plate.key, ()) if one.finding is not Finding.NOT_LISTED]
    if own:
        return min(
            own, key=lambda one: (order.index(one.finding), -(one.valid_until or date.min).toordinal())
        )
    others = tuple(
        Plate.from_key(key)
        for key, findings in sorted(found.items())
        if key != plate.key and any(one.finding is Finding.VALID for one in findings)
    )
    return PlateFinding(Finding.SUFFIX_DIFFERS if others else Finding.NOT_LISTED, others=others)


def _with_plate(
    session: Session, tenant: str, plate: Plate, at: datetime
) -> list[tuple[PassRow, Sequence[RevisionRow]]]:
    """The passes that have the plate with whatever suffix, or had it at ``at``, each with all its revisions."""
    now = select(PassTermRow.type_id, PassTermRow.number).where(
        PassTermRow.tenant == tenant,
        PassTermRow.kind == PLATE,
        PassTermRow.value.in_([one.key for one in _with_any_suffix(plate)]),
    )
    # The terms are those of the current revisions; what has been replaced since ``at`` is few and read as text.
    then = select(RevisionRow.type_id, RevisionRow.number).where(
        RevisionRow.tenant == tenant,
        RevisionRow.superseded_at > at,
        cast(RevisionRow.attributes, Text).contains(_stem(plate), autoescape=True),
    )
    found = []
    for type_id, number in session.execute(now.union(then)):
        row = session.get_one(PassRow, (tenant, type_id, number))
        revisions = session.scalars(
            select(RevisionRow)
            .where(RevisionRow.tenant == tenant, RevisionRow.type_id == type_id, RevisionRow.number == number)
            .order_by(RevisionRow.n)
        ).all()
        found.append((row, revisions))
    return found


def _with_any_suffix(plate: Plate) -> list[Plate]:
    """The plate and its like with the other suffixes; eight characters leave no room for one."""
    shortest = plate.length - len(plate.suffix)
    return [replace(plate, suffix=one) for one in ("", "E", "H") if shortest + len(one) <= LONGEST]


def _stem(plate: Plate) -> str:
    """How the plate begins in the stored attributes, up to its suffix."""
    return f'"{plate.district}|{plate.letters}|{plate.number}|'


def _same_but_suffix(key: str, plate: Plate) -> bool:
    return f'"{key}'.startswith(_stem(plate))


def _in_force(revisions: Sequence[RevisionRow], at: datetime) -> RevisionRow:
    """The revision at ``at``; before the first one, the first: permits come in after their first day."""
    return next((one for one in reversed(revisions) if one.issued_at <= at), revisions[0])


def _finding(
    session: Session,
    row: PassRow,
    revision: RevisionRow,
    season: Season | None,
    area: Sequence[str] | None,
    at: datetime,
) -> PlateFinding:
    status, day = _status_at(session, row, at), berlin_day(at)
    match status:
        case PassStatus.PENDING_PAYMENT:
            return PlateFinding(Finding.NOT_LISTED)
        case PassStatus.REVOKED:
            return PlateFinding(Finding.REVOKED)
        case PassStatus.SUPERSEDED:
            return PlateFinding(Finding.SUPERSEDED)
        case PassStatus.SUSPENDED:
            return PlateFinding(Finding.SUSPENDED)
    if day > row.period_last:
        return PlateFinding(Finding.EXPIRED)
    if day < row.period_first:
        return PlateFinding(Finding.NOT_YET_VALID)
    stored: Any = revision.attributes.get("zone")
    if area is not None and not (stored and any(same_zone(one, stored[0]) for one in area)):
        return PlateFinding(Finding.OTHER_ZONE)
    if season is not None and not season.contains(day):
        return PlateFinding(Finding.OUT_OF_SEASON)
    return PlateFinding(Finding.VALID, row.period_last)


def _area(session: Session, tenant: str, zone: str, day: date) -> tuple[str, ...]:
    known = zones(session, tenant)
    code = next((one for one in known if same_zone(zone, one)), zone)
    return area_of(known, code, day)


def _status_at(session: Session, row: PassRow, at: datetime) -> PassStatus:
    """The status at ``at``: what it was before the first change after ``at``, or what it is now."""
    following = session.scalars(
        select(AuditEntryRow.before)
        .where(
            AuditEntryRow.tenant == row.tenant,
            AuditEntryRow.subject == subject(row.type_id, row.number),
            AuditEntryRow.action.in_(_STATUS_ACTIONS),
            AuditEntryRow.at > at,
        )
        .order_by(AuditEntryRow.sequence)
        .limit(1)
    ).first()
    return PassStatus(row.status if following is None else json.loads(following)["status"])
