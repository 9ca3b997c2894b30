"""What the code of a pass says, byte for byte: for whoever watches over data, without a name being shown."""

from __future__ import annotations

from typing import Any, Final

from litestar import Response, get
from sqlalchemy import select

from issuer.console.desk import desk_of
from issuer.models import RevisionRow
from issuer.register import subject
from issuer.seal_contents import contents_of
from issuer.web.reader import AnyRequest
from passes.errors import PassRefusal

_LONGEST: Final = 40


@get("/office/seals", sync_to_thread=True)
def show_seal(request: AnyRequest) -> Response[Any]:
    """The seal of the pass with the number that was asked for, as its holder sees it."""
    desk = desk_of(request)
    application = desk.application
    number = request.query_params.get("q", "")[:_LONGEST].strip().upper()
    contents = None
    if number:
        with application.reading() as session:
            row = session.scalars(
                select(RevisionRow)
                .where(
                    RevisionRow.tenant == application.tenant,
                    RevisionRow.number == number,
                    RevisionRow.superseded_at.is_(None),
                    RevisionRow.seal.is_not(None),
                )
                .order_by(RevisionRow.type_id)
                .limit(1)
            ).one_or_none()
            if row is not None and row.seal:
                try:
                    pass_type = application.pass_types[row.type_id]
                    contents = contents_of(session, application.tenant, row.seal, pass_type, desk.reader.say)
                except PassRefusal:
                    # The city has taken the type away; its passes are not shown any more.
                    contents = None
        if contents is not None and row is not None:
            desk.note_access(subject(row.type_id, number))
    return desk.page("pass_seal.html", text=number, contents=contents)


HANDLERS: Final = [show_seal]
