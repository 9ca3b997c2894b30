"""Histories for auditors: what was done to a pass or case, by whom and when.

No name stands in them, but plates do: whose history somebody has seen is noted, as with the pass itself.
"""

from __future__ import annotations

from typing import Any, Final

from litestar import Response, get

from issuer import audit
from issuer.cases.store import subject as case_subject
from issuer.console.case_words import history_lines, staff_names
from issuer.console.desk import desk_of
from issuer.console.passes import pass_history
from issuer.register import subject
from issuer.web.reader import AnyRequest

_LONGEST: Final = 60


@get("/office/histories", sync_to_thread=True)
def show_history(request: AnyRequest) -> Response[Any]:
    """The entries of the audit trail about one number, of a case or a pass."""
    desk = desk_of(request)
    application, say = desk.application, desk.reader.say
    number = request.query_params.get("q", "")[:_LONGEST].strip()
    lines: list[dict[str, Any]] = []
    seen: list[str] = []
    if number and number.isprintable():
        with application.reading() as session:
            names = staff_names(session, application)
            tenant = application.tenant
            of_case = audit.history(session, tenant, case_subject(number.upper()))
            lines += history_lines(of_case, say, names)
            seen += [entry.subject for entry in of_case[:1]]
            for pass_type in application.pass_types:
                of_pass = audit.history(session, tenant, subject(pass_type.id, number))
                lines += pass_history(of_pass, say, pass_type, names)
                seen += [entry.subject for entry in of_pass[:1]]
    if seen:
        desk.note_access(*seen)
    return desk.page("histories.html", text=number, asked=bool(number), history=lines)


HANDLERS: Final = [show_history]
