"""``/accessibility``: the statement that BITVNRW asks for, and the form to tell of a barrier; no account needed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from litestar import HttpMethod, Response, Router, post, route
from litestar.types import ControllerRouterHandler

from issuer.accessibility.feedback import LONGEST_ADDRESS, LONGEST_MESSAGE, OF_CLIENT, leave_feedback
from issuer.errors import IssuerRefusal
from issuer.pickup.routes import EXCEPTION_HANDLERS
from issuer.web.forms import Form, FormData
from issuer.web.reader import AnyRequest, Reader, reader_of
from passes.display import day_text

PATH: Final = "/accessibility"
LONGEST_BODY: Final = 16 * 1024
_READS: Final = [HttpMethod.GET, HttpMethod.HEAD]
_WRONG: Final = 422
_MINUTE: Final = 60
_FIELD_OF: Final = {"BARRIER_MESSAGE": "message", "BARRIER_ADDRESS": "reply_to"}


@route(PATH, http_method=_READS, sync_to_thread=True)
def statement(request: AnyRequest) -> Response[Any]:
    """The statement with the form."""
    return _page(reader_of(request)[1], Form({"message": "", "reply_to": ""}))


@post(f"{PATH}/feedback", status_code=303, sync_to_thread=True)
def tell(request: AnyRequest, data: FormData) -> Response[Any]:
    """Take a message."""
    application, reader = reader_of(request)
    if not reader.is_from_here():
        return reader.problem(403, "FOREIGN_FORM")
    form = Form(
        {
            "message": _text(data, "message", 4 * LONGEST_MESSAGE),
            "reply_to": _text(data, "reply_to", 2 * LONGEST_ADDRESS).strip(),
        }
    )
    try:
        with application.writing() as session:
            leave_feedback(
                session, application, form.values["message"], form.values["reply_to"], reader.network
            )
    except IssuerRefusal as refusal:
        if refusal.code in _FIELD_OF:
            form.errors[_FIELD_OF[refusal.code]] = f"BARRIER_WRONG_{_FIELD_OF[refusal.code].upper()}"
            return _page(reader, form, status=_WRONG)
        minutes = OF_CLIENT.seconds // _MINUTE
        return reader.problem(429, "TOO_OFTEN", retry_after=OF_CLIENT.seconds, minutes=minutes)
    return reader.go(f"{PATH}/thanks")


@route(f"{PATH}/thanks", http_method=_READS, sync_to_thread=True)
def thanks(request: AnyRequest) -> Response[Any]:
    """That the message has come."""
    application, reader = reader_of(request)
    return reader.page("accessibility/thanks.html", days=application.config.retention.feedback)


HANDLERS: list[ControllerRouterHandler] = [
    Router(
        "/",
        route_handlers=[statement, tell, thanks],
        exception_handlers=EXCEPTION_HANDLERS,
        request_max_body_size=LONGEST_BODY,
        include_in_schema=False,
    )
]


def _page(reader: Reader, form: Form, *, status: int = 200) -> Response[Any]:
    settings = reader.settings
    checked = ""
    if settings.accessibility_checked:
        checked = day_text(date.fromisoformat(settings.accessibility_checked), reader.language)
    return reader.page(
        "accessibility/statement.html",
        status=status,
        form=form,
        checked=checked,
        gaps=settings.accessibility_gaps,
        office=settings.accessibility_office or settings.contact,
        longest=LONGEST_MESSAGE,
        longest_address=LONGEST_ADDRESS,
    )


def _text(data: Mapping[str, Any], name: str, limit: int) -> str:
    value = data.get(name, "")
    return value[:limit] if isinstance(value, str) else ""
