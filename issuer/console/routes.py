"""The routes of the console, each of which needs its entry in `issuer.staff.permissions`."""

from __future__ import annotations

from typing import Any, Final

from litestar import Litestar, Response, Router
from litestar.exceptions import HTTPException
from litestar.routes import HTTPRoute
from litestar.types import ControllerRouterHandler

from issuer.console import (
    accesses,
    accounts,
    audit_trail,
    barriers,
    case,
    case_files,
    cases,
    counter,
    counter_evidence,
    counter_pass,
    data_protection,
    decisions,
    devices,
    entry,
    fees,
    figures,
    first_visit,
    histories,
    import_steps,
    imports,
    keys,
    own_account,
    pass_steps,
    pass_wallet,
    passes,
    printing,
    provider,
    residence,
    residence_one,
    rule_pages,
    start,
    statements,
    streets,
    wallet_checks,
    wishes,
    zones,
)
from issuer.console.desk import ForeignForm, NotAllowed, NotLoggedIn, desk_of, guard, wanted_path
from issuer.console.library import codes, family, member, new_card, search, steps, waiting, wallet
from issuer.staff.permissions import PREFIX, Stage, check_routes
from issuer.web import problems
from issuer.web.reader import AnyRequest
from keys.errors import Refusal

LONGEST_BODY: Final = 16 * 1024
_UNAVAILABLE: Final = 503
# Where a session at a stage has to go on.
_PLACES: Final = {None: "/office/login", Stage.CODE: "/office/login/code", Stage.ENROL: "/office/factor"}


def check(app: Litestar) -> None:
    """Whether every route of the console is in the table of permissions. Raises LookupError."""
    check_routes(
        (method, route.path_format)
        for route in app.routes
        if isinstance(route, HTTPRoute) and (route.path + "/").startswith(PREFIX + "/")
        for method in route.methods
    )


def _not_logged_in(request: AnyRequest, fault: NotLoggedIn) -> Response[Any]:
    """On to where the session has to go first; a form is refused, since what it says would be lost."""
    desk = desk_of(request)
    if request.method not in ("GET", "HEAD"):
        return desk.problem(403, "NO_SESSION")
    path = _PLACES.get(fault.stage, "/office")
    if request.headers.get("hx-request") == "true":
        # A part of a page cannot hold the log-in.
        return Response(b"", status_code=403, headers={"HX-Redirect": desk.reader.url(path)})
    wanted = wanted_path(request.scope["path"])
    is_page = not wanted.startswith(tuple(_PLACES.values())) and wanted != "/office"
    query = {"next": wanted} if is_page and fault.stage is not Stage.OPEN else {}
    return desk.go(path, **query)


def _not_allowed(request: AnyRequest, _: NotAllowed) -> Response[Any]:
    return desk_of(request).problem(403, "NOT_ALLOWED")


def _foreign_form(request: AnyRequest, _: ForeignForm) -> Response[Any]:
    return desk_of(request).problem(403, "FOREIGN_FORM")


def _unreadable(request: AnyRequest, fault: HTTPException) -> Response[Any]:
    """What the framework refuses: a body that is too long or no form, a method that a page does not have."""
    if fault.status_code >= 500:
        return _fault(request, fault)
    code = "NOT_FOUND" if fault.status_code == 404 else "UNREADABLE"
    return desk_of(request).problem(fault.status_code, code)


def _refused(request: AnyRequest, refusal: Refusal) -> Response[Any]:
    """What a page does not expect: an object that is not there, else the operator's to solve."""
    if problems.status_of(refusal) == 404:
        return desk_of(request).problem(404, "NOT_FOUND")
    problems.refused(request, refusal)
    try:
        return desk_of(request).problem(_UNAVAILABLE, "FAULT", retry_after=problems.RETRY_AFTER_SECONDS)
    except Refusal:
        # Without settings there is no page to say it on.
        headers = {"Retry-After": str(problems.RETRY_AFTER_SECONDS)}
        return Response(b"", status_code=_UNAVAILABLE, media_type="text/plain", headers=headers)


def _fault(request: AnyRequest, fault: Exception) -> Response[Any]:
    """A fault of ours: logged as everywhere, and a page that says nothing about it."""
    problems.internal_fault(request, fault)
    return desk_of(request).problem(500, "FAULT")


HANDLERS: list[ControllerRouterHandler] = [
    Router(
        "/",
        route_handlers=[
            *entry.HANDLERS,
            *first_visit.HANDLERS,
            *provider.HANDLERS,
            *own_account.HANDLERS,
            *start.HANDLERS,
            *cases.HANDLERS,
            *case.HANDLERS,
            *decisions.HANDLERS,
            *case_files.HANDLERS,
            *counter.HANDLERS,
            *counter_evidence.HANDLERS,
            *counter_pass.HANDLERS,
            *passes.HANDLERS,
            *pass_steps.HANDLERS,
            *pass_wallet.HANDLERS,
            *residence.HANDLERS,
            *residence_one.HANDLERS,
            *wallet_checks.HANDLERS,
            *search.HANDLERS,
            *waiting.HANDLERS,
            *new_card.HANDLERS,
            *member.HANDLERS,
            *codes.HANDLERS,
            *wallet.HANDLERS,
            *steps.HANDLERS,
            *family.HANDLERS,
            *histories.HANDLERS,
            *statements.HANDLERS,
            *figures.HANDLERS,
            *wishes.HANDLERS,
            *imports.HANDLERS,
            *import_steps.HANDLERS,
            *zones.HANDLERS,
            *fees.HANDLERS,
            *streets.HANDLERS,
            *rule_pages.HANDLERS,
            *printing.HANDLERS,
            *devices.HANDLERS,
            *keys.HANDLERS,
            *accesses.HANDLERS,
            *audit_trail.HANDLERS,
            *data_protection.HANDLERS,
            *barriers.HANDLERS,
            *accounts.HANDLERS,
        ],
        guards=[guard],
        exception_handlers={
            NotLoggedIn: _not_logged_in,
            NotAllowed: _not_allowed,
            ForeignForm: _foreign_form,
            HTTPException: _unreadable,
            Refusal: _refused,
            Exception: _fault,
        },
        request_max_body_size=LONGEST_BODY,
        include_in_schema=False,
    )
]
