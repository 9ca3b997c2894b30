"""Logging in at the city's own provider."""

from __future__ import annotations

from typing import Any, Final

from litestar import Response, get

from issuer.console.desk import desk_of
from issuer.errors import IssuerRefusal
from issuer.staff import oidc
from issuer.web.reader import AnyRequest

_LONGEST: Final = 2000
_UNAVAILABLE: Final = 503


@get("/office/oidc/start", sync_to_thread=True)
def begin(request: AnyRequest) -> Response[Any]:
    """Send the browser to the provider."""
    desk = desk_of(request)
    try:
        journey = oidc.begin(desk.application, desk.reader.settings.base_url)
    except IssuerRefusal as refusal:
        status = {"OIDC_OFF": 404, "OIDC_UNREACHABLE": _UNAVAILABLE}.get(refusal.code, 403)
        return desk.problem(status, "NOT_FOUND" if status == 404 else refusal.code)
    return desk.with_journey(desk.reader.leave(journey.address), journey.cookie)


@get("/office/oidc/return", sync_to_thread=True)
def end(request: AnyRequest) -> Response[Any]:
    """Where the provider sends the browser back to."""
    desk = desk_of(request)
    answer = {name: value[:_LONGEST] for name, value in request.query_params.items()}
    try:
        person = oidc.finish(
            desk.application, desk.reader.settings.base_url, desk.journey, answer, desk.caller
        )
    except IssuerRefusal as refusal:
        status = {"OIDC_OFF": 404, "OIDC_UNREACHABLE": _UNAVAILABLE}.get(refusal.code, 403)
        page = desk.problem(status, "NOT_FOUND" if status == 404 else refusal.code)
        return desk.with_journey(page, None)
    # A redirect that began at another site does not bring a strict cookie along; a page that goes on by itself does.
    page = desk.page("logged_in.html")
    return desk.with_journey(desk.with_session(page, person), None)


HANDLERS: Final = [begin, end]
