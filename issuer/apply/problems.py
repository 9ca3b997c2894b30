"""Pages that say why something did not work, with the way on."""

from __future__ import annotations

from typing import Any

from litestar import Response
from litestar.exceptions import HTTPException
from litestar.types import ExceptionHandlersMap

from issuer.apply.guests import ForeignCaseForm, NoCaseVisit, NoDraft, TooOften, with_visit
from issuer.cases import access
from issuer.pickup.routes import EXCEPTION_HANDLERS as USUAL
from issuer.web.reader import AnyRequest, Reader, reader_of

_MINUTE = 60


def problem(
    reader: Reader, status: int, code: str, *, retry_after: int = 0, **values: object
) -> Response[Any]:
    """A page that says why something did not work; ``code`` names its title and, with ``_TEXT``, its text."""
    # A script of ours puts the answer into a part of its page.
    made = reader.shown(
        "apply/problem_part.html" if reader.is_partial else "apply/problem.html",
        status=status,
        title=reader.say(f"APPLY_{code}"),
        text=reader.say(f"APPLY_{code}_TEXT", **values),
        has_visit=reader.cookie(access.COOKIE) is not None and code != "NO_VISIT",
        told="",
    )
    if retry_after:
        made.headers["Retry-After"] = str(retry_after)
    return made


def _no_visit(request: AnyRequest, _: NoCaseVisit) -> Response[Any]:
    reader = reader_of(request)[1]
    return with_visit(reader, problem(reader, 403, "NO_VISIT"), None)


def _foreign_form(request: AnyRequest, _: ForeignCaseForm) -> Response[Any]:
    return problem(reader_of(request)[1], 403, "FOREIGN_FORM")


def _no_draft(request: AnyRequest, _: NoDraft) -> Response[Any]:
    return reader_of(request)[1].go("/apply/case")


def _too_often(request: AnyRequest, fault: TooOften) -> Response[Any]:
    minutes = max(1, fault.rate.seconds * 2 // _MINUTE)
    reader = reader_of(request)[1]
    return problem(reader, 429, "TOO_OFTEN", retry_after=fault.rate.seconds, minutes=minutes)


def _unreadable(request: AnyRequest, fault: HTTPException) -> Response[Any]:
    """What the framework refuses: a body that is too long or no form, a method that a page does not have."""
    if fault.status_code >= 500:
        return USUAL[Exception](request, fault)
    code = "TOO_LARGE" if fault.status_code == 413 else "UNREADABLE"
    return problem(reader_of(request)[1], fault.status_code, code)


def not_text(request: AnyRequest, fault: Exception) -> Response[Any]:
    """A form with a file whose other fields are no text, or in letters that do not exist: no fault of ours."""
    if isinstance(fault, UnicodeDecodeError) or type(fault) is LookupError:
        return problem(reader_of(request)[1], 400, "UNREADABLE")
    return USUAL[Exception](request, fault)


EXCEPTION_HANDLERS: ExceptionHandlersMap = {
    **USUAL,
    NoCaseVisit: _no_visit,
    ForeignCaseForm: _foreign_form,
    NoDraft: _no_draft,
    TooOften: _too_often,
    HTTPException: _unreadable,
}
