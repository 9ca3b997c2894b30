"""Passes whose last day (Europe/Berlin, inclusive) has passed: active ones become expired.

A suspended pass stays suspended: why it is on hold has not been settled, and only a person may say that it is
(`issuer.lifecycle`: resume, after which the next night lets it expire, or revoke). One that was never paid for was
never issued, so nothing of it can expire.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Final

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session

from issuer import audit, outgoing
from issuer.audit import AuditEvent
from issuer.database import let_others_write
from issuer.importing.record import status_word
from issuer.models import PassRow, RevisionRow
from issuer.nightly.reports import Report
from issuer.outgoing import EventName, PassEvent
from issuer.register import subject
from passes.model import PassStatus
from passes.periods import berlin_day

if TYPE_CHECKING:
    from issuer.application import Application

NAME: Final = "expiry"
ACTOR: Final = "nightly"
# Everybody else waits while a chunk is written.
CHUNK: Final = 100


def preview(application: Application, session: Session) -> dict[str, int]:
    """How many passes would expire now."""
    today = berlin_day(application.now())
    count = session.scalar(
        select(func.count()).select_from(PassRow).where(*_ended(application.tenant, today))
    )
    return {"expired": count or 0}


def run(application: Application, report: Report) -> None:
    """Let every pass expire that has to, in short transactions."""
    while True:
        with application.writing() as session:
            count = expire_some(session, application)
            report.add(session, {"expired": count})
        if count < CHUNK:
            return
        let_others_write()


def expire_some(session: Session, application: Application) -> int:
    """Let up to `CHUNK` passes expire in the caller's writing transaction; says how many that were."""
    tenant, at = application.tenant, application.now()
    rows = session.execute(
        select(PassRow.type_id, PassRow.number, PassRow.record, RevisionRow.serial)
        .join(
            RevisionRow,
            (RevisionRow.tenant == PassRow.tenant)
            & (RevisionRow.type_id == PassRow.type_id)
            & (RevisionRow.number == PassRow.number),
        )
        .where(*_ended(tenant, berlin_day(at)), RevisionRow.superseded_at.is_(None))
        .order_by(PassRow.period_last, PassRow.type_id, PassRow.number)
        .limit(CHUNK)
    ).all()
    if not rows:
        return 0
    status = PassStatus.EXPIRED.value
    word = status_word(status)
    session.execute(
        update(PassRow),
        [
            {
                "tenant": tenant,
                "type_id": type_id,
                "number": number,
                "status": status,
                "updated_at": at,
                "record": {**record, "status": word} if "status" in record else record,
            }
            for type_id, number, record, _ in rows
        ],
    )
    before, after = {"status": PassStatus.ACTIVE.value}, {"status": status}
    audit.append(
        session,
        tenant,
        [AuditEvent("expire", subject(type_id, number), before, after) for type_id, number, *_ in rows],
        at,
        ACTOR,
    )
    events = [PassEvent(EventName.EXPIRED, type_id, number, serial) for type_id, number, _, serial in rows]
    outgoing.note(session, tenant, events, at)
    return len(rows)


def _ended(tenant: str, today: date) -> tuple[ColumnElement[bool], ...]:
    return (
        PassRow.tenant == tenant,
        PassRow.status == PassStatus.ACTIVE.value,
        PassRow.period_last < today,
    )
