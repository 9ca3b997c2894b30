"""Money that was taken at the counter: a payment of the provider ``counter`` that is paid from its first moment.

The cash register's receipt number is the provider's id, so that a receipt is booked once. Its till and the treasury
are not ours; what is noted here is that a clerk has seen the money, and for what.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from issuer import audit
from issuer.application import Application
from issuer.audit import AuditEvent
from issuer.errors import IssuerRefusal
from issuer.models_payments import HOLDS_REFERENCE, PaymentRow
from issuer.payments.provider import CURRENCY
from issuer.payments.service import new_payment_id, payments_of, subject
from issuer.payments.states import OPEN, State
from passes.periods import berlin_day

COUNTER: Final = "counter"
_RECEIPT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ./-]{0,39}")
# No provider is ever asked about it.
_NEVER: Final = timedelta(days=36_500)


def book(
    session: Session,
    application: Application,
    kind: str,
    ref: str,
    amount_cents: int,
    receipt: str,
    *,
    actor: str,
) -> PaymentRow:
    """Note that ``amount_cents`` were paid at the counter for a reference, in the caller's writing transaction.

    What follows from it is the caller's. A payment that was begun online and is still open is closed: money that
    comes for it after all waits for a clerk. Raises IssuerRefusal RECEIPT_FORMAT; RECEIPT_USED; PAYMENT_DONE for a
    reference that is paid. ValueError for an amount that is none.
    """
    number = " ".join(receipt.split())
    if _RECEIPT.fullmatch(number) is None:
        raise IssuerRefusal("RECEIPT_FORMAT")
    if amount_cents <= 0:
        raise ValueError("nothing is paid at the counter")
    at = application.now()
    held = session.scalars(
        select(PaymentRow)
        .where(
            PaymentRow.tenant == application.tenant,
            PaymentRow.kind == kind,
            PaymentRow.ref == ref,
            text(HOLDS_REFERENCE),
        )
        .with_for_update()
    ).one_or_none()
    if held is not None:
        if held.state not in OPEN:
            raise IssuerRefusal("PAYMENT_DONE", ref=ref)
        _move(session, application, held, State.CANCELLED, actor, COUNTER)
    row = PaymentRow(
        tenant=application.tenant,
        id=new_payment_id(),
        kind=kind,
        ref=ref,
        amount_cents=amount_cents,
        currency=CURRENCY,
        request={"receipt": number},
        provider=COUNTER,
        provider_id=number,
        state=State.PAID.value,
        attention="",
        received_cents=amount_cents,
        last_event=COUNTER,
        created_at=at,
        updated_at=at,
        expires_at=at,
        paid_at=at,
        checks=0,
        next_check_at=at + _NEVER,
    )
    try:
        with session.begin_nested():
            session.add(row)
            session.flush()
    except IntegrityError:
        raise IssuerRefusal("RECEIPT_USED", receipt=number) from None
    facts: dict[str, audit.Fact] = {
        "kind": kind,
        "ref": ref,
        "amount_cents": amount_cents,
        "state": row.state,
        "receipt": number,
    }
    booked = AuditEvent("payment-counter", subject(row.id), None, facts)
    audit.append(session, application.tenant, [booked], at, actor)
    return row


def undo(session: Session, application: Application, kind: str, ref: str, *, actor: str) -> PaymentRow:
    """Take back what was booked for a reference on this day by mistake; its receipt number is free again.

    What follows from it is the caller's. Raises IssuerRefusal COUNTER_NOTHING where nothing was booked,
    COUNTER_UNDO_LATE on another day: then the treasury has it, and gives it back by its own rules.
    """
    booked = [
        one
        for one in payments_of(session, application.tenant, kind, ref)
        if one.provider == COUNTER and one.state == State.PAID
    ]
    if not booked:
        raise IssuerRefusal("COUNTER_NOTHING")
    row = booked[0]
    if row.paid_at is None or berlin_day(row.paid_at) != berlin_day(application.now()):
        raise IssuerRefusal("COUNTER_UNDO_LATE")
    row.received_cents, row.provider_id, row.paid_at = 0, None, None
    _move(session, application, row, State.CANCELLED, actor, "counter-undo")
    return row


def _move(
    session: Session, application: Application, row: PaymentRow, state: State, actor: str, why: str
) -> None:
    before, at = row.state, application.now()
    row.state, row.updated_at, row.last_event = state.value, at, why
    session.flush()
    facts: dict[str, audit.Fact] = {"state": state.value, "received_cents": row.received_cents}
    moved = AuditEvent("payment-move", subject(row.id), {"state": before}, facts, why)
    audit.append(session, application.tenant, [moved], at, actor)
