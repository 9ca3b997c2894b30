"""Beginning a payment and taking what its provider says of it, each in the caller's writing transaction.

Money is believed only when the provider itself has said so when asked (`Event.information`): a message may be forged,
old, or about another amount. Whatever a payment sets off (`issuer.payments.listeners`) is committed with its state.
"""

from __future__ import annotations

import logging
import re
import secrets
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from issuer import audit
from issuer.application import Application
from issuer.audit import AuditEvent
from issuer.errors import IssuerRefusal
from issuer.lifecycle import Actor, reason_of
from issuer.models_payments import HOLDS_REFERENCE, PaymentEventRow, PaymentRow
from issuer.payments.checks import FIRST_CHECK_SECONDS, schedule
from issuer.payments.listeners import listener_of
from issuer.payments.provider import CURRENCY, PaymentInformation, PaymentItem, TransactionStatus
from issuer.payments.providers import active_name
from issuer.payments.states import State, after

RETURN_PATH: Final = "/payments/return"
START_PATH: Final = "/payments/start"
ATTENTION_LATE: Final = "PAYMENT_LATE"
ATTENTION_AMOUNT: Final = "PAYMENT_AMOUNT"
ATTENTION_CHARGED_BACK: Final = "PAYMENT_CHARGED_BACK"
ATTENTION_REFUNDED: Final = "PAYMENT_REFUNDED"
# XBezahldienste 1.0 allows 999999 in euros.
_MOST_CENTS: Final = 99_999_900
# The characters of XBezahldienste 1.0 for purpose and description.
_PURPOSE: Final = re.compile(r"[A-Za-z0-9_ -]{1,27}")
_DESCRIPTION: Final = re.compile(r"[A-Za-z0-9_ ,.\u00C0-\u017F-]{1,250}")
_KIND: Final = re.compile(r"[a-z_]{1,20}")
_REF: Final = re.compile(r"[!-~]{1,120}")
_log = logging.getLogger("stadtpass.payments")


class Outcome(StrEnum):
    """What came of an event."""

    MOVED = "moved"
    # The same event id was there before.
    REPEATED = "repeated"
    # It changes nothing in the state that the payment has.
    IGNORED = "ignored"
    # A message of money that the provider does not confirm when asked, or over another amount.
    UNCONFIRMED = "unconfirmed"
    OTHER_AMOUNT = "other_amount"
    # No payment of this city at this provider.
    UNKNOWN = "unknown"


class Source(StrEnum):
    """How an event came to us."""

    NOTIFICATION = "notification"
    QUERY = "query"
    CLOCK = "clock"


@dataclass(frozen=True, slots=True)
class Purchase:
    """What is to be paid: ``kind`` and ``ref`` of what for, cents, and the texts that the provider shows.

    ``purpose`` has up to 27 letters A to Z, digits, spaces, hyphens; ``description`` up to 250 with umlauts, commas
    and full stops. Neither may name a person. Without ``items`` there is one over the whole amount.
    """

    kind: str
    ref: str
    amount_cents: int
    purpose: str
    description: str
    items: tuple[PaymentItem, ...] = ()


@dataclass(frozen=True, slots=True)
class Event:
    """What is said of a payment; PAYED counts only with ``information``, the provider's answer when asked."""

    provider: str
    event_id: str
    payment_id: str
    status: TransactionStatus
    source: Source
    information: PaymentInformation | None = None


def new_payment_id() -> str:
    """A random name of 128 bits for a payment, 22 characters.

    Clerks type it on the command line, where a hyphen in front would be an option.
    """
    while (made := secrets.token_urlsafe(16)).startswith("-"):
        pass
    return made


