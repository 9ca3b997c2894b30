"""Who has looked at whose data, for auditors."""

from __future__ import annotations

from typing import Any, Final

from litestar import Response, get

from issuer.console.desk import desk_of
from issuer.console.moments import moment
from issuer.staff.accesses import LONGEST_SUBJECT, find_accesses
from issuer.web.reader import AnyRequest

MOST: Final = 200


@get("/office/accesses", sync_to_thread=True)
def show_accesses(request: AnyRequest) -> Response[Any]:
    """The newest entries of the log, of one subject or account if asked for."""
    desk = desk_of(request)
    text = request.query_params.get("q", "")[:LONGEST_SUBJECT].strip()
    with desk.application.reading() as session:
        found = find_accesses(session, desk.application, text, most=MOST)
    say, language = desk.reader.say, desk.reader.language
    return desk.page(
        "accesses_rows.html" if desk.reader.is_partial else "accesses.html",
        text=text,
        most=MOST,
        days=desk.application.config.retention.accesses,
        rows=[
            {
                "at": moment(one.at, language),
                "name": one.name,
                "login": one.login,
                "subject": one.subject,
                "kind": say(f"OFFICE_ACCESS_{one.kind.name}"),
            }
            for one in found
        ],
    )


HANDLERS: Final = [show_accesses]
