"""Asking a wallet: a question for ten minutes, what has become of it, and what was shown, once.

Only the browser session that has asked hears of any of it. After the way over a link on the same device it has to
bring the code that the wallet came back with, so that nobody's wallet answers a question that somebody else began
(OpenID4VP 1.0, 14.2; HAIP 1.0, 5.1). A code on a screen can be sent on, and nothing in the protocol shows that: pages
for people who are not at the desk say in words what is about to be shown, and to whom.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import CursorResult, delete, update
from sqlalchemy.orm import Session

from issuer import audit
from issuer.application import Application
from issuer.audit import AuditEvent
from issuer.errors import IssuerRefusal
from issuer.eudi import identity
from issuer.models_presentations import PresentationRow
from issuer.presentations import store
from issuer.presentations.errors import AnswerRefused
from issuer.presentations.handles import Handles, Way, new_seed, token_hash
from issuer.presentations.store import LIFETIME, OPEN, Shown, State
from issuer.presentations.trust import anchors_of, trusted_kinds
from issuer.presentations.wishes import Wish, queries
from keys.errors import KeyRefusal, Refusal
from keys.eudi_certificates import EudiSigningIdentity
from keys.texts import texts
from verifier.credentials.outcome import PresentationRefused

# Stands in `ask`'s ``back`` for the id that the question gets.
ASKED_ID: Final = "{id}"
_ASKER: Final = "eudi-presentation-asker"
_RESPONSE: Final = "eudi-presentation-response"
_ID_BYTES: Final = 16
_NOT_WANTED: Final = frozenset({"EUDI_OFF", "PRESENTATION_NOT_SET_UP"})
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Asker:
    """The browser session that asks: of somebody of the office, or of whoever applies for something.

    ``key`` is what only this session has (the hash of its cookie, the id of its visit).
    """

    kind: Literal["staff", "case"]
    key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Asked:
    """A question: ``id`` for our own addresses, the links that open a wallet, and when it ends (aware).

    ``link`` is for a QR code, so for a wallet on another device, ``same_device`` for a wallet on this one; both are
    secrets.
    """

    id: str
    link: str = field(repr=False)
    same_device: str = field(repr=False)
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class Outcome:
    """What has become of a question: ``asked`` as long as a wallet can answer, ``refusal`` why it does not hold."""

    state: State
    wish: Wish
    asked: Asked | None = None
    refusal: Refusal | None = None


def can_ask(session: Session, application: Application, wish: Wish) -> bool:
    """Whether `ask` would ask: for pages that then do not offer it."""
    try:
        _check(session, application, wish)
    except Refusal as refusal:
        if refusal.code not in _NOT_WANTED:
            _log.warning("questions to wallets cannot be asked", extra={"code": refusal.code})
        return False
    return True


def ask(
    session: Session, application: Application, wish: Wish, asker: Asker, *, back: str, actor: str = "holder"
) -> Asked:
    """A new question, in a writing transaction, with an entry in the audit trail.

    ``back`` is the path of the page of ours that a wallet on the same device goes back to; it gets the parameter
    ``response_code``, and the question's id where `ASKED_ID` stands. Raises IssuerRefusal EUDI_OFF,
    PRESENTATION_NOT_SET_UP, FILE_FAULT as `anchors_of`.
    """
    if not back.startswith("/") or back.startswith("//") or "#" in back:
        raise ValueError("back is a path of ours")
    signer = _check(session, application, wish)
    now = application.now()
    asked_id, seed = secrets.token_hex(_ID_BYTES), new_seed()
    hashes = {way: token_hash(application, Handles.of(application, asked_id, seed, way).token) for way in Way}
    row = PresentationRow(
        tenant=application.tenant,
        id=asked_id,
        wish=wish,
        asker_kind=asker.kind,
        asker_hash=_asker_hash(application, asker),
        back=back.replace(ASKED_ID, asked_id),
        client_id=client_id_of(signer),
        seed=seed,
        other_hash=hashes[Way.OTHER_DEVICE],
        same_hash=hashes[Way.SAME_DEVICE],
        state=State.WAITING,
        created_at=now,
        ends_at=now + LIFETIME,
    )
    session.add(row)
    session.flush()
    event = AuditEvent("presentation-ask", subject(asked_id), after={"wish": wish.value, "by": asker.kind})
    audit.append(session, application.tenant, [event], now, actor)
    return _asked(session, application, row, seed)


def outcome(
    session: Session,
    application: Application,
    asked_id: str,
    asker: Asker,
    *,
    response_code: str | None = None,
) -> Outcome:
    """What has become of a question of ``asker``; nothing changes.

    An answer from the same device stays OPENED without its ``response_code``. Raises IssuerRefusal
    PRESENTATION_UNKNOWN: no such question, or somebody else's.
    """
    row = _own(session, application, asked_id, asker)
    wish, state = Wish(row.wish), State(row.state)
    if state is State.TAKEN or row.ends_at <= application.now():
        return Outcome(State.ENDED, wish)
    if state in OPEN and row.seed is not None:
        return Outcome(state, wish, _asked(session, application, row, row.seed))
    if not _came_back(application, row, response_code):
        return Outcome(State.OPENED, wish)
    return Outcome(state, wish, refusal=_refusal(row) if state is State.REFUSED else None)


def take(
    session: Session,
    application: Application,
    asked_id: str,
    asker: Asker,
    *,
    response_code: str | None = None,
    actor: str = "holder",
) -> Shown:
    """What the wallet has shown, once: it is forgotten here with that, in a writing transaction.

    Raises IssuerRefusal PRESENTATION_UNKNOWN as `outcome`, PRESENTATION_NOTHING where it does not stand at HOLDS.
    """
    row = _own(session, application, asked_id, asker)
    found = outcome(session, application, asked_id, asker, response_code=response_code)
    if found.state is not State.HOLDS or row.answer is None:
        raise IssuerRefusal("PRESENTATION_NOTHING")
    taken: CursorResult[Any] = session.connection().execute(
        update(PresentationRow)
        .where(
            PresentationRow.tenant == application.tenant,
            PresentationRow.id == asked_id,
            PresentationRow.state == State.HOLDS,
        )
        .values(state=State.TAKEN, answer=None)
    )
    if taken.rowcount != 1:
        raise IssuerRefusal("PRESENTATION_NOTHING")
    shown = store.unsealed(application, asked_id, row.answer)
    event = AuditEvent("presentation-take", subject(asked_id), after={"credential": shown.credential.value})
    audit.append(session, application.tenant, [event], application.now(), actor)
    return shown


def withdraw(
    session: Session, application: Application, asked_id: str, asker: Asker, *, actor: str = "holder"
) -> None:
    """End a question and forget its answer, in a writing transaction. Raises IssuerRefusal PRESENTATION_UNKNOWN."""
    row = _own(session, application, asked_id, asker)
    session.execute(
        delete(PresentationRow).where(
            PresentationRow.tenant == application.tenant, PresentationRow.id == row.id
        )
    )
    event = AuditEvent("presentation-withdraw", subject(asked_id))
    audit.append(session, application.tenant, [event], application.now(), actor)


def withdraw_if_there(
    session: Session, application: Application, asked_id: str, asker: Asker, *, actor: str = "holder"
) -> None:
    """As `withdraw`, for whoever asks anew; without a fault where there is nothing of ``asker``'s to end."""
    with suppress(IssuerRefusal):
        withdraw(session, application, asked_id, asker, actor=actor)