def begin(session: Session, application: Application, purchase: Purchase, *, actor: str) -> PaymentRow:
    """The payment for a reference: a new one, or the one that is open already over the same amount.

    The provider is told later, outside the transaction (`opening.open_transaction`); people are sent to
    `start_path`. Raises IssuerRefusal PAYMENTS_OFF, PAYMENTS_DEMO_ONLY without a provider; PAYMENT_DONE for a
    reference that is paid; PAYMENT_OPEN while one over another amount is open; PAYMENT_KIND. ValueError for a
    purchase that no provider takes.
    """
    _check(purchase)
    listener_of(purchase.kind)
    tenant, at = application.tenant, application.now()
    provider = active_name(application, session)
    held = session.scalars(
        select(PaymentRow)
        .where(
            PaymentRow.tenant == tenant,
            PaymentRow.kind == purchase.kind,
            PaymentRow.ref == purchase.ref,
            text(HOLDS_REFERENCE),
        )
        .with_for_update()
    ).one_or_none()
    if held is not None:
        if held.state == State.PAID:
            raise IssuerRefusal("PAYMENT_DONE", ref=purchase.ref)
        if held.amount_cents != purchase.amount_cents or held.provider != provider:
            raise IssuerRefusal("PAYMENT_OPEN", ref=purchase.ref)
        return held
    items = purchase.items or (PaymentItem("1", purchase.description, purchase.amount_cents),)
    row = PaymentRow(
        tenant=tenant,
        id=new_payment_id(),
        kind=purchase.kind,
        ref=purchase.ref,
        amount_cents=purchase.amount_cents,
        currency=CURRENCY,
        request={
            "purpose": purchase.purpose,
            "description": purchase.description,
            "items": [
                {"id": one.id, "description": one.description, "amount_cents": one.amount_cents}
                for one in items
            ],
        },
        provider=provider,
        state=State.CREATED.value,
        attention="",
        received_cents=0,
        last_event="begun",
        created_at=at,
        updated_at=at,
        expires_at=at + timedelta(hours=application.config.payments.open_hours),
        checks=0,
        next_check_at=at,
    )
    session.add(row)
    session.flush()
    facts: dict[str, audit.Fact] = {
        "kind": row.kind,
        "ref": row.ref,
        "amount_cents": row.amount_cents,
        "state": row.state,
    }
    audit.append(session, tenant, [AuditEvent("payment-begin", subject(row.id), None, facts)], at, actor)
    schedule(session, application, row, FIRST_CHECK_SECONDS)
    return row


def take_event(session: Session, application: Application, event: Event) -> Outcome:
    """Note an event once and let the payment move as `states.MOVES` allows, with everything that follows from it.

    Raises what a listener raises (no key to seal with): nothing of the event is stored then, and it can come again.
    """
    tenant, at = application.tenant, application.now()
    row = session.get(PaymentRow, (tenant, event.payment_id), with_for_update=True, populate_existing=True)
    if row is None or row.provider != event.provider:
        return Outcome.UNKNOWN
    if has_event(session, tenant, event.provider, event.event_id):
        return Outcome.REPEATED
    outcome = _judged(row, event)
    if outcome is Outcome.MOVED:
        _move(session, application, row, event)
    elif outcome is Outcome.OTHER_AMOUNT:
        row.attention, row.updated_at = ATTENTION_AMOUNT, at
        _log.error("payment over another amount", extra={"payment": row.id})
    elif outcome is Outcome.UNCONFIRMED:
        # The provider may be slower inside than with its messages.
        schedule(session, application, row, FIRST_CHECK_SECONDS)
    session.add(
        PaymentEventRow(
            tenant=tenant,
            provider=event.provider,
            event_id=event.event_id,
            payment_id=row.id,
            source=event.source.value,
            status=event.status.value,
            outcome=outcome.value,
            state=row.state,
            at=at,
        )
    )
    session.flush()
    return outcome


def find_payment(session: Session, tenant: str, payment_id: str) -> PaymentRow | None:
    """The payment with our id."""
    return session.get(PaymentRow, (tenant, payment_id))


def has_event(session: Session, tenant: str, provider: str, event_id: str) -> bool:
    """Whether an event was noted before."""
    return session.get(PaymentEventRow, (tenant, provider, event_id)) is not None


def events_of(session: Session, tenant: str, payment_id: str) -> list[PaymentEventRow]:
    """What was said of a payment, oldest first."""
    return list(
        session.scalars(
            select(PaymentEventRow)
            .where(PaymentEventRow.tenant == tenant, PaymentEventRow.payment_id == payment_id)
            .order_by(PaymentEventRow.at, PaymentEventRow.event_id)
        )
    )


def payments_of(session: Session, tenant: str, kind: str, ref: str) -> list[PaymentRow]:
    """All payments for a reference, newest first."""
    return list(
        session.scalars(
            select(PaymentRow)
            .where(PaymentRow.tenant == tenant, PaymentRow.kind == kind, PaymentRow.ref == ref)
            .order_by(PaymentRow.created_at.desc(), PaymentRow.id)
        )
    )


def is_paid(session: Session, tenant: str, kind: str, ref: str) -> bool:
    """Whether the money for a reference is here."""
    return any(one.state == State.PAID for one in payments_of(session, tenant, kind, ref))


