"""Asking the register itself whether a plate has a permit at a moment, for the system that deals with fines.

Unlike the signed plate list, which lives for two days, the register also answers for the past: the revision that was
in force then, and the status and days that the audit trail tells. Nothing of the question is kept.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Text, cast, select
from sqlalchemy.orm import Session

from issuer.audit import ENDS_OF_LIFE
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


@dataclass(frozen=True, slots=True)
class PermitAt:
    """A permit that names a plate (its compare key), at a moment: the revision in force then, its status, its
    days (Europe/Berlin, inclusive), and what that means for the zone that was asked about.
    """

    row: PassRow
    revisions: Sequence[RevisionRow]
    revision: RevisionRow
    key: str
    season: Season | None
    status: PassStatus
    first: date
    last: date
    finding: Finding


def find_plate(session: Session, tenant: str, plate: Plate, zone: str | None, at: datetime) -> PlateFinding:
    """What the register says of ``plate`` at the aware time ``at``, in ``zone`` or (None) in any.

    A permit counts on all its days in Europe/Berlin, also those before it was entered. A plate that was taken off
    a permit counts until the change. A permit of a zone that was merged by then holds in all of the successor.
    """
    return finding_of(plate, permits_at(session, tenant, plate, zone, at))


def finding_of(plate: Plate, permits: Sequence[PermitAt]) -> PlateFinding:
    """What ``permits``, as `permits_at` gives them, say of ``plate``: the best of its own, else of other suffixes."""
    own = [one for one in permits if one.key == plate.key and one.finding is not Finding.NOT_LISTED]
    if own:
        order = list(Finding)
        best = min(own, key=lambda one: (order.index(one.finding), -one.last.toordinal()))
        return PlateFinding(best.finding, best.last if best.finding is Finding.VALID else None)
    others = {one.key for one in permits if one.key != plate.key and one.finding is Finding.VALID}
    if others:
        return PlateFinding(Finding.SUFFIX_DIFFERS, others=tuple(map(Plate.from_key, sorted(others))))
    return PlateFinding(Finding.NOT_LISTED)


def permits_at(session: Session, tenant: str, plate: Plate, zone: str | None, at: datetime) -> list[PermitAt]:
    """Every permit that named ``plate``, with whatever suffix, at the aware time ``at``; by type and number.

    One that had not been paid for then is among them, with `Finding.NOT_LISTED`.
    """
    area = None if zone is None else _area(session, tenant, zone, berlin_day(at))
    found: list[PermitAt] = []
    for row, revisions in _with_plate(session, tenant, plate, at):
        revision = _in_force(revisions, at)
        for key, season in revision.attributes.get("plates") or ():
            if _same_but_suffix(key, plate):
                parsed = Season.parse(season) if season else None
                found.append(_permit_at(session, row, revisions, revision, (key, parsed), area, at))
    return sorted(found, key=lambda one: (one.row.type_id, one.row.number, one.key))


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


def _permit_at(
    session: Session,
    row: PassRow,
    revisions: Sequence[RevisionRow],
    revision: RevisionRow,
    named: tuple[str, Season | None],
    area: Sequence[str] | None,
    at: datetime,
) -> PermitAt:
    key, season = named
    told = _before_changes_after(session, row, at)
    status = PassStatus(str(told.get("status", row.status)))
    first = date.fromisoformat(str(told.get("valid_from", row.period_first.isoformat())))
    last = date.fromisoformat(str(told.get("valid_to", row.period_last.isoformat())))
    finding = _finding(revision, season, status, (first, last), area, berlin_day(at))
    return PermitAt(row, revisions, revision, key, season, status, first, last, finding)


def _finding(
    revision: RevisionRow,
    season: Season | None,
    status: PassStatus,
    days: tuple[date, date],
    area: Sequence[str] | None,
    day: date,
) -> Finding:
    of_status = {
        PassStatus.PENDING_PAYMENT: Finding.NOT_LISTED,
        PassStatus.REVOKED: Finding.REVOKED,
        PassStatus.SUPERSEDED: Finding.SUPERSEDED,
        PassStatus.SUSPENDED: Finding.SUSPENDED,
    }
    if status in of_status:
        return of_status[status]
    if day > days[1]:
        return Finding.EXPIRED
    if day < days[0]:
        return Finding.NOT_YET_VALID
    stored: Any = revision.attributes.get("zone")
    if area is not None and not (stored and any(same_zone(one, stored[0]) for one in area)):
        return Finding.OTHER_ZONE
    if season is not None and not season.contains(day):
        return Finding.OUT_OF_SEASON
    return Finding.VALID


def _area(session: Session, tenant: str, zone: str, day: date) -> tuple[str, ...]:
    known = zones(session, tenant)
    code = next((one for one in known if same_zone(zone, one)), zone)
    return area_of(known, code, day)


def _before_changes_after(session: Session, row: PassRow, at: datetime) -> dict[str, Any]:
    """Of each fact of the pass that was changed after ``at``, what it was before the first such change.

    Whatever changes a status or a period says so in its entry, whichever step it was. What was changed at ``at``
    itself had been changed. What an earlier pass with the same number went through says nothing of this one.
    """
    told: dict[str, Any] = {}
    entries = session.execute(
        select(AuditEntryRow.action, AuditEntryRow.before)
        .where(
            AuditEntryRow.tenant == row.tenant,
            AuditEntryRow.subject == subject(row.type_id, row.number),
            AuditEntryRow.before != "null",
            AuditEntryRow.at > at,
        )
        .order_by(AuditEntryRow.sequence)
    )
    for action, before in entries:
        told = {} if action in ENDS_OF_LIFE else json.loads(before) | told
    return told
