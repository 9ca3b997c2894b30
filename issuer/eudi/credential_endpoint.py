"""The credential endpoint and the deferred one (OpenID4VCI 1.0, 8 and 9).

Everything that costs nothing is checked first. Then one transaction uses up proof and nonces, takes places in the
status list and notes what will be issued; signing comes after it, since nobody else can write meanwhile. If signing
fails, the places are given up, and the wallet is told to come again. What a refresh replaces ends when the new ones
are made, and not before: a wallet never stands there with nothing.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from joserfc.jwk import ECKey
from litestar import Response, post
from litestar.params import RawBody
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from issuer import audit
from issuer.application import Application
from issuer.audit import AuditEvent
from issuer.eudi import addresses, encryption, jws, making, once, status_lists
from issuer.eudi.access import Access, access_of, with_nonce
from issuer.eudi.encryption import ResponseKey
from issuer.eudi.errors import NO_STORE, Refused, json_answer
from issuer.eudi.identity import signer_id
from issuer.eudi.key_proofs import Proven, prove
from issuer.eudi.making import Configuration, Order
from issuer.eudi.requests import application_of, json_body
from issuer.eudi.status_lists import Series
from issuer.eudi.token_endpoint import ACTOR, identifier
from issuer.models_eudi import EudiBatchRow, EudiCredentialRow, IssuanceSessionRow
from issuer.register import load_contents, subject
from issuer.status_allocation import half_year
from issuer.web.reader import AnyRequest
from keys.errors import Refusal
from passes.errors import PassRefusal
from passes.model import PassContent
from passes.periods import berlin_day

# How long a wallet waits before it comes again for what could not be signed, in seconds.
INTERVAL: Final = 60
NOTIFICATION: Final = "eudi-notification"
_LOG = logging.getLogger("stadtpass.eudi")
_TRANSACTION: Final = "eudi-transaction"
_MALFORMED: Final = "invalid_credential_request"
_LONGEST_ID: Final = 100


@dataclass(frozen=True, slots=True)
class _Ordered:
    """A batch that is noted in the register and has yet to be signed; secrets are the wallet's handles to it."""

    batch: EudiBatchRow
    notification_id: str
    order: Order


@post(addresses.CREDENTIAL, status_code=200, sync_to_thread=True)
def give_credentials(request: AnyRequest, body: RawBody) -> Response[bytes]:
    """Credentials of one configuration, one for each key that the wallet proves to hold."""
    application = application_of(request)
    access = access_of(application, request, addresses.CREDENTIAL)
    try:
        asked, encrypted = _body(application, request, body)
        response_key = encryption.response_key(
            asked.get("credential_response_encryption"), encrypted=encrypted
        )
        answer, status = _credentials(application, access, asked)
    except Refused as refused:
        refused.headers.update({**with_nonce(application, access), **refused.headers})
        raise
    return _answer(application, access, answer, status, response_key)


@post(addresses.DEFERRED, status_code=200, sync_to_thread=True)
def give_deferred(request: AnyRequest, body: RawBody) -> Response[bytes]:
    """What could not be made when it was asked for."""
    application = application_of(request)
    access = access_of(application, request, addresses.DEFERRED)
    try:
        asked, encrypted = _body(application, request, body)
        response_key = encryption.response_key(
            asked.get("credential_response_encryption"), encrypted=encrypted
        )
        answer, status = _deferred(application, access, asked)
    except Refused as refused:
        refused.headers.update({**with_nonce(application, access), **refused.headers})
        raise
    return _answer(application, access, answer, status, response_key)


def _body(application: Application, request: AnyRequest, body: bytes) -> tuple[dict[str, Any], bool]:
    """The members of the request, and whether it was encrypted."""
    if request.content_type[0] == encryption.MEDIA_TYPE:
        return encryption.decrypted(application, body), True
    return json_body(request, body, _MALFORMED), False


def _answer(
    application: Application,
    access: Access,
    content: dict[str, Any],
    status: int,
    response_key: ResponseKey | None,
) -> Response[bytes]:
    headers = {**NO_STORE, **with_nonce(application, access)}
    if response_key is None:
        return json_answer(content, status=status, headers=headers)
    sealed = response_key.encrypt(msgspec.json.encode(content)).encode()
    return Response(sealed, status_code=status, media_type=encryption.MEDIA_TYPE, headers=headers)


