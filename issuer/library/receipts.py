"""A year's fee that was taken at the library's desk, booked as what the office takes at its counter."""

from __future__ import annotations

from datetime import date
from typing import Final

from sqlalchemy.orm import Session

from issuer.application import Application
from issuer.models_payments import PaymentRow
from issuer.payments import counter
from issuer.register import subject

KIND: Final = "membership"


def book_fee(
    session: Session,
    application: Application,
    type_id: str,
    number: str,
    last: date,
    cents: int,
    receipt: str,
    *,
    actor: str,
) -> PaymentRow:
    """Note that the fee of the year that ends on ``last`` was paid, in the caller's writing transaction.

    A year is paid once, and a receipt of the cash register is booked once. Raises IssuerRefusal RECEIPT_FORMAT,
    RECEIPT_USED, PAYMENT_DONE; ValueError for no amount.
    """
    ref = f"{subject(type_id, number)}/{last.isoformat()}"
    return counter.book(session, application, KIND, ref, cents, receipt, actor=actor)
