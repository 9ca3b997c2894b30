"""Files of a case: evidence, decrypted for who may see it, and letters as PDF."""

from __future__ import annotations

from typing import Any, Final

from litestar import Response, get
from litestar.params import FromPath

from issuer.cases import evidence, letters
from issuer.cases.store import find
from issuer.console.case import case_page
from issuer.console.desk import desk_of
from issuer.errors import IssuerRefusal
from issuer.staff.accesses import Kind
from issuer.web.reader import AnyRequest
from keys.errors import Refusal

# Whatever a document is, it runs nothing, loads nothing, and stands in no page but its own.
_POLICY: Final = "default-src 'none'; img-src 'self'; sandbox; base-uri 'none'; frame-ancestors 'none'"
_CONFLICT: Final = 409
_NOT_FOUND: Final = ("DOCUMENT_UNKNOWN", "LETTER_UNKNOWN", "CASE_UNKNOWN")


@get("/office/cases/{case_id:str}/evidence/{document_id:str}", sync_to_thread=True)
def show_evidence(request: AnyRequest, case_id: FromPath[str], document_id: FromPath[str]) -> Response[Any]:
    """A document as it was drawn anew; pictures are shown, PDFs kept by the browser. Each look is noted."""
    desk = desk_of(request)
    application = desk.application
    with application.reading() as session:
        case = find(session, application.tenant, case_id)
        try:
            document = evidence.load(session, application, case_id, document_id)
        except IssuerRefusal as refusal:
            if refusal.code in _NOT_FOUND:
                return desk.problem(404, "NOT_FOUND")
            fault = refusal.sentence(desk.reader.language)
            return case_page(desk, case_id, refusal=fault, status=_CONFLICT)
    desk.note_access(case.subject, kind=Kind.EVIDENCE)
    is_pdf = document.media_type == "application/pdf"
    made = desk.reader.file(
        document.data, document.media_type, f"{case.number}-{document_id[:6]}.{'pdf' if is_pdf else 'jpg'}"
    )
    if not is_pdf:
        made.headers["Content-Disposition"] = "inline"
    made.headers["Content-Security-Policy"] = _POLICY
    made.headers["X-Content-Type-Options"] = "nosniff"
    return made


@get("/office/cases/{case_id:str}/letters/{letter:str}", sync_to_thread=True)
def print_letter(request: AnyRequest, case_id: FromPath[str], letter: FromPath[str]) -> Response[Any]:
    """A letter about the case."""
    desk = desk_of(request)
    application = desk.application
    with application.reading() as session:
        case = find(session, application.tenant, case_id)
    desk.note_access(case.subject)
    try:
        with application.reading() as session:
            data = letters.letter(session, application, case_id, letter)
    except Refusal as refusal:
        if refusal.code in _NOT_FOUND:
            return desk.problem(404, "NOT_FOUND")
        return case_page(desk, case_id, refusal=refusal.sentence(desk.reader.language), status=_CONFLICT)
    return desk.reader.file(data, "application/pdf", f"{case.number}-{letter}.pdf")


HANDLERS: Final = [show_evidence, print_letter]