def _credentials(
    application: Application, access: Access, asked: dict[str, Any]
) -> tuple[dict[str, Any], int]:
    with application.reading() as session:
        issuer = addresses.issuer_of(application.settings(session))
        row = access.look(session, application)
    configuration = _configuration(application, row, asked)
    proven = prove(
        application,
        asked.get("proofs"),
        issuer=issuer,
        client_id=row.client_id or "",
        anonymous=not row.client_id,
    )
    ordered: _Ordered | Refused
    with application.writing() as session:
        try:
            ordered = _order(session, application, access, configuration, proven)
        except Refused as refused:
            ordered = refused
    if isinstance(ordered, Refused):
        raise ordered
    return _made(application, ordered)


def _deferred(application: Application, access: Access, asked: dict[str, Any]) -> tuple[dict[str, Any], int]:
    told = asked.get("transaction_id")
    if not isinstance(told, str) or not 0 < len(told) <= _LONGEST_ID:
        raise Refused(_MALFORMED, "TRANSACTION_MISSING")
    ordered: _Ordered | Refused
    with application.writing() as session:
        try:
            ordered = _order_again(session, application, access, told)
        except Refused as refused:
            ordered = refused
    if isinstance(ordered, Refused):
        raise ordered
    return _made(application, ordered, told)


def _configuration(application: Application, row: IssuanceSessionRow, asked: dict[str, Any]) -> Configuration:
    """What is asked for: by identifier where the token came with identifiers, by configuration otherwise (8.2)."""
    by_identifier, by_id = asked.get("credential_identifier"), asked.get("credential_configuration_id")
    if (by_identifier is None) == (by_id is None):
        raise Refused(_MALFORMED, "CREDENTIAL_ONE_OF")
    told = by_identifier if by_identifier is not None else by_id
    if not isinstance(told, str) or (by_identifier is not None) != row.by_identifier:
        raise Refused(_MALFORMED, "CREDENTIAL_ONE_OF")
    known = making.configurations(application)
    if by_identifier is not None:
        given = {identifier(row, one): one for one in row.configurations}
        if told not in given:
            raise Refused("unknown_credential_identifier", "IDENTIFIER")
        told = given[told]
    if told not in known or told not in row.configurations:
        raise Refused("unknown_credential_configuration", "CONFIGURATION")
    return known[told]


def _order(
    session: Session,
    application: Application,
    access: Access,
    configuration: Configuration,
    proven: Proven,
) -> _Ordered:
    row = access.use(session, application)
    proven.use(session, application)
    there = session.scalar(
        select(func.count())
        .select_from(EudiCredentialRow)
        .where(
            EudiCredentialRow.tenant == application.tenant,
            EudiCredentialRow.session_id == row.id,
            EudiCredentialRow.configuration == configuration.id,
            EudiCredentialRow.generation == row.generation,
            EudiCredentialRow.superseded_at.is_(None),
        )
    )
    room = application.config.eudi.batch_size - (there or 0)
    keys = list(proven.keys.values())[:room] if room > 0 else []
    if not keys:
        raise Refused("credential_request_denied", "TOO_MANY")
    batch = EudiBatchRow(
        tenant=application.tenant,
        id=secrets.token_hex(16),
        session_id=row.id,
        configuration=configuration.id,
        generation=row.generation,
        keys=None,
        created_at=application.now(),
    )
    session.add(batch)
    return _note(session, application, row, batch, configuration, keys)


def _order_again(session: Session, application: Application, access: Access, told: str) -> _Ordered:
    row = access.use(session, application)
    batch = session.scalar(
        select(EudiBatchRow)
        .where(
            EudiBatchRow.tenant == application.tenant,
            EudiBatchRow.transaction_hash == application.hash_secret(_TRANSACTION, told),
        )
        .execution_options(populate_existing=True)
    )
    if batch is None or batch.session_id != row.id or batch.keys is None or batch.issued_at is not None:
        raise Refused("invalid_transaction_id", "TRANSACTION")
    configuration = making.configurations(application).get(batch.configuration)
    if configuration is None or batch.generation < row.generation - 1:
        raise Refused("credential_request_denied", "CONFIGURATION")
    keys = [jws.public_key(one) for one in msgspec.json.decode(batch.keys)]
    return _note(session, application, row, batch, configuration, keys)


