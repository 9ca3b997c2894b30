"""Deleting passes for good, and what is left of them: nothing but the audit trail and their places in status lists.

A place is never given out again. Lists are published until a month after their last seal has expired, which can be
later than the deletion, so a place that is not valid is noted without its pass (`WithdrawnPlaceRow`), and a list that
has lost a revision counts as full.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import ColumnElement, Select, and_, delete, exists, func, insert, or_, select, tuple_, update
from sqlalchemy.orm import Session, aliased

from issuer import audit, outgoing
from issuer.audit import AuditEvent
from issuer.eudi import following
from issuer.library.members_gone import let_go
from issuer.models import Base, PassRow, PassTermRow, RevisionRow, StatusListRow, WithdrawnPlaceRow
from issuer.models_access import LetterCodeRow, PickupLinkRow, VisitRow
from issuer.models_delivery import (
    AppleRegistrationRow,
    GoogleMessageRow,
    LetterRow,
    MailRow,
    ReminderRow,
    WalletPassRow,
)
from issuer.models_imports import ImportPassRow
from issuer.models_library import MemberRow
from issuer.models_print import PrintItemRow
from issuer.register import subject
from issuer.residence.certificates import certificate_ids
from issuer.status_allocation import chunks
from passes.model import PassStatus
from passes.periods import berlin_day

if TYPE_CHECKING:
    from issuer.application import Application

ACTOR: Final = "nightly"
CHUNK: Final = 100
# Phones and Google are told some nights before, so that nothing of a pass is left there when it is deleted here.
TOLD_BEFORE: Final = timedelta(days=3)
# If Google cannot be reached for so long, waiting longer would keep here what ought to be gone.
LONGEST_WAIT: Final = timedelta(days=30)
# From then on a certificate confirms nothing, whatever its last day is.
ENDED_EARLY: Final = (PassStatus.REVOKED.value, PassStatus.SUPERSEDED.value)
_OF_PASS: Final[tuple[type[Base], ...]] = (
    PassTermRow,
    MemberRow,
    MailRow,
    LetterRow,
    PrintItemRow,
    ReminderRow,
    PickupLinkRow,
    LetterCodeRow,
    VisitRow,
    WalletPassRow,
    ImportPassRow,
    RevisionRow,
    PassRow,
)

Key = tuple[str, str]


def to_withdraw(application: Application) -> Sequence[ColumnElement[bool]]:
    """The conditions on `WalletPassRow` and `PassRow`, joined: on a phone or at Google, and soon to be deleted."""
    on_a_phone = exists().where(
        AppleRegistrationRow.tenant == WalletPassRow.tenant,
        AppleRegistrationRow.serial == WalletPassRow.serial,
    )
    return (
        WalletPassRow.tenant == application.tenant,
        WalletPassRow.withdrawn_at.is_(None),
        or_(WalletPassRow.google_wanted.is_(True), on_a_phone),
        PassRow.tenant == application.tenant,
        PassRow.type_id == WalletPassRow.type_id,
        PassRow.number == WalletPassRow.number,
        PassRow.period_last <= _last_day(application) + TOLD_BEFORE,
    )


def count_to_withdraw(session: Session, application: Application) -> int:
    """How many passes in wallets `withdraw_some` has to do with."""
    return (
        session.scalar(
            select(func.count()).select_from(WalletPassRow, PassRow).where(*to_withdraw(application))
        )
        or 0
    )


def withdraw_some(session: Session, application: Application) -> int:
    """Have phones and Google empty up to `CHUNK` passes; says how many."""
    tenant, now = application.tenant, application.now()
    rows = session.scalars(
        select(WalletPassRow).where(*to_withdraw(application)).order_by(WalletPassRow.serial).limit(CHUNK)
    ).all()
    for row in rows:
        row.withdrawn_at = now
    session.flush()
    if rows:
        outgoing.moved(session, tenant, {row.serial: (row.type_id, row.number) for row in rows}, now)
    return len(rows)


def to_delete(application: Application) -> Sequence[ColumnElement[bool]]:
    """The conditions on `PassRow`: one that `delete_some` or `delete_certificates` has to do with."""
    return (or_(and_(*_passes(application)), and_(*_certificates(application))),)


def _passes(application: Application) -> Sequence[ColumnElement[bool]]:
    """Its time is over, and Google has emptied what it had of it."""
    last_day = _last_day(application)
    over = (
        PassRow.tenant == application.tenant,
        PassRow.type_id.not_in(certificate_ids(application.pass_types)),
        PassRow.period_last <= last_day,
    )
    if not application.config.google.enabled:
        return over
    wallet = aliased(WalletPassRow)
    still_at_google = exists().where(
        wallet.tenant == PassRow.tenant,
        wallet.type_id == PassRow.type_id,
        wallet.number == PassRow.number,
        wallet.google_wanted.is_(True),
        wallet.google_failure.is_(None),
        or_(wallet.withdrawn_at.is_(None), wallet.google_tag < wallet.update_tag),
    )
    return (*over, or_(PassRow.period_last <= last_day - LONGEST_WAIT, ~still_at_google))


def _certificates(application: Application) -> Sequence[ColumnElement[bool]]:
    """It says who somebody is and where they live, and has ended: by its last day, revoked, or superseded."""
    days = timedelta(days=application.config.retention.certificates)
    return (
        PassRow.tenant == application.tenant,
        PassRow.type_id.in_(certificate_ids(application.pass_types)),
        or_(
            PassRow.period_last <= berlin_day(application.now()) - days,
            and_(PassRow.status.in_(ENDED_EARLY), PassRow.updated_at < application.now() - days),
        ),
    )


def serials_to_delete(application: Application) -> Select[str]:
    """The serials by which wallets know the passes that `delete_some` has to do with."""
    return (
        select(WalletPassRow.serial)
        .join(
            PassRow,
            (PassRow.tenant == WalletPassRow.tenant)
            & (PassRow.type_id == WalletPassRow.type_id)
            & (PassRow.number == WalletPassRow.number),
        )
        .where(WalletPassRow.tenant == application.tenant, *to_delete(application))
    )


def count_to_delete(session: Session, application: Application) -> int:
    """How many passes `delete_some` has to do with."""
    return _count(session, _passes(application))


def count_certificates(session: Session, application: Application) -> int:
    """How many certificates `delete_certificates` has to do with."""
    return _count(session, _certificates(application))


def oldest(session: Session, application: Application) -> date | None:
    """The earliest last day of the passes that `delete_some` has to do with."""
    return session.scalar(select(func.min(PassRow.period_last)).where(*_passes(application)))


def oldest_certificate(session: Session, application: Application) -> date | None:
    """The earliest day of issue of the certificates that `delete_certificates` has to do with."""
    return session.scalar(select(func.min(PassRow.period_first)).where(*_certificates(application)))


def delete_some(session: Session, application: Application) -> int:
    """Delete up to `CHUNK` passes with everything that hangs on them; says how many."""
    return _delete(session, application, _passes(application))


def delete_certificates(session: Session, application: Application) -> int:
    """Delete up to `CHUNK` certificates of residence with everything that hangs on them; says how many."""
    return _delete(session, application, _certificates(application))


def _count(session: Session, conditions: Sequence[ColumnElement[bool]]) -> int:
    return session.scalar(select(func.count()).select_from(PassRow).where(*conditions)) or 0


def _delete(session: Session, application: Application, conditions: Sequence[ColumnElement[bool]]) -> int:
    tenant, now = application.tenant, application.now()
    rows = session.execute(
        select(PassRow.type_id, PassRow.number, PassRow.status, PassRow.period_last)
        .where(*conditions)
        .order_by(PassRow.period_last, PassRow.type_id, PassRow.number)
        .limit(CHUNK)
    ).all()
    if not rows:
        return 0
    keys: list[Key] = [(type_id, number) for type_id, number, *_ in rows]
    serials = _serials(session, tenant, keys)
    _keep_places(session, application, keys)
    following.forget(session, tenant, keys, now)
    for table in (AppleRegistrationRow, GoogleMessageRow):
        session.execute(delete(table).where(table.tenant == tenant, table.serial.in_(serials)))
    let_go(session, tenant, keys)
    for kind in _OF_PASS:
        columns = kind.__table__.c
        session.execute(
            delete(kind).where(columns.tenant == tenant, tuple_(columns.type_id, columns.number).in_(keys))
        )
    # With the last day: of later days nothing is missing, which statements go by.
    events = [
        AuditEvent("delete", subject(type_id, number), {"status": status, "valid_to": last.isoformat()})
        for type_id, number, status, last in rows
    ]
    audit.append(session, tenant, events, now, ACTOR)
    return len(keys)


def _last_day(application: Application) -> date:
    """A pass that ended on this day or earlier has been kept for long enough."""
    return berlin_day(application.now()) - timedelta(days=application.config.retention.passes_after_end)


def _serials(session: Session, tenant: str, keys: Sequence[Key]) -> list[str]:
    found: set[str] = set()
    for table in (RevisionRow, WalletPassRow):
        found |= set(
            session.scalars(
                select(table.serial).where(
                    table.tenant == tenant, tuple_(table.type_id, table.number).in_(keys)
                )
            )
        )
    return sorted(found)


def _keep_places(session: Session, application: Application, keys: Sequence[Key]) -> None:
    tenant, now = application.tenant, application.now()
    places = session.execute(
        select(RevisionRow.list_number, RevisionRow.list_index, RevisionRow.status_value).where(
            RevisionRow.tenant == tenant,
            tuple_(RevisionRow.type_id, RevisionRow.number).in_(keys),
            RevisionRow.list_number.is_not(None),
        )
    ).all()
    if not places:
        return
    invalid = {
        (number, index): value
        for number, index, value in places
        if value and number is not None and index is not None
    }
    fresh: list[dict[str, Any]] = [
        {
            "tenant": tenant,
            "list_number": number,
            "list_index": index,
            "status_value": invalid[number, index],
            "at": now,
        }
        for number, index in sorted(invalid.keys() - _noted(session, tenant, sorted(invalid)))
    ]
    if fresh:
        session.execute(insert(WithdrawnPlaceRow), fresh)
    session.execute(
        update(StatusListRow)
        .where(StatusListRow.tenant == tenant, StatusListRow.number.in_({number for number, *_ in places}))
        .values(used=StatusListRow.capacity)
    )


def _noted(session: Session, tenant: str, places: Sequence[tuple[int, int]]) -> set[tuple[int, int]]:
    """Those of ``places`` that a restore has noted before; of all others, of which there can be many, none."""
    found: set[tuple[int, int]] = set()
    place = (WithdrawnPlaceRow.list_number, WithdrawnPlaceRow.list_index)
    for chunk in chunks(places, 500):
        rows = session.execute(
            select(*place).where(WithdrawnPlaceRow.tenant == tenant, tuple_(*place).in_(chunk))
        )
        found |= {(number, index) for number, index in rows}
    return found
