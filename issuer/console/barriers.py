"""What people wrote about barriers, for those who take care of it."""

from __future__ import annotations

from typing import Any, Final

from litestar import Response, get, post

from issuer.accessibility.feedback import feedback, mark_done
from issuer.console.desk import acting_desk_of, desk_of
from issuer.console.moments import moment
from issuer.web.forms import FormData, text_of
from issuer.web.reader import AnyRequest

MOST: Final = 200


@get("/office/barriers", sync_to_thread=True)
def show_barriers(request: AnyRequest) -> Response[Any]:
    """All messages, open ones first."""
    desk = desk_of(request)
    with desk.application.reading() as session:
        rows = feedback(session, desk.application.tenant, MOST)
    return desk.page(
        "barriers.html",
        days=desk.application.config.retention.feedback,
        rows=[
            {
                "id": row.id,
                "at": moment(row.created_at, desk.reader.language),
                "message": row.message,
                "reply_to": row.reply_to,
                "is_done": row.done_at is not None,
            }
            for row in rows
        ],
    )


@post("/office/barriers/done", status_code=303, sync_to_thread=True)
def take_care(request: AnyRequest, data: FormData) -> Response[Any]:
    """Note that a message has been taken care of."""
    desk = acting_desk_of(request, data)
    with desk.application.writing() as session:
        mark_done(session, desk.application, text_of(data, "id")[:22])
    return desk.go("/office/barriers")


HANDLERS: Final = [show_barriers, take_care]
