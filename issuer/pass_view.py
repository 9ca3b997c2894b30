"""Looking at a pass: its current revision, all revisions, and what the audit trail tells of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from issuer import audit
from issuer.audit import AuditEntry
from issuer.lifecycle import current_revision
from issuer.models import HolderRow, RevisionRow
from issuer.register import content_of, subject
from passes.model import PassContent
from passes.pass_types import PassType
from passes.status_list import Status


@dataclass(frozen=True, slots=True)
class ShownRevision:
    """One revision in the view of a pass: its place in the lists and its status there."""

    n: int
    serial: str
    issued_at: datetime
    superseded_at: datetime | None
    kid: str | None
    place: tuple[int, int] | None
    status: Status


@dataclass(frozen=True, slots=True)
class PassView:
    """All that `show` tells: the current revision, all revisions, and the pass's audit entries."""

    content: PassContent
    replaces: str | None
    revisions: Sequence[ShownRevision]
    history: Sequence[AuditEntry]


def show(session: Session, tenant: str, pass_type: PassType, number: str) -> PassView:
    """The pass with its revisions and history. Raises RegisterRefusal NUMBER_UNKNOWN."""
    row, current = current_revision(session, tenant, pass_type.id, number)
    holder = session.get(HolderRow, (tenant, row.holder_ref))
    revisions = session.scalars(
        select(RevisionRow)
        .where(
            RevisionRow.tenant == tenant, RevisionRow.type_id == pass_type.id, RevisionRow.number == number
        )
        .order_by(RevisionRow.n)
    )
    return PassView(
        content=content_of(pass_type, row, current, holder),
        replaces=row.replaces,
        revisions=tuple(_shown(one) for one in revisions),
        history=audit.history(session, tenant, subject(pass_type.id, number)),
    )


def _shown(row: RevisionRow) -> ShownRevision:
    place = None
    if row.list_number is not None and row.list_index is not None:
        place = (row.list_number, row.list_index)
    return ShownRevision(
        row.n, row.serial, row.issued_at, row.superseded_at, row.kid, place, Status(row.status_value)
    )
