"""What a payment provider is to the service, in the words of XBezahldienste 1.0.

XBezahldienste (FITKO, https://docs.fitko.de/xbezahldienste/, version 1.0.0) is the interface between online services
of the administration and their payment services: a *payment request* is sent with ``POST
/paymenttransaction/{originatorId}/{endPointId}`` and becomes a *payment transaction* with a transaction id and the
address of the page where people pay; its *payment information* is asked for with ``GET .../{transactionId}``. Who
comes back from that page has proven nothing: the status is always asked for.

Nothing about a person leaves the house: amount, a purpose that names the reference, and the address to return to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, Protocol

CURRENCY: Final = "EUR"
LONGEST_EVENT_ID: Final = 120
LONGEST_TRANSACTION_ID: Final = 80


class TransactionStatus(StrEnum):
    """What a provider says of a transaction.

    The first four are those of XBezahldienste 1.0 (``paymentInformation.status``, in its spelling): nothing has
    happened yet, money was received, the provider has refused, the payer has given up. The others are what card
    schemes and PSPs behind other interfaces know besides.
    """

    INITIAL = "INITIAL"
    PAYED = "PAYED"
    FAILED = "FAILED"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"
    CHARGED_BACK = "CHARGED_BACK"
    REFUNDED = "REFUNDED"


@dataclass(frozen=True, slots=True)
class PaymentItem:
    """A position of a request (``PaymentItem``): at most 36 characters of id, a text for people, cents without tax.

    Fees of an authority carry no value added tax, so that net and gross are the same.
    """

    id: str
    description: str
    amount_cents: int


@dataclass(frozen=True, slots=True)
class PaymentRequest:
    """What is to be paid (``PaymentRequest``).

    ``request_id`` is ours and stays the same however often the request is sent; ``purpose`` is for the bank statement
    (27 characters), ``description`` for the payment page (250), ``timestamp`` aware.
    """

    request_id: str
    timestamp: datetime
    amount_cents: int
    purpose: str
    description: str
    redirect_url: str
    items: tuple[PaymentItem, ...]
    currency: str = CURRENCY


@dataclass(frozen=True, slots=True)
class PaymentTransaction:
    """What the provider has made of a request: its own id, and the page where people pay."""

    transaction_id: str
    redirect_url: str


@dataclass(frozen=True, slots=True)
class PaymentInformation:
    """What the provider answers when it is asked. Amount and currency are those it has on its books, if it says."""

    status: TransactionStatus
    amount_cents: int | None = None
    currency: str | None = None


@dataclass(frozen=True, slots=True)
class Notification:
    """A signed message of the provider about one transaction, known to us by ``request_id``."""

    event_id: str
    request_id: str
    status: TransactionStatus


class ProviderUnavailable(Exception):
    """No answer, or none that can be used: it may pass. ``reason`` is a short code without content."""

    def __init__(self, reason: str, seconds: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.seconds = seconds


class ProviderRefused(Exception):
    """The provider will never take this; ``reason`` is a short code without content."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NotificationRefused(Exception):
    """Not from the provider, too old, or nothing that can be read; ``reason`` is for the log alone."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class PaymentProvider(Protocol):
    """The three things that are asked of a provider. Never called inside a transaction of the register."""

    def create(self, request: PaymentRequest) -> PaymentTransaction:
        """Open a transaction; the same ``request_id`` again gives the one that is there.

        Raises ProviderUnavailable, ProviderRefused.
        """
        ...

    def query(self, request_id: str, transaction_id: str) -> PaymentInformation:
        """How the transaction stands, from the provider itself. Raises ProviderUnavailable, ProviderRefused."""
        ...

    def notification(self, headers: Mapping[str, str], body: bytes, at: datetime) -> Notification:
        """The message in ``body`` after its signature was checked; ``headers`` by lower-case names, ``at`` aware.

        Raises NotificationRefused, also from a provider that sends none.
        """
        ...
