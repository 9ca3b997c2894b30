"""What holders have asked for about their data and a person has to answer within a month (Art. 12 (3) GDPR)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from litestar import Response, get
from sqlalchemy import or_, select

from issuer.console.desk import desk_of
from issuer.console.library.shared import page_of
from issuer.console.moments import moment
from issuer.models import AuditEntryRow
from issuer.pickup.own_data import ACTIONS
from issuer.web.reader import AnyRequest
from passes.display import day_text
from passes.periods import berlin_day

MOST: Final = 200
_SHOWN: Final = timedelta(days=92)
_DAYS_TO_ANSWER: Final = timedelta(days=30)


@get("/office/wishes", sync_to_thread=True)
def show_wishes(request: AnyRequest) -> Response[Any]:
    """The requests of the last three months, the newest first, each with its pass and the day of the answer."""
    desk = desk_of(request)
    application, say, language = desk.application, desk.reader.say, desk.reader.language
    # Wishes about library cards are the librarians' to answer, about certificates of residence the registrars'.
    shown = [one.id for one in application.pass_types if page_of(desk, one.id, "-")]
    with application.reading() as session:
        entries = session.scalars(
            select(AuditEntryRow)
            .where(
                AuditEntryRow.tenant == application.tenant,
                AuditEntryRow.action.in_(sorted(ACTIONS)),
                or_(*(AuditEntryRow.subject.startswith(f"{one}/", autoescape=True) for one in shown)),
                AuditEntryRow.at > application.now() - _SHOWN,
            )
            .order_by(AuditEntryRow.sequence.desc())
            .limit(MOST)
        ).all()
    return desk.page(
        "wishes.html",
        rows=[
            {
                "at": moment(one.at, language),
                "subject": one.subject.partition("/")[2],
                "path": page_of(desk, *one.subject.split("/", 1)),
                "text": say(f"HOLDER_{one.action.upper().replace('-', '_')}"),
                "until": day_text(berlin_day(one.at) + _DAYS_TO_ANSWER, language),
            }
            for one in entries
        ],
    )


HANDLERS: Final = [show_wishes]
