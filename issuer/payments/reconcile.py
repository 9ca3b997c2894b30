"""Asking providers about payments that hang: notifications get lost, and XBezahldienste 1.0 has none.

A check asks once and plans the next one itself, in the transaction that notes the answer; so a provider that is away
costs one call an hour for each open payment, and nothing keeps a worker waiting.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import Session

from issuer.background.tasks import Json, Queue, Task
from issuer.database import let_others_write
from issuer.errors import IssuerRefusal
from issuer.models_payments import PaymentRow
from issuer.nightly.reports import Report
from issuer.payments.checks import TASK, WATCHED_AFTER_EXPIRY, is_watched, schedule_next
from issuer.payments.opening import open_transaction
from issuer.payments.provider import (
    PaymentInformation,
    ProviderRefused,
    ProviderUnavailable,
    TransactionStatus,
)
from issuer.payments.providers import provider_of
from issuer.payments.service import Event, Outcome, Source, find_payment, take_event
from issuer.payments.states import OPEN, State, after

if TYPE_CHECKING:
    from issuer.application import Application

NAME: Final = "payments"
# A request that the provider refuses for so long will not be taken; nobody has been sent to pay it.
_REFUSED_FOR: Final = timedelta(minutes=10)
# A provider that cannot be asked for so long keeps no payment open any more.
_UNREACHABLE_FOR: Final = timedelta(days=3)
_OPEN: Final = tuple(sorted(OPEN))
_CLOSED: Final = (State.FAILED.value, State.CANCELLED.value, State.EXPIRED.value)
_log = logging.getLogger("stadtpass.payments")


def check(application: Application, payment_id: str) -> State | None:
    """Ask the provider how a payment stands, and take what it says; the state from then on, None for no payment.

    Raises ProviderUnavailable and ProviderRefused after the next check was planned.
    """
    with application.reading() as session:
        row = find_payment(session, application.tenant, payment_id)
        provider = provider_of(application, session, row.provider) if row is not None else None
    if row is None:
        return None
    at = application.now()
    if provider is None or not is_watched(row, at):
        return State(row.state)
    try:
        if row.provider_id is None:
            open_transaction(application, payment_id)
            return _plan(application, payment_id)
        told = provider.query(row.id, row.provider_id)
    except IssuerRefusal:
        # Closed meanwhile.
        return _plan(application, payment_id)
    except ProviderRefused as refused:
        _log.error("payment provider refuses", extra={"payment": row.id, "reason": refused.reason})
        if row.provider_id is None and at - row.created_at > _REFUSED_FOR:
            return _take(application, row, TransactionStatus.FAILED, Source.CLOCK)
        _plan(application, payment_id)
        raise
    except ProviderUnavailable as unavailable:
        _log.warning("payment provider unavailable", extra={"reason": unavailable.reason})
        _plan(application, payment_id)
        raise
    if after(State(row.state), told.status) is None:
        return _plan(application, payment_id)
    return _take(application, row, told.status, Source.QUERY, told)


def run_check(application: Application, payload: Json) -> None:
    """The task: check ``payload["id"]`` unless its chain of checks was replaced."""
    payment_id = str(payload["id"])
    with application.reading() as session:
        row = find_payment(session, application.tenant, payment_id)
    if row is None or payload.get("n", row.checks) != row.checks:
        return
    try:
        check(application, payment_id)
    except (ProviderUnavailable, ProviderRefused):
        # The next check is planned, at its own pace.
        return


def outstanding(session: Session, tenant: str, *, at: datetime) -> Sequence[str]:
    """The payments whose check is due at the aware time ``at``; what a queue has lost is found by these."""
    return session.scalars(
        select(PaymentRow.id).where(
            PaymentRow.tenant == tenant,
            PaymentRow.next_check_at <= at,
            or_(
                PaymentRow.state.in_(_OPEN),
                and_(
                    PaymentRow.state.in_(_CLOSED),
                    PaymentRow.provider_id.is_not(None),
                    PaymentRow.expires_at > at - WATCHED_AFTER_EXPIRY,
                ),
            ),
        )
    ).all()


def preview(application: Application, session: Session) -> dict[str, int]:
    """How many payments the night would close."""
    count = session.scalar(select(func.count()).select_from(PaymentRow).where(*_overdue(application)))
    return {"expired": count} if count else {}


def run(application: Application, report: Report) -> None:
    """The night's part: close what was not paid in time, after asking once more."""
    with application.reading() as session:
        ids = session.scalars(
            select(PaymentRow.id).where(*_overdue(application)).order_by(PaymentRow.expires_at, PaymentRow.id)
        ).all()
    for payment_id in ids:
        closed = expire(application, payment_id)
        if closed:
            with application.writing() as session:
                report.add(session, {"expired": 1})
        let_others_write()


def expire(application: Application, payment_id: str) -> bool:
    """Close one payment whose time is over, unless the provider says that it was paid; says whether it was closed.

    While the provider cannot be asked it stays open, but for no longer than three days.
    """
    at = application.now()
    try:
        state = check(application, payment_id)
    except (ProviderUnavailable, ProviderRefused):
        state = None
    with application.reading() as session:
        row = find_payment(session, application.tenant, payment_id)
    if row is None or row.state not in OPEN or row.expires_at > at:
        return False
    if state is None and at - row.expires_at < _UNREACHABLE_FOR:
        return False
    return _take(application, row, TransactionStatus.EXPIRED, Source.CLOCK) is State.EXPIRED


def _overdue(application: Application) -> tuple[ColumnElement[bool], ...]:
    return (
        PaymentRow.tenant == application.tenant,
        PaymentRow.state.in_(_OPEN),
        PaymentRow.expires_at <= application.now(),
    )


def _take(
    application: Application,
    row: PaymentRow,
    status: TransactionStatus,
    source: Source,
    told: PaymentInformation | None = None,
) -> State:
    event = Event(
        row.provider, f"{source.value}:{secrets.token_urlsafe(16)}", row.id, status, source, information=told
    )
    with application.writing() as session:
        outcome = take_event(session, application, event)
        known = find_payment(session, application.tenant, row.id)
        if known is None:
            raise LookupError("the payment is gone")
        # An unconfirmed one has its check already; a closed one stays watched.
        if outcome is not Outcome.UNCONFIRMED:
            schedule_next(session, application, known)
        return State(known.state)


def _plan(application: Application, payment_id: str) -> State | None:
    with application.writing() as session:
        row = find_payment(session, application.tenant, payment_id)
        if row is None:
            return None
        schedule_next(session, application, row)
        return State(row.state)


TASKS: tuple[Task, ...] = (Task(TASK, Queue.PAYMENTS, run_check, patience=timedelta(days=1)),)
