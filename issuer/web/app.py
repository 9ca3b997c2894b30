"""Assembling the web application from its parts, and the layers around it that see every request and response."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litestar import Litestar, Request, Response, Router
from litestar.datastructures import State
from litestar.exceptions import HTTPException, SerializationException

from issuer import apple_web_service, device_protocol, google_callback, published_lists
from issuer.accessibility import pages as accessibility
from issuer.api import description
from issuer.api import routes as api
from issuer.application import Application
from issuer.apply import routes as apply
from issuer.console import routes as console
from issuer.eudi import routes as eudi
from issuer.figures import pages as figures
from issuer.payments import routes as payments
from issuer.pickup import routes as pickup
from issuer.presentations import routes as presentations
from issuer.web import health, problems, static_files, verifier_app
from issuer.web.answers import is_api, short
from issuer.web.client_address import ClientAddress
from issuer.web.head_requests import HeadRequests
from issuer.web.limits import LARGEST_BODY, RequestLimits
from issuer.web.rate_limits import RateLimits
from issuer.web.request_log import RequestLog
from issuer.web.security_headers import SecurityHeaders
from keys.errors import Refusal

if TYPE_CHECKING:
    from issuer.background.worker import Worker


class _Request(Request[Any, Any, Any]):
    """A request whose body is unreadable, and no fault of ours, however its JSON is broken."""

    async def json(self) -> Any:
        """The body as JSON. Raises SerializationException."""
        try:
            return await super().json()
        except (RecursionError, UnicodeDecodeError):
            # The framework expects neither; both say the same of the body as a missing bracket.
            raise SerializationException from None


def create_app(application: Application, worker: Worker | None = None) -> Litestar:
    """The ASGI application of one tenant's service; ``worker`` is the one that runs in this process, if any."""
    app = routed()
    serve_tenant(app, application, worker)
    return app


def routed() -> Litestar:
    """Every route, for no tenant yet; LookupError where one of the console has no permission."""
    handlers = [
        *health.HANDLERS,
        *static_files.HANDLERS,
        *verifier_app.HANDLERS,
        *published_lists.HANDLERS,
        *device_protocol.HANDLERS,
        *apple_web_service.HANDLERS,
        *google_callback.HANDLERS,
        *pickup.HANDLERS,
        *accessibility.HANDLERS,
        *apply.HANDLERS,
        *console.HANDLERS,
        *payments.HANDLERS,
        *eudi.HANDLERS,
        *presentations.HANDLERS,
        *figures.HANDLERS,
        *api.HANDLERS,
    ]
    app = Litestar(
        # One router for all: given to the application one by one, a handler whose path gets another method later is
        # wrapped for its thread a second time (Litestar 2.25), and answers with a coroutine.
        route_handlers=[Router(path="/", route_handlers=handlers)],
        request_class=_Request,
        openapi_config=description.openapi_config(),
        exception_handlers={Exception: _fault, HTTPException: _fault, Refusal: _fault},
        # The outer layer bounds bodies by their path; what a route says itself holds as well.
        request_max_body_size=LARGEST_BODY,
        # Logging is the process's affair (`logging_setup`), not the framework's.
        logging_config=None,
    )
    console.check(app)
    return app


def serve_tenant(app: Litestar, application: Application, worker: Worker | None = None) -> None:
    """Let ``app``, as `routed` gives it, answer for one tenant, inside the layers that see every request."""
    app.state = State({"application": application, "worker": worker})
    service = application.config.service
    # From the inside out: the last one meets a request first.
    layered = RequestLimits(HeadRequests(app.asgi_handler))
    limited = RateLimits(layered, service.requests_per_minute)
    logged = RequestLog(limited)
    app.asgi_handler = ClientAddress(SecurityHeaders(logged), service.trusted_proxies)


def _fault(request: Request[Any, Any, Any], fault: Exception) -> Response[Any]:
    """What no route has answered for itself: as the outer layers do."""
    if is_api(request.scope["path"]):
        if isinstance(fault, Refusal):
            return problems.refused(request, fault)
        if isinstance(fault, HTTPException):
            return problems.http_fault(request, fault)
        return problems.internal_fault(request, fault)
    if isinstance(fault, HTTPException) and fault.status_code < 500:
        status, headers = fault.status_code, dict(fault.headers or {})
    else:
        # Logged the same way as under the API: the kind and the lines, never the text.
        answer = problems.refused if isinstance(fault, Refusal) else problems.internal_fault
        told = answer(request, fault)  # type: ignore[arg-type]
        status, headers = told.status_code or 500, {}
    body, kind = short(request.scope["path"], status)
    return Response(body, status_code=status, headers=headers, media_type=kind)
