"""Superseding certificates of residence of people who have moved or are called otherwise by now.

Only what the register of residents says for certain counts: it knows exactly one person of that name, today's or a
former one, and birth date, and other facts about them, not only another spelling. Whom it does not know, whom it
knows twice, and for whom disclosure is blocked keep what they have. A register that is away changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from issuer import attributes as stored_attributes
from issuer.database import let_others_write
from issuer.holder_changes import RESIDENCE, supersede_certificate
from issuer.lifecycle import current_revision
from issuer.models import PassRow, RevisionRow
from issuer.nightly.reports import Report
from issuer.residence.issuing import certificate_type, resident_of
from issuer.revocation_log import RevocationLog, RevokedPass
from issuer.rules.sources.protocols import SourceAway
from issuer.status_allocation import chunks
from passes.model import PassStatus
from passes.periods import berlin_day

if TYPE_CHECKING:
    from issuer.application import Application

NAME: Final = "residence"
ACTOR: Final = "nightly"
CHUNK: Final = 100
_RUNNING: Final = (PassStatus.ACTIVE.value, PassStatus.SUSPENDED.value)


def preview(application: Application, session: Session) -> dict[str, int]:
    """How many certificates would be superseded now."""
    found = _contradicted(application, session)
    return {"superseded": len(found)} if found else {}


def run(application: Application, report: Report) -> None:
    """Supersede them, in short transactions."""
    with application.reading() as session:
        numbers = _contradicted(application, session)
    log = RevocationLog(application.workspace.folder)
    for place, chunk in enumerate(chunks(numbers, CHUNK)):
        if place:
            let_others_write()
        with application.writing() as session:
            superseded: list[RevokedPass] = []
            for number in chunk:
                row, revision = current_revision(session, application.tenant, RESIDENCE, number)
                # Somebody may have revoked it in between.
                if row.status in _RUNNING:
                    superseded.append(supersede_certificate(session, row, revision, application.now(), ACTOR))
            report.add(session, {"superseded": len(superseded)})
            log.superseded(application.tenant, superseded, application.now())


def _contradicted(application: Application, session: Session) -> Sequence[str]:
    """The numbers of the certificates that hold and say what the register says otherwise."""
    pass_type, day = certificate_type(application), berlin_day(application.now())
    if pass_type is None:
        return []
    rows = session.execute(
        select(PassRow.number, RevisionRow.attributes)
        .join(
            RevisionRow,
            (RevisionRow.tenant == PassRow.tenant)
            & (RevisionRow.type_id == PassRow.type_id)
            & (RevisionRow.number == PassRow.number),
        )
        .where(
            PassRow.tenant == application.tenant,
            PassRow.type_id == RESIDENCE,
            PassRow.status.in_(_RUNNING),
            PassRow.period_last >= day,
            RevisionRow.superseded_at.is_(None),
        )
        .order_by(PassRow.number)
    )
    residents, found = application.sources.residents, []
    for number, attributes in rows:
        answer = residents.contradicts(resident_of(stored_attributes.decode(pass_type, attributes)), day)
        if isinstance(answer, SourceAway):
            return []
        if answer:
            found.append(number)
    return found
