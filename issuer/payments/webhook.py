"""Where providers tell of payments: ``POST /payments/{provider}/events``.

The signature is checked over the bytes as they came, before anything reads them. A message of money is believed only
after the provider itself was asked. 200 means that nothing needs to be sent again; what cannot be worked off now (the
provider cannot be asked, the key to seal with is away) is answered 503, and comes again.
"""

from __future__ import annotations

import logging
from typing import Any, Final

from litestar import Request, Response, post
from litestar.params import FromPath, RawBody

from issuer.application import Application
from issuer.payments.provider import (
    Notification,
    NotificationRefused,
    PaymentInformation,
    PaymentProvider,
    ProviderRefused,
    ProviderUnavailable,
    TransactionStatus,
)
from issuer.payments.providers import DEMO, provider_of
from issuer.payments.service import Event, Outcome, Source, find_payment, has_event, take_event

LARGEST: Final = 64 * 1024
_log = logging.getLogger("stadtpass.payments")


@post(
    "/payments/{provider:str}/events",
    status_code=200,
    sync_to_thread=True,
    request_max_body_size=LARGEST,
    include_in_schema=False,
)
def receive(request: Request[Any, Any, Any], provider: FromPath[str], body: RawBody) -> Response[bytes]:
    """Take one notification: 200 also for one that was there before, 400 for what is not the provider's, 404 for a
    provider or a payment that is not here, 503 while it cannot be worked off.
    """
    return _receive(request, provider, body)


@post(
    "/payments/demo/events",
    status_code=200,
    sync_to_thread=True,
    request_max_body_size=LARGEST,
    include_in_schema=False,
)
def receive_demo(request: Request[Any, Any, Any], body: RawBody) -> Response[bytes]:
    """The same for the simulated provider, beside whose pages this path lies."""
    return _receive(request, DEMO, body)


def _receive(request: Request[Any, Any, Any], name: str, body: bytes) -> Response[bytes]:
    application: Application = request.app.state.application
    with application.reading() as session:
        provider = provider_of(application, session, name)
    if provider is None:
        return _answer(404)
    headers = {key.lower(): value for key, value in request.headers.items()}
    try:
        told = provider.notification(headers, body, application.now())
    except NotificationRefused as refused:
        _log.warning("payment notification refused", extra={"reason": refused.reason})
        return _answer(400)
    try:
        outcome = take_notification(application, name, provider, told)
    except ProviderUnavailable as unavailable:
        _log.warning("payment provider unavailable", extra={"reason": unavailable.reason})
        return _answer(503)
    if outcome is Outcome.UNKNOWN:
        _log.warning("payment notification refused", extra={"reason": "payment-unknown"})
        return _answer(404)
    return _answer(200)


def take_notification(
    application: Application, name: str, provider: PaymentProvider, told: Notification
) -> Outcome:
    """Take a notification whose signature was checked. Raises ProviderUnavailable."""
    with application.reading() as session:
        row = find_payment(session, application.tenant, told.request_id)
        known = has_event(session, application.tenant, name, told.event_id)
    if row is None or row.provider != name:
        return Outcome.UNKNOWN
    if known:
        # Nobody needs to be asked again; what comes at the same moment is told apart in the transaction.
        return Outcome.REPEATED
    information: PaymentInformation | None = None
    if told.status is TransactionStatus.PAYED and row.provider_id is not None:
        try:
            information = provider.query(row.id, row.provider_id)
        except ProviderRefused as refused:
            # It does not know what it has just told of: not believed, and looked at again later.
            _log.error("payment provider refuses", extra={"payment": row.id, "reason": refused.reason})
    event = Event(name, told.event_id, row.id, told.status, Source.NOTIFICATION, information)
    with application.writing() as session:
        return take_event(session, application, event)


def _answer(status: int) -> Response[bytes]:
    """Nobody reads more than the status, and who sends forged messages need not learn what was wrong."""
    headers = {"Cache-Control": "no-store", **({"Retry-After": "60"} if status == 503 else {})}
    return Response(b"", status_code=status, media_type="text/plain", headers=headers)


HANDLERS: Final = [receive, receive_demo]
