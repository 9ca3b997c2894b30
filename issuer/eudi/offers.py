"""Credential offers by reference (OpenID4VCI 1.0, 4.1): an address that a wallet reads from a code or a link.

The address carries 128 random bits. The pre-authorized code follows from them and the service's secret, so that the
register keeps neither. An offer is good for one use; a transaction code that goes another way (by letter, by word of
mouth at the counter) makes it worthless to whoever photographs the screen. Once one went out by letter for a pass,
its holder's pages make no offer without one: neither when it was used, nor when it has run out.
"""

from __future__ import annotations

import base64
import hmac
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from issuer import audit
from issuer.application import Application
from issuer.audit import AuditEvent
from issuer.errors import IssuerRefusal
from issuer.eudi import addresses, making, sessions
from issuer.eudi.sessions import TRIES, Holder
from issuer.lifecycle import running
from issuer.models_eudi import EudiTransactionCodeRow, IssuanceSessionRow
from issuer.one_time_links import is_token, new_token
from issuer.register import subject

GRANT: Final = "urn:ietf:params:oauth:grant-type:pre-authorized_code"
# A code on a screen is scanned at once.
LIFETIME: Final = timedelta(minutes=10)
LETTER_LIFETIME: Final = timedelta(days=30)
DIGITS: Final = 6
LETTER_DIGITS: Final = 8

_OFFER: Final = "eudi-offer"
_CODE: Final = "eudi-code"
_TX: Final = "eudi-tx-code"


class LetterCode(StrEnum):
    """What became of the transaction code that went out by letter for a pass."""

    NONE = "none"
    WAITING = "waiting"
    # Used, too old, or tried too often: from then on the pass needs another one.
    OVER = "over"


@dataclass(frozen=True, slots=True)
class Offer:
    """A fresh offer: the URL that a wallet reads it from, when it ends, and the transaction code if it has one.

    All but ``session_id`` and ``expires_at`` are secrets. ``needs_tx_code``: the wallet asks for a transaction code;
    ``tx_code`` is None where that went out by letter.
    """

    session_id: str
    expires_at: datetime
    address: str = field(repr=False)
    tx_code: str | None = field(repr=False, default=None)
    needs_tx_code: bool = False

    @property
    def link(self) -> str:
        """What opens a wallet, and what stands in the QR code."""
        return addresses.deeplink(self.address)

    @property
    def haip_link(self) -> str:
        """The same under the scheme of HAIP 1.0."""
        return addresses.deeplink(self.address, haip=True)


def create_offer(
    session: Session,
    application: Application,
    type_id: str,
    number: str,
    *,
    tx_code: bool,
    channel: str,
    actor: str = "holder",
) -> Offer:
    """A new offer of every credential of the pass, in a writing transaction, with an entry in the audit trail.

    Offers made before and not used yet end. With ``tx_code`` the wallet asks for a transaction code: for the one that
    went out by letter if it still holds, else for a fresh one, which whoever calls this shows the holder. ``channel``
    is how the holder has come (`issuer.pickup.links.Channel`). Raises IssuerRefusal EUDI_OFF, EUDI_NOT_OF_TYPE;
    RegisterRefusal NUMBER_UNKNOWN, or the code of the state that forbids it.
    """
    now = application.now()
    # First of all: what is said of an unknown pass is the same whatever the city offers.
    row, current = running(session, (application.tenant, type_id, number), now)
    if not application.config.eudi.enabled:
        raise IssuerRefusal("EUDI_OFF")
    offered = [one.id for one in making.of_type(application, type_id)]
    if not offered:
        raise IssuerRefusal("EUDI_NOT_OF_TYPE", type=type_id)
    _end_unused(session, application, row.type_id, row.number)
    letter = _letter(session, application, type_id, number) if tx_code else None
    if letter is not None and not _waits(letter, now):
        letter = None
    code = None if letter is not None or not tx_code else _digits(DIGITS)
    token = new_token()
    begun = sessions.begin(
        session,
        application,
        Holder(type_id, number, current.n, channel),
        offered,
        now + LIFETIME,
        offer_hash=application.hash_secret(_OFFER, token),
        code_hash=code_hash(application, _pre_authorized_code(application, token)),
        tx_hash=letter.code_hash if letter else tx_hash(application, type_id, number, code) if code else None,
    )
    event = AuditEvent("eudi-offer", subject(type_id, number), after={"channel": channel, "tx_code": tx_code})
    audit.append(session, application.tenant, [event], now, actor)
    address = addresses.address(application.settings(session), f"{addresses.OFFERS}{token}")
    return Offer(begun.id, begun.expires_at, address, code, tx_code)


