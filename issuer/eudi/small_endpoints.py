"""The endpoints of a few lines each: nonces, notifications, offers by reference (OpenID4VCI 1.0, 4.1.3, 7 and 11)."""

from __future__ import annotations

import re
from typing import Any, Final

from litestar import Response, get, post
from litestar.params import FromPath, RawBody
from sqlalchemy import select

from issuer.eudi import addresses, dpop, offers, once
from issuer.eudi.access import access_of, with_nonce
from issuer.eudi.credential_endpoint import NOTIFICATION
from issuer.eudi.errors import Refused, json_answer
from issuer.eudi.requests import application_of, json_body
from issuer.models_eudi import EudiBatchRow
from issuer.web.reader import AnyRequest

_MALFORMED: Final = "invalid_notification_request"
_EVENTS: Final = ("credential_accepted", "credential_failure", "credential_deleted")
# OpenID4VCI 1.0, 11.1: ASCII without quotes and backslashes.
_DESCRIPTION: Final = re.compile(r"[\x20-\x21\x23-\x5b\x5d-\x7e]{0,1000}")
_LONGEST_ID: Final = 100


@post(addresses.NONCE, status_code=200, sync_to_thread=True)
def give_nonce(request: AnyRequest) -> Response[bytes]:
    """A nonce for key proofs, and one for DPoP in the header; anybody may ask."""
    application = application_of(request)
    nonce = once.new_nonce(application, once.CREDENTIAL)
    return json_answer({"c_nonce": nonce}, headers=dpop.fresh_nonce(application))


@get(f"{addresses.OFFERS}{{token:str}}", sync_to_thread=True)
def give_offer(request: AnyRequest, token: FromPath[str]) -> Response[bytes]:
    """The offer behind the address in a QR code; looking uses nothing up."""
    application = application_of(request)
    with application.reading() as session:
        found = offers.offer_content(session, application, token)
    if found is None:
        raise Refused("not_found", "OFFER", status=404)
    return json_answer(found)


@post(addresses.NOTIFICATION, status_code=200, sync_to_thread=True)
def take_notification(request: AnyRequest, body: RawBody) -> Response[bytes]:
    """What has become of credentials in the wallet; told twice, it is the same."""
    application = application_of(request)
    access = access_of(application, request, addresses.NOTIFICATION)
    try:
        told = json_body(request, body, _MALFORMED)
        name, event = told.get("notification_id"), told.get("event")
        if not isinstance(name, str) or not 0 < len(name) <= _LONGEST_ID or event not in _EVENTS:
            raise Refused(_MALFORMED, "NOTIFICATION")
        _check_description(told)
        known = True
        with application.writing() as session:
            row = access.use(session, application)
            batch = session.scalar(
                select(EudiBatchRow).where(
                    EudiBatchRow.tenant == application.tenant,
                    EudiBatchRow.session_id == row.id,
                    EudiBatchRow.notification_hash == application.hash_secret(NOTIFICATION, name),
                )
            )
            if batch is None:
                known = False
            elif batch.event != event:
                batch.event, batch.event_at = event, application.now()
        if not known:
            raise Refused("invalid_notification_id", "NOTIFICATION_UNKNOWN")
    except Refused as refused:
        refused.headers.update({**with_nonce(application, access), **refused.headers})
        raise
    return Response(b"", status_code=204, headers=with_nonce(application, access))


def _check_description(told: dict[str, Any]) -> None:
    """It is not kept: it is meant for developers, and may say anything."""
    description = told.get("event_description")
    if description is not None and not (isinstance(description, str) and _DESCRIPTION.fullmatch(description)):
        raise Refused(_MALFORMED, "NOTIFICATION")


HANDLERS: Final = [give_nonce, give_offer, take_notification]