def _note(
    session: Session,
    application: Application,
    row: IssuanceSessionRow,
    batch: EudiBatchRow,
    configuration: Configuration,
    keys: Sequence[ECKey],
) -> _Ordered:
    """Take places for ``keys`` and note the credentials."""
    tenant, now = application.tenant, application.now()
    content = _content(session, application, row, configuration)
    ends = making.ends_at(configuration, content, now)
    series = Series(row.type_id, half_year(berlin_day(ends)), signer_id(session, application))
    places = status_lists.allocate(session, tenant, series, len(keys))
    for number, index in places:
        session.add(
            EudiCredentialRow(
                tenant=tenant,
                list_number=number,
                list_index=index,
                status_value=status_lists.VALID,
                type_id=row.type_id,
                number=row.number,
                n=row.n,
                session_id=row.id,
                batch_id=batch.id,
                generation=batch.generation,
                configuration=configuration.id,
                format=configuration.format,
                issued_at=now,
                expires_at=ends,
                superseded_at=None,
            )
        )
    notification_id = secrets.token_urlsafe(16)
    batch.keys = None
    batch.notification_hash = application.hash_secret(NOTIFICATION, notification_id)
    batch.issued_at = now
    event = AuditEvent(
        "eudi-issue",
        subject(row.type_id, row.number),
        after={"configuration": configuration.id, "count": len(keys)},
    )
    audit.append(session, tenant, [event], now, ACTOR)
    settings = application.settings(session)
    recipients = [
        (key, (addresses.address(settings, f"{addresses.STATUS}{number}"), index))
        for key, (number, index) in zip(keys, places, strict=True)
    ]
    return _Ordered(batch, notification_id, Order(configuration, content, recipients, now, series.kid))


def _content(
    session: Session, application: Application, row: IssuanceSessionRow, configuration: Configuration
) -> PassContent:
    found = next(load_contents(session, application.tenant, configuration.pass_type, [row.number]), None)
    if found is None:
        raise Refused("credential_request_denied", "PASS")
    return found


def _replace(application: Application, batch: EudiBatchRow) -> None:
    """Make those of generations before ``batch`` invalid, which was made."""
    if batch.generation == 0:
        return
    older = (
        EudiCredentialRow.session_id == batch.session_id,
        EudiCredentialRow.configuration == batch.configuration,
        EudiCredentialRow.generation < batch.generation,
    )
    both = (status_lists.VALID, status_lists.SUSPENDED)
    with application.writing() as session:
        status_lists.mark(session, application.tenant, older, status_lists.INVALID, only=both)
        session.execute(
            update(EudiCredentialRow)
            .where(EudiCredentialRow.tenant == application.tenant, *older)
            .where(EudiCredentialRow.superseded_at.is_(None))
            .values(superseded_at=application.now())
        )


def _made(
    application: Application, ordered: _Ordered, transaction_id: str | None = None
) -> tuple[dict[str, Any], int]:
    """The signed credentials, or the promise of them; ``transaction_id`` is that of the promise before."""
    try:
        with application.reading() as session:
            made = making.make(application, session, ordered.order)
    except PassRefusal:
        # What the pass says makes no credential, today or later.
        _give_up(application, ordered, None, None)
        raise Refused("credential_request_denied", "PASS") from None
    except Refusal as refusal:
        _LOG.warning("credential not signed", extra={"code": refusal.code})
        return _promised(application, ordered, transaction_id), 202
    _replace(application, ordered.batch)
    answer: dict[str, Any] = {"credentials": [{"credential": one} for one in made]}
    # Wallets built on oid4vc-ts 0.4 refuse a deferred answer that has one.
    if transaction_id is None:
        answer["notification_id"] = ordered.notification_id
        # Credo up to 0.6.3 looks here for the nonce of its next request; an additional member is allowed (8.3).
        answer["c_nonce"] = once.new_nonce(application, once.CREDENTIAL)
    return answer, 200


def _promised(application: Application, ordered: _Ordered, transaction_id: str | None) -> dict[str, Any]:
    told = transaction_id or secrets.token_urlsafe(16)
    keys = msgspec.json.encode([jws.jwk_of(key) for key, _ in ordered.order.recipients]).decode()
    _give_up(application, ordered, keys, application.hash_secret(_TRANSACTION, told))
    return {"transaction_id": told, "interval": INTERVAL}


def _give_up(
    application: Application, ordered: _Ordered, keys: str | None, transaction_hash: str | None
) -> None:
    """Make the places of ``ordered`` invalid: nothing was signed for them. ``keys`` wait for another time."""
    of_batch = (
        EudiCredentialRow.tenant == application.tenant,
        EudiCredentialRow.batch_id == ordered.batch.id,
    )
    with application.writing() as session:
        status_lists.mark(
            session, application.tenant, of_batch, status_lists.INVALID, only=(status_lists.VALID,)
        )
        session.execute(update(EudiCredentialRow).where(*of_batch).values(superseded_at=application.now()))
        session.execute(
            update(EudiBatchRow)
            .where(EudiBatchRow.tenant == application.tenant, EudiBatchRow.id == ordered.batch.id)
            .values(
                keys=keys,
                issued_at=None,
                notification_hash=None,
                transaction_hash=transaction_hash,
            )
        )
