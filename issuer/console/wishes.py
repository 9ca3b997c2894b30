"""What holders have asked for about their data and a person has to answer within a month (Art. 12 (3) GDPR)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from litestar import Response, get
from sqlalchemy import select

from issuer.console.desk import desk_of
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
    with application.reading() as session:
        entries = session.scalars(
            select(AuditEntryRow)
            .where(
                AuditEntryRow.tenant == application.tenant,
                AuditEntryRow.action.in_(sorted(ACTIONS)),
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
                "path": f"/office/passes/{one.subject}",
                "text": say(f"HOLDER_{one.action.upper().replace('-', '_')}"),
                "until": day_text(berlin_day(one.at) + _DAYS_TO_ANSWER, language),
            }
            for one in entries
        ],
    )


HANDLERS: Final = [show_wishes]
