"""Telling the provider of a payment, outside of any transaction of the register: everybody else would wait for it.

The provider knows a repetition by our id. So whoever dies between its answer and our commit leaves nothing that
could be paid twice: the next one who opens gets the same transaction, or the payment is closed unpaid.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from issuer.application import Application
from issuer.errors import IssuerRefusal
from issuer.models_payments import PaymentRow
from issuer.payments.checks import FIRST_CHECK_SECONDS, schedule
from issuer.payments.provider import (
    LONGEST_TRANSACTION_ID,
    PaymentItem,
    PaymentProvider,
    PaymentRequest,
    PaymentTransaction,
    ProviderRefused,
)
from issuer.payments.providers import provider_of
from issuer.payments.service import RETURN_PATH, find_payment
from issuer.payments.states import OPEN, State

_LONGEST_ADDRESS: Final = 2082
_PRINTABLE: Final = re.compile(r"[\x21-\x7e]+")
_TRANSACTION_ID: Final = re.compile(rf"[A-Za-z0-9._:~-]{{1,{LONGEST_TRANSACTION_ID}}}")


def open_transaction(application: Application, payment_id: str) -> str:
    """The address of the page where the payment is made; asked for at the provider once, then known.

    Raises IssuerRefusal PAYMENT_UNKNOWN, PAYMENT_CLOSED for one that cannot be made any more, PAYMENTS_OFF for a
    provider that is not configured any more; ProviderUnavailable, ProviderRefused.
    """
    row, provider, base_url = _look(application, payment_id)
    if row.redirect_url is not None:
        return row.redirect_url
    try:
        transaction = provider.create(_request_of(row, base_url))
    except ProviderRefused:
        # Somebody else may have opened it a moment ago; most providers refuse the second request.
        opened = _look(application, payment_id)[0].redirect_url
        if opened is None:
            raise
        return opened
    _check(transaction)
    return _note(application, payment_id, transaction)


def _look(application: Application, payment_id: str) -> tuple[PaymentRow, PaymentProvider, str]:
    with application.reading() as session:
        row = find_payment(session, application.tenant, payment_id)
        if row is None:
            raise IssuerRefusal("PAYMENT_UNKNOWN")
        if row.state not in OPEN:
            raise IssuerRefusal("PAYMENT_CLOSED")
        provider = provider_of(application, session, row.provider)
        if provider is None:
            raise IssuerRefusal("PAYMENTS_OFF")
        return row, provider, application.settings(session).base_url


def _request_of(row: PaymentRow, base_url: str) -> PaymentRequest:
    return PaymentRequest(
        request_id=row.id,
        timestamp=row.created_at,
        amount_cents=row.amount_cents,
        purpose=row.request["purpose"],
        description=row.request["description"],
        redirect_url=f"{base_url.rstrip('/')}{RETURN_PATH}/{row.id}",
        items=tuple(
            PaymentItem(one["id"], one["description"], one["amount_cents"]) for one in row.request["items"]
        ),
    )


def _check(transaction: PaymentTransaction) -> None:
    """The adapter has judged host and scheme; this is what no provider may put into our pages and rows."""
    address = transaction.redirect_url
    form = _PRINTABLE.fullmatch(address) and urlsplit(address).scheme in ("https", "http")
    if not form or len(address) > _LONGEST_ADDRESS:
        raise ProviderRefused("redirect-address")
    if _TRANSACTION_ID.fullmatch(transaction.transaction_id) is None:
        raise ProviderRefused("transaction-id")


def _note(application: Application, payment_id: str, transaction: PaymentTransaction) -> str:
    with application.writing() as session:
        row = find_payment(session, application.tenant, payment_id)
        if row is None:
            raise IssuerRefusal("PAYMENT_UNKNOWN")
        if row.provider_id is None:
            row.provider_id, row.redirect_url = transaction.transaction_id, transaction.redirect_url
            row.updated_at = application.now()
            if row.state == State.CREATED:
                row.state, row.last_event = State.PENDING.value, "opened"
            schedule(session, application, row, FIRST_CHECK_SECONDS)
        if row.state not in OPEN:
            # Closed while the provider was asked; it stays watched, should somebody pay there all the same.
            raise IssuerRefusal("PAYMENT_CLOSED")
        return row.redirect_url or transaction.redirect_url