def client_id_of(signer: EudiSigningIdentity) -> str:
    """As whom ``signer`` asks: the hash of its certificate (OpenID4VP 1.0, 5.9.3, x509_hash)."""
    digest = hashlib.sha256(signer.certificate.public_bytes(Encoding.DER)).digest()
    return f"x509_hash:{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"


def response_hash(application: Application, code: str) -> str:
    """What is stored of a response code."""
    return application.hash_secret(_RESPONSE, code)


def subject(asked_id: str) -> str:
    """How the audit trail names a question."""
    return f"presentation/{asked_id}"


def _check(session: Session, application: Application, wish: Wish) -> EudiSigningIdentity:
    if not application.config.eudi.enabled:
        raise IssuerRefusal("EUDI_OFF")
    base_url = application.settings(session).base_url
    asked = queries(application.pass_types, base_url, wish, trusted_kinds(application))
    if not asked:
        raise IssuerRefusal("PRESENTATION_NOT_SET_UP")
    for credential in {one.credential for one in asked}:
        anchors_of(application, credential)
    try:
        return identity.access_signer(session, application)
    except (IssuerRefusal, KeyRefusal) as fault:
        raise IssuerRefusal("PRESENTATION_NOT_SET_UP") from fault


def _asked(session: Session, application: Application, row: PresentationRow, seed: str) -> Asked:
    settings = application.settings(session)
    links = {way: Handles.of(application, row.id, seed, way).link(settings, row.client_id) for way in Way}
    return Asked(row.id, links[Way.OTHER_DEVICE], links[Way.SAME_DEVICE], row.ends_at)


def _own(session: Session, application: Application, asked_id: str, asker: Asker) -> PresentationRow:
    row = store.find(session, application, asked_id)
    if row is None or not hmac.compare_digest(row.asker_hash, _asker_hash(application, asker)):
        raise IssuerRefusal("PRESENTATION_UNKNOWN")
    return row


def _came_back(application: Application, row: PresentationRow, code: str | None) -> bool:
    if row.response_hash is None:
        return True
    return code is not None and hmac.compare_digest(row.response_hash, response_hash(application, code))


def _refusal(row: PresentationRow) -> Refusal:
    code = row.code or "PRESENTATION_MALFORMED"
    kind = PresentationRefused if code in texts("verifier") else AnswerRefused
    return kind(code, fault=row.fault or "")


def _asker_hash(application: Application, asker: Asker) -> str:
    return application.hash_secret(_ASKER, f"{asker.kind}:{asker.key}")