def offer_content(session: Session, application: Application, token: str) -> dict[str, Any] | None:
    """The offer behind an address; None for one that is unknown, used or over."""
    if not is_token(token):
        return None
    row = session.scalar(
        select(IssuanceSessionRow).where(
            IssuanceSessionRow.tenant == application.tenant,
            IssuanceSessionRow.offer_hash == application.hash_secret(_OFFER, token),
        )
    )
    if row is None or row.ended_at is not None or row.code_used_at is not None:
        return None
    if row.expires_at <= application.now():
        return None
    letter = _letter(session, application, row.type_id, row.number)
    grant: dict[str, Any] = {"pre-authorized_code": _pre_authorized_code(application, token)}
    if row.tx_hash is not None:
        is_letters = letter is not None and letter.code_hash == row.tx_hash
        grant["tx_code"] = {"input_mode": "numeric", "length": LETTER_DIGITS if is_letters else DIGITS}
    # An authorization code asks for no transaction code; see `issuer.eudi.authorization`.
    other = {"authorization_code": {"issuer_state": row.id}} if letter is None else {}
    return {
        "credential_issuer": addresses.issuer_of(application.settings(session)),
        "credential_configuration_ids": list(row.configurations),
        "grants": {**other, GRANT: grant},
    }


def find_by_code(session: Session, application: Application, code: str) -> IssuanceSessionRow | None:
    """The session of a pre-authorized code that can still be used."""
    row = session.scalar(
        select(IssuanceSessionRow)
        .where(
            IssuanceSessionRow.tenant == application.tenant,
            IssuanceSessionRow.code_hash == code_hash(application, code),
        )
        .execution_options(populate_existing=True)
    )
    if row is None or row.ended_at is not None or row.code_used_at is not None:
        return None
    return row if row.expires_at > application.now() else None


def accepts(session: Session, application: Application, row: IssuanceSessionRow, code: str) -> bool:
    """Whether ``code`` is the transaction code of the offer, in a writing transaction: a wrong one costs a try.

    With the last try the offer ends; tries at a code from a letter are counted over all offers that ask for it. The
    right one uses a letter's code up.
    """
    told = tx_hash(application, row.type_id, row.number, code)
    fits = hmac.compare_digest(told, row.tx_hash or "")
    letter = _letter(session, application, row.type_id, row.number)
    is_letters = letter is not None and letter.code_hash == row.tx_hash
    if not fits:
        row.tries_left -= 1
        if letter is not None and is_letters:
            letter.tries_left -= 1
            if letter.tries_left <= 0:
                row.tries_left = 0
        if row.tries_left <= 0:
            sessions.end(session, application, row)
    elif letter is not None and is_letters:
        # The row stays: without it the next offer would ask for nothing.
        letter.tries_left = 0
    session.flush()
    return fits


def draw_letter_code() -> str:
    """Eight digits that mean nothing before `keep_letter_code` has them."""
    return _digits(LETTER_DIGITS)


def keep_letter_code(
    session: Session, application: Application, type_id: str, number: str, code: str
) -> None:
    """Have offers ask for ``code`` of `draw_letter_code`, in a writing transaction; one of before holds no longer.

    It holds for thirty days and five tries. What was offered or agreed before and not used yet ends.
    """
    session.merge(
        EudiTransactionCodeRow(
            tenant=application.tenant,
            type_id=type_id,
            number=number,
            code_hash=tx_hash(application, type_id, number, code),
            tries_left=TRIES,
            expires_at=application.now() + LETTER_LIFETIME,
        )
    )
    _end_unused(session, application, type_id, number, agreed=True)
    session.flush()


def letter_code(session: Session, application: Application, type_id: str, number: str) -> LetterCode:
    """What became of the transaction code that went out by letter for the pass, if one did."""
    row = _letter(session, application, type_id, number)
    if row is None:
        return LetterCode.NONE
    return LetterCode.WAITING if _waits(row, application.now()) else LetterCode.OVER


def code_hash(application: Application, code: str) -> str:
    """What is stored of a pre-authorized code."""
    return application.hash_secret(_CODE, code)


def tx_hash(application: Application, type_id: str, number: str, code: str) -> str:
    """What is stored of a transaction code."""
    return application.hash_secret(_TX, f"{type_id}/{number}/{code}")


def _letter(
    session: Session, application: Application, type_id: str, number: str
) -> EudiTransactionCodeRow | None:
    key = (application.tenant, type_id, number)
    return session.get(EudiTransactionCodeRow, key, populate_existing=True)


def _waits(row: EudiTransactionCodeRow, now: datetime) -> bool:
    return row.expires_at > now and row.tries_left > 0


def _end_unused(
    session: Session, application: Application, type_id: str, number: str, *, agreed: bool = False
) -> None:
    """End the offers that no wallet has used; with ``agreed`` also what a holder has agreed to a moment ago."""
    session.execute(
        update(IssuanceSessionRow)
        .where(
            IssuanceSessionRow.tenant == application.tenant,
            IssuanceSessionRow.type_id == type_id,
            IssuanceSessionRow.number == number,
            IssuanceSessionRow.client_id.is_(None),
            IssuanceSessionRow.ended_at.is_(None),
            *(() if agreed else (IssuanceSessionRow.offer_hash.is_not(None),)),
        )
        .values(ended_at=application.now())
    )


def _pre_authorized_code(application: Application, token: str) -> str:
    return base64.urlsafe_b64encode(application.derived(_CODE, token)).decode().rstrip("=")


def _digits(count: int) -> str:
    return f"{secrets.randbelow(10**count):0{count}d}"
