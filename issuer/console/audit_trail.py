"""The audit trail for auditors: whether its chain is whole, and the entries about one subject."""

from __future__ import annotations

from typing import Any, Final

from litestar import Response, get, post
from sqlalchemy import select
from sqlalchemy.orm import Session

from issuer.action_words import action_text
from issuer.application import Application
from issuer.console.desk import acting_desk_of, desk_of
from issuer.console.moments import moment
from issuer.models import AuditEntryRow, AuditHeadRow
from issuer.nightly import chain
from issuer.nightly.reports import Report
from issuer.residence.certificates import certificate_ids
from issuer.staff.accesses import LONGEST_SUBJECT
from issuer.staff.accounts import accounts, staff_actor
from issuer.web.forms import FormData
from issuer.web.reader import AnyRequest
from passes.periods import berlin_day

MOST: Final = 200
# A longer chain is checked at night and on the command line; nobody should wait for it in front of a page.
LONGEST_CHECKED: Final = 200_000
# What subjects begin with besides the ids of pass types.
_PREFIXES: Final = (
    "case",
    "account",
    "staff",
    "key",
    "client",
    "webhook",
    "setting",
    "statement",
    "device",
    "import",
    "print",
    "payment",
    "open-data",
)
_FEWEST_CHARACTERS: Final = 2


@get("/office/audit", sync_to_thread=True)
def show_trail(request: AnyRequest) -> Response[Any]:
    """The last check, and the entries about a subject."""
    desk = desk_of(request)
    application, say, language = desk.application, desk.reader.say, desk.reader.language
    text = request.query_params.get("q", "")[:LONGEST_SUBJECT].strip()
    asked = len(text) >= _FEWEST_CHARACTERS and text.isprintable()
    with application.reading() as session:
        checked = chain.last_check(session, application.tenant)
        head = session.get(AuditHeadRow, application.tenant)
        rows = _entries(session, application, text) if asked else []
        names = {staff_actor(one.id): one.display_name for one in accounts(session, application)}
    certificates = frozenset(certificate_ids(application.pass_types))
    if rows:
        desk.note_access(*sorted({row.subject for row in rows}))
    return desk.page(
        "audit.html",
        text=text,
        asked=asked,
        entries=head.sequence if head is not None else 0,
        head=head.hash if head is not None else "",
        can_check=head is not None and head.sequence <= LONGEST_CHECKED,
        checked_at=moment(checked.at, language) if checked is not None else "",
        checked=checked.entries if checked is not None else 0,
        broken_at=checked.broken_at if checked is not None else None,
        most=MOST,
        rows=[
            {
                "n": row.sequence,
                "at": moment(row.at, language),
                "by": names.get(row.actor, row.actor),
                "what": action_text(
                    say, row.action, is_certificate=row.subject.partition("/")[0] in certificates
                )
                or row.action,
                "subject": row.subject,
                "before": row.before if row.before != "null" else "",
                "after": row.after if row.after != "null" else "",
                "reason": row.reason or "",
            }
            for row in rows
        ],
    )


@post("/office/audit/check", status_code=303, sync_to_thread=True)
def check_chain(request: AnyRequest, data: FormData) -> Response[Any]:
    """Check the chain now, as every night."""
    desk = acting_desk_of(request, data)
    application = desk.application
    with application.reading() as session:
        head = session.get(AuditHeadRow, application.tenant)
    if head is not None and head.sequence <= LONGEST_CHECKED:
        report = Report(application, berlin_day(application.now()), chain.NAME)
        report.begin()
        chain.run(application, report)
        report.end()
    return desk.go("/office/audit")


def _entries(session: Session, application: Application, text: str) -> list[AuditEntryRow]:
    """The newest entries about the subject ``text``, or about a pass, case or other thing with this number or id."""
    subjects = [text, *(f"{one}/{text}" for one in (*_PREFIXES, *(one.id for one in application.pass_types)))]
    return list(
        session.scalars(
            select(AuditEntryRow)
            .where(AuditEntryRow.tenant == application.tenant, AuditEntryRow.subject.in_(subjects))
            .order_by(AuditEntryRow.sequence.desc())
            .limit(MOST)
        )
    )


HANDLERS: Final = [show_trail, check_chain]
