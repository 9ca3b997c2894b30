"""The states of a payment and every move between them.

A provider's messages come twice, late and in any order. What is not in the table changes nothing: a late "pending"
after the money came, a "failed" of an earlier try. Two things are never ignored: money for a payment that was closed
(`PAID_LATE`, which a clerk has to settle), and money that was taken back.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from issuer.payments.provider import TransactionStatus as Status


class State(StrEnum):
    """How a payment stands with us."""

    # Stored here, not yet known to the provider.
    CREATED = "created"
    PENDING = "pending"
    PAID = "paid"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    # The money came after the payment had been closed: nothing is issued for it.
    PAID_LATE = "paid_late"
    CHARGED_BACK = "charged_back"
    REFUNDED = "refunded"


OPEN: Final = frozenset({State.CREATED, State.PENDING})
_CLOSED: Final = (State.FAILED, State.CANCELLED, State.EXPIRED)
_ENDS: Final[Mapping[Status, State]] = {
    Status.PAYED: State.PAID,
    Status.FAILED: State.FAILED,
    Status.CANCELED: State.CANCELLED,
    Status.EXPIRED: State.EXPIRED,
    # Before any word of the payment itself, which then comes too late to issue anything.
    Status.CHARGED_BACK: State.CHARGED_BACK,
    Status.REFUNDED: State.REFUNDED,
}
_TAKEN_BACK: Final[Mapping[Status, State]] = {
    Status.CHARGED_BACK: State.CHARGED_BACK,
    Status.REFUNDED: State.REFUNDED,
}
MOVES: Final[Mapping[State, Mapping[Status, State]]] = {
    State.CREATED: {Status.INITIAL: State.PENDING, **_ENDS},
    State.PENDING: _ENDS,
    State.PAID: _TAKEN_BACK,
    State.PAID_LATE: _TAKEN_BACK,
    **{closed: {Status.PAYED: State.PAID_LATE, **_TAKEN_BACK} for closed in _CLOSED},
    # A dispute that the city loses or settles may still end in a refund.
    State.CHARGED_BACK: {Status.REFUNDED: State.REFUNDED},
    State.REFUNDED: {},
}


def after(state: State, status: Status) -> State | None:
    """Where ``status`` leads from ``state``; None if it changes nothing."""
    return MOVES[state].get(status)
