"""When a provider is asked without being called: soon at first, then ever more rarely, and not for ever.

Each payment has one chain of checks: a check that finds ``checks`` changed belongs to a chain that was replaced.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from issuer.payments.states import OPEN, State

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from issuer.application import Application
    from issuer.models_payments import PaymentRow

TASK: Final = "payment-check"
FIRST_CHECK_SECONDS: Final = 30.0
_LONGEST_WAIT_SECONDS: Final = 3600.0
_CLOSED_WAIT_SECONDS: Final = 6 * 3600.0
# Money for a closed payment is looked for so long: transfers take days.
WATCHED_AFTER_EXPIRY: Final = timedelta(days=5)
_CLOSED: Final = (State.FAILED, State.CANCELLED, State.EXPIRED)
# Whoever waits on the return page may have the provider asked as often as this.
_IMPATIENT: Final = timedelta(seconds=10)


def is_watched(row: PaymentRow, at: datetime) -> bool:
    """Whether the provider of a payment is still asked about it at the aware time ``at``."""
    if row.state in OPEN:
        return True
    return row.state in _CLOSED and row.provider_id is not None and at < row.expires_at + WATCHED_AFTER_EXPIRY


def schedule(session: Session, application: Application, row: PaymentRow, seconds: float) -> None:
    """Have the provider asked in ``seconds``, and forget when it would have been asked otherwise."""
    row.checks += 1
    row.next_check_at = application.now() + timedelta(seconds=seconds)
    session.flush()
    application.enqueue(session, TASK, {"id": row.id, "n": row.checks}, delay_seconds=seconds)


def schedule_next(session: Session, application: Application, row: PaymentRow) -> None:
    """Plan the next check: when half the payment's age has passed again, at most in an hour."""
    at = application.now()
    row.checked_at = at
    if not is_watched(row, at):
        return
    age = (at - row.created_at).total_seconds()
    wait = min(_LONGEST_WAIT_SECONDS, max(FIRST_CHECK_SECONDS, age / 2))
    schedule(session, application, row, wait if row.state in OPEN else _CLOSED_WAIT_SECONDS)


def may_hurry(row: PaymentRow, at: datetime) -> bool:
    """Whether a person who waits may have the provider asked now."""
    if row.state not in OPEN or row.provider_id is None or row.next_check_at <= at:
        return False
    return row.checked_at is None or at - row.checked_at >= _IMPATIENT