def settle(session: Session, application: Application, payment_id: str, *, actor: str, reason: str) -> None:
    """Note that a clerk has done what was to do, by the reason given. Raises IssuerRefusal PAYMENT_UNKNOWN,
    PAYMENT_SETTLED for one that nobody has to look at; RegisterRefusal REASON_MISSING.
    """
    at = application.now()
    said = reason_of(Actor(actor, at, reason))
    row = session.get(
        PaymentRow, (application.tenant, payment_id), with_for_update=True, populate_existing=True
    )
    if row is None:
        raise IssuerRefusal("PAYMENT_UNKNOWN")
    if not row.attention:
        raise IssuerRefusal("PAYMENT_SETTLED")
    done = AuditEvent(
        "payment-settle", subject(row.id), {"attention": row.attention}, {"attention": ""}, said
    )
    row.attention = ""
    session.flush()
    audit.append(session, application.tenant, [done], at, actor)


def start_path(payment_id: str) -> str:
    """The page of ours that leads to the provider's: where a form's answer sends people."""
    return f"{START_PATH}/{payment_id}"


def subject(payment_id: str) -> str:
    """What the audit trail calls a payment."""
    return f"payment/{payment_id}"


def actor_of(provider: str) -> str:
    """What the audit trail calls a provider."""
    return f"payment:{provider}"


def _judged(row: PaymentRow, event: Event) -> Outcome:
    told = event.information
    if after(State(row.state), event.status) is None:
        return Outcome.IGNORED
    if event.status is not TransactionStatus.PAYED:
        return Outcome.MOVED
    if told is None or told.status is not TransactionStatus.PAYED:
        return Outcome.UNCONFIRMED
    if told.amount_cents not in (None, row.amount_cents) or told.currency not in (None, row.currency):
        return Outcome.OTHER_AMOUNT
    return Outcome.MOVED


def _move(session: Session, application: Application, row: PaymentRow, event: Event) -> None:
    before, at = State(row.state), application.now()
    state = after(before, event.status)
    if state is None:
        raise LookupError("a move that the table does not have")
    row.state, row.updated_at, row.last_event = state.value, at, event.status.value
    row.attention = ""
    if state in (State.PAID, State.PAID_LATE):
        # Once: no move leads back to where this could be reached again.
        row.received_cents, row.paid_at = row.amount_cents, at
    facts: dict[str, audit.Fact] = {"state": state.value, "received_cents": row.received_cents}
    done = AuditEvent("payment-move", subject(row.id), {"state": before.value}, facts, event.source.value)
    actor = actor_of(row.provider)
    audit.append(session, application.tenant, [done], at, actor)
    session.flush()
    row.attention = _heard(session, application, row, before)
    if row.attention:
        _log.warning("payment needs a clerk", extra={"payment": row.id, "reason": row.attention})
    session.flush()


def _heard(session: Session, application: Application, row: PaymentRow, before: State) -> str:
    """Have the listener do what follows; the code of what is left to a clerk, or empty."""
    actor = actor_of(row.provider)
    match State(row.state):
        case State.PAID:
            return listener_of(row.kind).on_paid(session, application, row.ref, actor)
        case State.PAID_LATE:
            return ATTENTION_LATE
        case State.CHARGED_BACK if before is State.PAID:
            left = listener_of(row.kind).on_charged_back(session, application, row.ref, actor)
            return left or ATTENTION_CHARGED_BACK
        case State.CHARGED_BACK if before is State.PAID_LATE:
            return ATTENTION_CHARGED_BACK
        case State.REFUNDED if before is State.PAID:
            # Whether the right ends with it is for a person to say.
            return ATTENTION_REFUNDED
        case _:
            return ""


def _check(purchase: Purchase) -> None:
    texts = (
        (_KIND, purchase.kind),
        (_REF, purchase.ref),
        (_PURPOSE, purchase.purpose),
        (_DESCRIPTION, purchase.description),
        *((_DESCRIPTION, one.description) for one in purchase.items),
    )
    for form, value in texts:
        if form.fullmatch(value) is None:
            raise ValueError(f"a payment cannot carry {value!r}")
    if not 0 < purchase.amount_cents <= _MOST_CENTS:
        raise ValueError("a payment is over 1 cent to 999999 euros")
    if purchase.items and sum(one.amount_cents for one in purchase.items) != purchase.amount_cents:
        raise ValueError("the positions of a payment must add up to its amount")
