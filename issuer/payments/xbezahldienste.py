"""The provider behind XBezahldienste 1.0, the interface of the German administration's payment services.

Sources: https://docs.fitko.de/xbezahldienste/APIDoku/versionen/v1.0.0/ (paths, fields, character sets, error codes)
and, for OAuth and mTLS at a service that speaks it, https://api.girocheckout.de/en:girocheckout:xbezahldienste:start.

    POST /paymenttransaction/{originatorId}/{endPointId}                   create, by requestId once
    GET  /paymenttransaction/{originatorId}/{endPointId}/{transactionId}   how it stands

Amounts are decimal euros there. It sends no notifications: the status is asked for. It knows no chargeback.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode, urlsplit
from weakref import WeakKeyDictionary

import msgspec
from sqlalchemy import Engine

from issuer.bounded_http import Answer
from issuer.payments.call import call
from issuer.payments.provider import (
    Notification,
    NotificationRefused,
    PaymentInformation,
    PaymentItem,
    PaymentRequest,
    PaymentTransaction,
    ProviderRefused,
    ProviderUnavailable,
    TransactionStatus,
)
from keys.errors import Refusal
from keys.private_files import read_private

if TYPE_CHECKING:
    from issuer.application import Application

_LONGEST_SECRET: Final = 4096
# A token is not used in its last minute: a request must not outlive it.
_MARGIN: Final = timedelta(seconds=60)
_STATUSES: Final = {
    "INITIAL": TransactionStatus.INITIAL,
    "PAYED": TransactionStatus.PAYED,
    "FAILED": TransactionStatus.FAILED,
    "CANCELED": TransactionStatus.CANCELED,
}
_encoder = msgspec.json.Encoder(decimal_format="number")
Json = dict[str, Any]


class _Information(msgspec.Struct, rename="camel"):
    transaction_id: str
    status: str
    transaction_redirect_url: str | None = None


class _Request(msgspec.Struct, rename="camel"):
    request_id: str
    currency: str
    gros_amount: Decimal


class _Transaction(msgspec.Struct, rename="camel"):
    payment_information: _Information
    payment_request: _Request | None = None


class _Token(msgspec.Struct):
    access_token: str
    expires_in: float = 300.0


@dataclass(frozen=True, slots=True)
class _Known:
    text: str
    good_until: datetime


_tokens: WeakKeyDictionary[Engine, _Known] = WeakKeyDictionary()
_lock = threading.Lock()


class XBezahldienste:
    """Calls for one city; made anew for each use, its token is kept."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._config = application.config.payments
        ids = (self._config.originator_id, self._config.end_point_id)
        self._path = "/".join(["/paymenttransaction", *(quote(one, safe="") for one in ids)])

    def create(self, request: PaymentRequest) -> PaymentTransaction:
        """As `PaymentProvider.create`; a second request with the same id is refused with ``payment-exists``."""
        body = _encoder.encode(_body_of(request, self._config.booking_data))
        information = self._ask("POST", self._path, body, request.request_id).payment_information
        address = information.transaction_redirect_url or ""
        if not self._may_lead_to(address):
            raise ProviderRefused("redirect-host")
        return PaymentTransaction(information.transaction_id, address)

    def query(self, request_id: str, transaction_id: str) -> PaymentInformation:
        """As `PaymentProvider.query`; an answer about another transaction is none."""
        found = self._ask("GET", f"{self._path}/{quote(transaction_id, safe='')}", None, request_id)
        if found.payment_information.transaction_id != transaction_id:
            raise ProviderUnavailable("other-transaction")
        status = _STATUSES.get(found.payment_information.status)
        if status is None:
            raise ProviderUnavailable("status-unknown")
        if found.payment_request is None:
            return PaymentInformation(status)
        cents = found.payment_request.gros_amount * 100
        if cents != cents.to_integral_value():
            raise ProviderUnavailable("amount")
        return PaymentInformation(status, int(cents), found.payment_request.currency)

    def notification(self, headers: Mapping[str, str], body: bytes, at: datetime) -> Notification:  # noqa: ARG002
        """XBezahldienste 1.0 has none, so whatever comes is refused."""
        raise NotificationRefused("no-notifications")

    def _ask(self, method: str, path: str, body: bytes | None, request_id: str) -> _Transaction:
        answer = self._call(method, path, body)
        if answer.status == 401:
            # The token may have been withdrawn before its time: one more try with a new one.
            _forget(self._application.engine)
            answer = self._call(method, path, body)
        if not 200 <= answer.status < 300:
            raise _outcome(answer)
        try:
            found = msgspec.json.decode(answer.body, type=_Transaction, strict=False)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
            raise ProviderUnavailable("answer") from fault
        if found.payment_request is not None and found.payment_request.request_id != request_id:
            raise ProviderUnavailable("other-request")
        return found

    def _call(self, method: str, path: str, body: bytes | None) -> Answer:
        headers = {"Accept": "application/json", "Authorization": f"Bearer {self._token()}"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        return self._send(method, self._config.url + path, headers, body)

    def _send(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        if not url.startswith(("https://", "http://")):
            raise ProviderUnavailable("not-configured")
        return call(
            method,
            url,
            headers=headers,
            content=body,
            ca_file=self._config.ca_file,
            seconds=self._config.timeout_seconds,
        )

    def _token(self) -> str:
        now = datetime.now(UTC)
        with _lock:
            known = _tokens.get(self._application.engine)
        if known is not None and now < known.good_until:
            return known.text
        form = {
            "grant_type": "client_credentials",
            "client_id": self._config.client_id,
            "client_secret": self._secret(),
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        answer = self._send("POST", self._config.token_url, headers, urlencode(form).encode())
        if answer.status != 200:
            # RFC 6749, 5.2: also wrong credentials are the operator's to put right, so this may pass.
            raise ProviderUnavailable(f"token-{answer.status}")
        try:
            token = msgspec.json.decode(answer.body, type=_Token, strict=False)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
            raise ProviderUnavailable("token-answer") from fault
        if not (token.access_token.isascii() and token.access_token.isprintable()):
            raise ProviderUnavailable("token-answer")
        life = timedelta(seconds=min(max(token.expires_in, 0.0), 24 * 3600.0))
        with _lock:
            _tokens[self._application.engine] = _Known(token.access_token, now + life - _MARGIN)
        return token.access_token

    def _secret(self) -> str:
        path = self._application.workspace.folder / self._config.client_secret_file
        try:
            content = read_private(path, _LONGEST_SECRET)
            return content.decode().partition("\n")[0].rstrip("\r")
        except (OSError, Refusal, UnicodeDecodeError) as fault:
            raise ProviderUnavailable("client-secret") from fault

    def _may_lead_to(self, address: str) -> bool:
        """Whether people may be sent to ``address``: over https to a host that the operator knows."""
        try:
            told, ours = urlsplit(address), urlsplit(self._config.url)
            host = told.netloc.lower()
        except ValueError:
            return False
        if "@" in host or (told.scheme != "https" and host != ours.netloc.lower()):
            return False
        return host in {ours.netloc.lower(), *(one.lower() for one in self._config.allowed_hosts)}


def _body_of(request: PaymentRequest, booking_data: Mapping[str, str]) -> Json:
    return {
        "requestId": request.request_id,
        "requestTimestamp": request.timestamp.astimezone(UTC).isoformat(timespec="seconds"),
        "currency": request.currency,
        "grosAmount": _euros(request.amount_cents),
        "purpose": request.purpose,
        "description": request.description,
        "redirectUrl": request.redirect_url,
        "items": [_item(one, request, booking_data) for one in request.items],
    }


def _item(item: PaymentItem, request: PaymentRequest, booking_data: Mapping[str, str]) -> Json:
    amount, nothing = _euros(item.amount_cents), _euros(0)
    return {
        "id": item.id,
        "reference": request.request_id,
        "description": item.description,
        "taxRate": nothing,
        "quantity": 1,
        "totalNetAmount": amount,
        "totalTaxAmount": nothing,
        "singleNetAmount": amount,
        "singleTaxAmount": nothing,
        **({"bookingData": dict(booking_data)} if booking_data else {}),
    }


def _euros(cents: int) -> Decimal:
    """Exactly: a float is never in between."""
    return Decimal(cents).scaleb(-2)


def _forget(engine: Engine) -> None:
    with _lock:
        _tokens.pop(engine, None)


def _outcome(answer: Answer) -> Exception:
    status = answer.status
    if status in (401, 403, 408, 429) or status >= 500 or 300 <= status < 400:
        # 401 and 403 are for the operator to put right, and then the same request is taken.
        return ProviderUnavailable(f"http-{status}")
    try:
        problem = msgspec.json.decode(answer.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        problem = None
    # Of problem+json only the word is looked at; texts may repeat what was sent.
    if isinstance(problem, dict) and "PAYMENT_EXISTS" in problem.values():
        return ProviderRefused("payment-exists")
    return ProviderRefused(f"http-{status}")
