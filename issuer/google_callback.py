"""Google's callbacks: somebody has added a pass to a wallet or removed it.

A callback only says where a pass is (`WalletPassRow.google_state`); it changes no right. Google sends callbacks as
best it can, some twice and some late, so each nonce counts once, and a state that is so already is told to nobody.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

from litestar import Request, Response, post
from litestar.params import RawBody
from litestar.types import ControllerRouterHandler
from sqlalchemy import delete
from sqlalchemy.orm import Session

from issuer import outgoing
from issuer.application import Application
from issuer.google_root_keys import root_keys_of
from issuer.google_signature import LARGEST, Callback, CallbackRefused, verified
from issuer.models_delivery import GoogleNonceRow, WalletPassRow
from issuer.outgoing import EventName, PassEvent
from keys.errors import Refusal

PATH: Final = "/google/callback"
_STATES: Final = {"save": ("saved", EventName.CARRIER_ADDED), "del": ("removed", EventName.CARRIER_REMOVED)}
_log = logging.getLogger("stadtpass.google")


@post(
    PATH,
    status_code=200,
    sync_to_thread=True,
    request_max_body_size=LARGEST,
    include_in_schema=False,
)
def receive(request: Request[Any, Any, Any], body: RawBody) -> Response[bytes]:
    """Take one callback: 200 also for one that was there before, 400 for what is not Google's or not for us,
    404 for an object of nobody here, 503 while Google's keys cannot be had.
    """
    application: Application = request.app.state.application
    with application.reading() as session:
        settings = application.settings(session)
        issuer_id = settings.google_issuer_id
    if not application.config.google.enabled or not settings.google_offered or not issuer_id:
        return _answer(404)
    now = application.now()
    roots = root_keys_of(application).holding(now)
    if not roots:
        return _answer(503, {"Retry-After": "60"})
    try:
        callback = verified(body, roots, issuer_id, now)
    except CallbackRefused as refused:
        _log.warning("google callback refused", extra={"reason": refused.reason})
        return _answer(400)
    if not _apply(application, issuer_id, callback):
        _log.warning("google callback refused", extra={"reason": "object-unknown"})
        return _answer(404)
    return _answer(200)


HANDLERS: list[ControllerRouterHandler] = [receive]


def _answer(status: int, headers: Mapping[str, str] | None = None) -> Response[bytes]:
    """Nobody reads more than the status, and who sends forged callbacks need not learn what was wrong."""
    return Response(
        b"",
        status_code=status,
        media_type="text/plain",
        headers={"Cache-Control": "no-store", **(headers or {})},
    )


def _apply(application: Application, issuer_id: str, callback: Callback) -> bool:
    """Note the new state, once per nonce; False if no pass of the tenant has this object and class."""
    tenant, now = application.tenant, application.now()
    issuer, _, serial = callback.object_id.partition(".")
    if issuer != issuer_id:
        return False
    state, event = _STATES[callback.event]
    with application.writing() as session:
        row = session.get(WalletPassRow, (tenant, serial))
        if row is None or _class_id(application, session, row) != callback.class_id:
            return False
        session.execute(
            delete(GoogleNonceRow).where(GoogleNonceRow.tenant == tenant, GoogleNonceRow.expires_at <= now)
        )
        nonce = application.hash_secret("google-nonce", callback.nonce)
        if session.get(GoogleNonceRow, (tenant, nonce)) is not None:
            return True
        # After it has expired, the callback itself is refused.
        session.add(GoogleNonceRow(tenant=tenant, nonce_hash=nonce, expires_at=callback.expires_at))
        if row.google_state != state:
            row.google_state = state
            outgoing.tell(session, tenant, [PassEvent(event, row.type_id, row.number, serial)], now)
    return True


def _class_id(application: Application, session: Session, row: WalletPassRow) -> str | None:
    try:
        return application.google_factory(session, row.type_id).class_id
    except (Refusal, KeyError):
        return None
