"""Who has looked at whose data: one entry for a person, a subject and ten minutes.

Where the subject does not say whom (a look into the register of residents, what a wallet has shown), each time is an
entry: otherwise a hundred people would be one.

The log answers the question of a holder or auditor who has seen a pass or case. It is no record of work: within ten
minutes looking again is not noted, and it is deleted after `RetentionConfig.accesses` days. Who asks what one person
of the office has seen gives a reason, which stands in the audit trail; there are no figures about people. An export
has a range of days and a reason, and is itself an entry of the log.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Final

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from issuer import audit
from issuer.application import Application
from issuer.audit import AuditEvent
from issuer.errors import IssuerRefusal
from issuer.models_staff import CaseAccessRow, StaffAccountRow
from passes.periods import BERLIN

WINDOW: Final = timedelta(minutes=10)
LONGEST_SUBJECT: Final = 120
LONGEST_REASON: Final = 200
LONGEST_RANGE: Final = timedelta(days=92)
MOST_EXPORTED: Final = 50_000
# The subject under which an export stands in the log.
EXPORT: Final = "log/accesses"
# A look into the register of residents: that it was, and not at whom.
RESIDENTS: Final = "log/residents"


class Kind(StrEnum):
    """What was seen: everything about the subject, its line in a list that names people, a document or a file."""

    OPENED = "opened"
    LISTED = "listed"
    # A document that proves something.
    EVIDENCE = "evidence"
    EXPORTED = "exported"
    # What somebody has shown from their wallet at the desk.
    CHECKED = "checked"


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
    session: Session,
    application: Application,
    staff: str,
    subject: str,
    kind: Kind = Kind.OPENED,
    *,
    every: bool = False,
) -> bool:
    """In a writing transaction: the account ``staff`` sees data about ``subject`` now.

    Call it before the data are shown. Subjects are those of the audit trail: ``<type id>/<number>`` of a pass,
    ``case/<id>`` of a case; ``wallet/<wish>`` for what a wallet has shown of somebody who is in no register. True if
    an entry was made, False if there is one of the last ten minutes. ``every``: one is made each time, for a subject
    that does not say whom.
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
    if there is not None and not every:
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
    """The newest entries; with ``text`` those of subjects that are it or end with it, such as a number."""
    wanted = text.strip()[:LONGEST_SUBJECT]
    if not wanted.isprintable():
        # No number has control characters, and PostgreSQL takes no NUL.
        return []
    if not wanted:
        return _entries(session, application, most)
    ends = CaseAccessRow.subject.endswith(f"/{wanted}", autoescape=True)
    return _entries(session, application, most, (CaseAccessRow.subject == wanted) | ends)


def accesses_of_person(
    session: Session, application: Application, login: str, reason: str, actor: str, *, most: int = 200
) -> Sequence[Access]:
    """In a writing transaction: the newest entries of one account (log-in name), asked for with a reason.

    Question and reason are noted in the audit trail. Raises IssuerRefusal ACCESS_REASON, ACCESS_PERSON for a name
    that no account has.
    """
    why = _reason(reason)
    wanted = login.strip().casefold()[:254]
    account = (
        session.scalar(
            select(StaffAccountRow).where(
                StaffAccountRow.tenant == application.tenant, StaffAccountRow.login == wanted
            )
        )
        if wanted.isprintable()
        else None
    )
    if account is None:
        raise IssuerRefusal("ACCESS_PERSON")
    event = AuditEvent("search-accesses", f"account/{account.id}", reason=why)
    audit.append(session, application.tenant, [event], application.now(), actor)
    return _entries(session, application, most, CaseAccessRow.account_id == account.id)


def export_accesses(
    session: Session, application: Application, first: date, last: date, reason: str, staff: str, actor: str
) -> Sequence[Access]:
    """In a writing transaction: all entries of the days ``first`` to ``last`` (Europe/Berlin), newest first.

    The export is noted in the log itself, and with its reason in the audit trail. Raises IssuerRefusal ACCESS_REASON,
    ACCESS_RANGE for days that are none or more than `LONGEST_RANGE`, ACCESS_TOO_MANY for more than `MOST_EXPORTED`.
    """
    why = _reason(reason)
    if not first <= last or last - first >= LONGEST_RANGE or last.year > 2199:
        raise IssuerRefusal("ACCESS_RANGE", days=LONGEST_RANGE.days)
    begin = datetime.combine(first, time(), BERLIN)
    end = datetime.combine(last + timedelta(days=1), time(), BERLIN)
    found = _entries(
        session, application, MOST_EXPORTED + 1, CaseAccessRow.at >= begin, CaseAccessRow.at < end
    )
    if len(found) > MOST_EXPORTED:
        raise IssuerRefusal("ACCESS_TOO_MANY", most=MOST_EXPORTED)
    note_access(session, application, staff, EXPORT, Kind.EXPORTED)
    facts: dict[str, audit.Fact] = {
        "first": first.isoformat(),
        "last": last.isoformat(),
        "entries": len(found),
    }
    event = AuditEvent("export-accesses", EXPORT, after=facts, reason=why)
    audit.append(session, application.tenant, [event], application.now(), actor)
    return found


def _reason(text: str) -> str:
    reason = text.strip()
    if not 3 <= len(reason) <= LONGEST_REASON or not reason.isprintable():
        raise IssuerRefusal("ACCESS_REASON", limit=LONGEST_REASON)
    return reason


def _entries(
    session: Session, application: Application, most: int, *conditions: ColumnElement[bool]
) -> Sequence[Access]:
    query = (
        select(CaseAccessRow, StaffAccountRow)
        .join(
            StaffAccountRow,
            (StaffAccountRow.tenant == CaseAccessRow.tenant)
            & (StaffAccountRow.id == CaseAccessRow.account_id),
        )
        .where(CaseAccessRow.tenant == application.tenant, *conditions)
        .order_by(CaseAccessRow.at.desc(), CaseAccessRow.id)
        .limit(most)
    )
    return [
        Access(row.at, account.id, account.login, account.display_name, row.subject, Kind(row.kind))
        for row, account in session.execute(query)
    ]
