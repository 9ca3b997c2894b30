"""The routes of the holder's pages: everything under /p, and the start page."""

from __future__ import annotations

from typing import Any, Final

from litestar import Response, Router
from litestar.exceptions import HTTPException
from litestar.types import ControllerRouterHandler, ExceptionHandlersMap

from issuer.pickup import (
    carriers,
    entry,
    eudi_wallet,
    family_pages,
    give_back,
    own_cases,
    own_data,
    plate_change,
    records,
    renewal_pages,
    seal_page,
    shown_codes,
    wallets,
)
from issuer.pickup.guests import ForeignForm, NoFamily, NoVisit, with_visit
from issuer.web import problems
from issuer.web.forms import LONGEST_BODY
from issuer.web.reader import AnyRequest, reader_of
from keys.errors import Refusal

_UNAVAILABLE: Final = 503


def _no_visit(request: AnyRequest, _: NoVisit) -> Response[Any]:
    reader = reader_of(request)[1]
    return with_visit(reader, reader.problem(403, "NO_VISIT"), None)


def _no_family(request: AnyRequest, _: NoFamily) -> Response[Any]:
    """On to the pass that the visit is to."""
    return reader_of(request)[1].go("/p/pass")


def _foreign_form(request: AnyRequest, _: ForeignForm) -> Response[Any]:
    return reader_of(request)[1].problem(403, "FOREIGN_FORM")


def _unreadable(request: AnyRequest, fault: HTTPException) -> Response[Any]:
    """What the framework refuses: a body that is too long or no form, a method that a page does not have."""
    if fault.status_code >= 500:
        return _fault(request, fault)
    return reader_of(request)[1].problem(fault.status_code, "UNREADABLE")


def _refused(request: AnyRequest, refusal: Refusal) -> Response[Any]:
    """A refusal that no page expects is the operator's to solve, and its sentence is for them."""
    problems.refused(request, refusal)
    try:
        return reader_of(request)[1].problem(_UNAVAILABLE, "FAULT", retry_after=problems.RETRY_AFTER_SECONDS)
    except Refusal:
        # Without settings there is no page to say it on.
        headers = {"Retry-After": str(problems.RETRY_AFTER_SECONDS)}
        return Response(b"", status_code=_UNAVAILABLE, media_type="text/plain", headers=headers)


def _fault(request: AnyRequest, fault: Exception) -> Response[Any]:
    """A fault of ours: logged as everywhere, and a page that says nothing about it."""
    problems.internal_fault(request, fault)
    return reader_of(request)[1].problem(500, "FAULT")


# For the pages of other parts as well.
EXCEPTION_HANDLERS: Final[ExceptionHandlersMap] = {
    NoVisit: _no_visit,
    NoFamily: _no_family,
    ForeignForm: _foreign_form,
    HTTPException: _unreadable,
    Refusal: _refused,
    Exception: _fault,
}

HANDLERS: list[ControllerRouterHandler] = [
    Router(
        "/",
        route_handlers=[
            *entry.HANDLERS,
            *carriers.HANDLERS,
            *wallets.HANDLERS,
            *eudi_wallet.HANDLERS,
            *records.HANDLERS,
            *plate_change.HANDLERS,
            *renewal_pages.HANDLERS,
            *own_cases.HANDLERS,
            *own_data.HANDLERS,
            *seal_page.HANDLERS,
            *shown_codes.HANDLERS,
            *give_back.HANDLERS,
            *family_pages.HANDLERS,
        ],
        exception_handlers=EXCEPTION_HANDLERS,
        request_max_body_size=LONGEST_BODY,
        include_in_schema=False,
    )
]
