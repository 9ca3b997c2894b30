"""The simulated provider of a demo city: no money, otherwise like a real one.

It keeps its transactions in files of its own beside the register (``demo-payments/``), as another company would, and
tells of them by signed notifications over HTTP. Only its pages (`demo_pages`) change anything.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Final

import msgspec

from issuer.files import write_atomically
from issuer.payments import signatures
from issuer.payments.provider import (
    LONGEST_EVENT_ID,
    Notification,
    NotificationRefused,
    PaymentInformation,
    PaymentRequest,
    PaymentTransaction,
    ProviderRefused,
    TransactionStatus,
)
from issuer.payments.providers import webhook_secrets

if TYPE_CHECKING:
    from issuer.application import Application

FOLDER: Final = "demo-payments"
PAGE: Final = "/payments/demo"
_ID: Final = re.compile(r"[0-9a-f]{32}")
_LARGEST: Final = 64 * 1024


class Transaction(msgspec.Struct, frozen=True):
    """A transaction on the simulated provider's books."""

    request_id: str
    amount_cents: int
    currency: str
    purpose: str
    description: str
    return_url: str
    status: TransactionStatus = TransactionStatus.INITIAL


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a notification."""

    event_id: str
    request_id: str
    status: TransactionStatus


class SimulatedProvider:
    """The provider ``demo``."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._folder = application.workspace.folder / FOLDER

    def create(self, request: PaymentRequest) -> PaymentTransaction:
        """As `PaymentProvider.create`."""
        identity = self._id_of(request.request_id)
        found = self.find(identity)
        if found is None:
            found = Transaction(
                request.request_id,
                request.amount_cents,
                request.currency,
                request.purpose,
                request.description,
                request.redirect_url,
            )
            self.store(identity, found)
        elif found.amount_cents != request.amount_cents:
            raise ProviderRefused("payment-exists")
        with self._application.reading() as session:
            base_url = self._application.settings(session).base_url
        return PaymentTransaction(identity, f"{base_url.rstrip('/')}{PAGE}/{identity}")

    def query(self, request_id: str, transaction_id: str) -> PaymentInformation:
        """As `PaymentProvider.query`."""
        found = self.find(transaction_id)
        if found is None or found.request_id != request_id:
            raise ProviderRefused("transaction-unknown")
        return PaymentInformation(found.status, found.amount_cents, found.currency)

    def notification(self, headers: Mapping[str, str], body: bytes, at: datetime) -> Notification:
        """As `PaymentProvider.notification`."""
        signatures.check(headers.get(signatures.HEADER, ""), body, self._secrets(), at)
        try:
            told = msgspec.json.decode(body, type=Message)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise NotificationRefused("body") from None
        if not 0 < len(told.event_id) <= LONGEST_EVENT_ID or not told.event_id.isascii():
            raise NotificationRefused("event-id")
        return Notification(told.event_id, told.request_id, told.status)

    def message(
        self, transaction: Transaction, event_id: str, at: datetime
    ) -> tuple[bytes, Mapping[str, str]]:
        """Body and headers of a signed notification about ``transaction`` as it stands."""
        body = msgspec.json.encode(Message(event_id, transaction.request_id, transaction.status))
        signed = signatures.signature(self._secrets()[0], body, at)
        return body, {"content-type": "application/json", signatures.HEADER: signed}

    def find(self, identity: str) -> Transaction | None:
        """The transaction with the provider's own id."""
        if _ID.fullmatch(identity) is None:
            return None
        try:
            with (self._folder / f"{identity}.json").open("rb") as file:
                return msgspec.json.decode(file.read(_LARGEST), type=Transaction)
        except FileNotFoundError:
            return None

    def store(self, identity: str, transaction: Transaction) -> None:
        """Write a transaction down."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        write_atomically(self._folder / f"{identity}.json", msgspec.json.encode(transaction), mode=0o600)

    def _id_of(self, request_id: str) -> str:
        # The same request leads to the same transaction, and whoever has one id does not have the other.
        return self._application.derived("demo-payment", request_id).hex()[:32]

    def _secrets(self) -> tuple[bytes, ...]:
        return webhook_secrets(self._application) or (self._application.derived("demo-payment-webhook"),)


def new_event_id() -> str:
    """An id that no event had before."""
    return f"evt_{secrets.token_urlsafe(16)}"
