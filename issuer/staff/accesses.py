"""Who has looked at whose data: one entry for a person, a subject and ten minutes.

The log answers the question of a holder or auditor who has seen a pass or case. It is no record of work: within ten
minutes looking again is not noted, and it is deleted after `RetentionConfig.accesses` days.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from issuer.application import Application
from issuer.models_staff import CaseAccessRow, StaffAccountRow

WINDOW: Final = timedelta(minutes=10)
LONGEST_SUBJECT: Final = 120


class Kind(StrEnum):
    """What was seen: everything about the subject, its line in a list that names people, or a document."""

    OPENED = "opened"
    LISTED = "listed"
    # A document that proves something.
    EVIDENCE = "evidence"


@dataclass(frozen=True, slots=True)
class Access:
    """An entry of the log; ``at`` is in UTC, ``name`` and ``login`` are those of the account today."""

    at: datetime
    account_id: str
    login: str
    name: str
    subject: str
    kind: Kind


def note_access(
    session: Session, application: Application, staff: str, subject: str, kind: Kind = Kind.OPENED
) -> bool:
    """In a writing transaction: the account ``staff`` sees data about ``subject`` now.

    Call it before the data are shown. Subjects are those of the audit trail: ``<type id>/<number>`` of a pass,
    ``case/<id>`` of a case. True if an entry was made, False if there is one of the last ten minutes.
    """
    now = application.now()
    there = session.scalar(
        select(CaseAccessRow.id).where(
            CaseAccessRow.tenant == application.tenant,
            CaseAccessRow.account_id == staff,
            CaseAccessRow.subject == subject,
            CaseAccessRow.kind == kind.value,
            CaseAccessRow.at > now - WINDOW,
        )
    )
    if there is not None:
        return False
    session.add(
        CaseAccessRow(
            tenant=application.tenant,
            id=secrets.token_urlsafe(16),
            account_id=staff,
            subject=subject[:LONGEST_SUBJECT],
            kind=kind.value,
            at=now,
        )
    )
    session.flush()
    return True


def find_accesses(
    session: Session, application: Application, text: str, *, most: int = 200
) -> Sequence[Access]:
    """The newest entries; with ``text`` those of one account (log-in name), or of subjects that end with it."""
    query = (
        select(CaseAccessRow, StaffAccountRow)
        .join(
            StaffAccountRow,
            (StaffAccountRow.tenant == CaseAccessRow.tenant)
            & (StaffAccountRow.id == CaseAccessRow.account_id),
        )
        .where(CaseAccessRow.tenant == application.tenant)
        .order_by(CaseAccessRow.at.desc(), CaseAccessRow.id)
        .limit(most)
    )
    wanted = text.strip()[:LONGEST_SUBJECT]
    if not wanted.isprintable():
        # No name and no number has control characters, and PostgreSQL takes no NUL.
        return []
    if wanted:
        query = query.where(
            (StaffAccountRow.login == wanted.casefold())
            | (CaseAccessRow.subject == wanted)
            | CaseAccessRow.subject.endswith(f"/{wanted}", autoescape=True)
        )
    return [
        Access(row.at, account.id, account.login, account.display_name, row.subject, Kind(row.kind))
        for row, account in session.execute(query)
    ]
