"""The adapter for XBezahldienste 1.0 against recorded answers and a strict stand-in that fails on demand."""

from __future__ import annotations

import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from issuer.application import Application
from issuer.bounded_http import Answer
from issuer.nightly.run import run_night
from issuer.payments import reconcile, xbezahldienste
from issuer.payments.opening import open_transaction
from issuer.payments.provider import (
    NotificationRefused,
    PaymentInformation,
    ProviderRefused,
    ProviderUnavailable,
    TransactionStatus,
)
from issuer.payments.xbezahldienste import XBezahldienste
from tests.issuer.payments.till import CENTS, begin, begun, payment, status_of, unpaid
from tests.payment_server import CLIENT, END_POINT, ORIGINATOR, SECRET, PaymentServer
from tests.service import City

RECORDED = Path(__file__).parents[2] / "data" / "payments"


@pytest.fixture
def server() -> Iterator[PaymentServer]:
    with PaymentServer() as made:
        yield made


@pytest.fixture
def application(city: City, server: PaymentServer, monkeypatch: pytest.MonkeyPatch) -> Application:
    file = city.folder / "payment.secret"
    file.write_text(SECRET + "\n")
    file.chmod(0o600)
    values = {
        "PROVIDER": "xbezahldienste",
        "URL": f"{server.url}/x",
        "TOKEN_URL": f"{server.url}/token",
        "ORIGINATOR_ID": ORIGINATOR,
        "END_POINT_ID": END_POINT,
        "CLIENT_ID": CLIENT,
        "CLIENT_SECRET_FILE": "payment.secret",
        "TIMEOUT_SECONDS": "1",
    }
    for name, value in values.items():
        monkeypatch.setenv(f"STADTPASS_PAYMENTS_{name}", value)
    opened = city.open()
    unpaid(opened, "A-1")
    return opened


def test_from_the_request_to_the_pass(application: Application, server: PaymentServer) -> None:
    row = begun(application)
    assert row.provider_id is not None
    told = server.transactions[row.provider_id]["request"]
    assert (told["requestId"], told["grosAmount"], told["currency"]) == (row.id, Decimal("25.00"), "EUR")
    assert told["redirectUrl"].endswith(f"/payments/return/{row.id}")
    assert row.redirect_url == f"{server.url}/page/{row.provider_id}"
    assert reconcile.check(application, row.id) == "pending"
    server.pay(row.provider_id)
    assert reconcile.check(application, row.id) == "paid"
    assert (status_of(application), payment(application, row.id).received_cents) == ("active", CENTS)
    assert server.tokens_given == 1
    assert sum(1 for method, *_ in server.seen if method == "POST") == 1


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("slow", "timeout"),
        ("500", "http-500"),
        ("429", "http-429"),
        ("302", "http-302"),
        ("malformed", "answer"),
        ("huge", "answer-size"),
        ("other", "other-transaction"),
        ("drop", "connection"),
    ],
)
def test_answers_that_are_none(
    application: Application, server: PaymentServer, fault: str, reason: str
) -> None:
    row = begun(application)
    assert row.provider_id is not None
    server.pay(row.provider_id)
    server.fail(fault, after=fault not in ("slow", "500", "429", "302"))
    began = time.monotonic()
    with pytest.raises(ProviderUnavailable, match=reason):
        reconcile.check(application, row.id)
    assert time.monotonic() - began < 5
    known = payment(application, row.id)
    # Nothing is issued, and the next check is planned.
    assert (known.state, status_of(application)) == ("pending", "pending_payment")
    assert known.next_check_at > application.now()
    assert reconcile.check(application, row.id) == "paid"


def test_another_amount_on_its_books(application: Application, server: PaymentServer) -> None:
    row = begun(application)
    assert row.provider_id is not None
    server.pay(row.provider_id)
    server.fail("amount", after=True)
    assert reconcile.check(application, row.id) == "pending"
    assert payment(application, row.id).attention == "PAYMENT_AMOUNT"
    assert status_of(application) == "pending_payment"


def test_nobody_is_sent_to_a_strange_host(application: Application, server: PaymentServer) -> None:
    row = begin(application)
    server.fail("elsewhere", after=True)
    with pytest.raises(ProviderRefused, match="redirect-host"):
        open_transaction(application, row.id)
    assert payment(application, row.id).redirect_url is None


def test_an_answer_that_is_lost_costs_nobody_money(
    application: Application, server: PaymentServer, city: City
) -> None:
    """The provider has the transaction, we have no address: nobody was sent to pay it, and another one is begun."""
    row = begin(application)
    server.fail("drop", after=True)
    with pytest.raises(ProviderUnavailable):
        open_transaction(application, row.id)
    with pytest.raises(ProviderRefused, match="payment-exists"):
        reconcile.check(application, row.id)
    city.clock.forward(minutes=11)
    assert reconcile.check(application, row.id) == "failed"
    again = begun(application)
    assert again.id != row.id
    assert again.state == "pending"


def test_a_withdrawn_token_is_replaced(application: Application, server: PaymentServer) -> None:
    row = begun(application)
    server.tokens.clear()
    assert reconcile.check(application, row.id) == "pending"
    assert server.tokens_given == 2


def test_it_sends_no_notifications(application: Application) -> None:
    with pytest.raises(NotificationRefused):
        XBezahldienste(application).notification({}, b"{}", application.now())


def test_the_night_closes_what_was_not_paid_and_asks_before(
    application: Application, server: PaymentServer, city: City
) -> None:
    unpaid(application, "A-2")
    first, second = begun(application), begun(application, "A-2")
    assert second.provider_id is not None
    assert first.provider_id is not None
    server.pay(second.provider_id)
    city.clock.forward(hours=25)
    run_night(application)
    assert payment(application, first.id).state == "expired"
    assert (payment(application, second.id).state, status_of(application, "A-2")) == ("paid", "active")
    # Somebody pays on the page that was still open: found without any notification, and left to a clerk.
    server.pay(first.provider_id)
    with application.reading() as session:
        due = reconcile.outstanding(session, application.tenant, at=application.now())
    assert due == []
    city.clock.forward(hours=7)
    with application.reading() as session:
        due = reconcile.outstanding(session, application.tenant, at=application.now())
    assert due == [first.id]
    reconcile.run_check(application, {"id": first.id})
    assert (payment(application, first.id).state, status_of(application)) == ("paid_late", "pending_payment")


def test_a_provider_that_is_away_keeps_a_payment_open_for_three_days(
    application: Application, server: PaymentServer, city: City
) -> None:
    row = begun(application)
    server.fail("500", times=100)
    city.clock.forward(hours=25)
    assert not reconcile.expire(application, row.id)
    assert payment(application, row.id).state == "pending"
    city.clock.forward(days=3)
    assert reconcile.expire(application, row.id)
    assert payment(application, row.id).state == "expired"


def test_a_check_of_a_chain_that_was_replaced_asks_nobody(
    application: Application, server: PaymentServer
) -> None:
    row = begun(application)
    before = len(server.seen)
    reconcile.run_check(application, {"id": row.id, "n": row.checks - 1})
    assert len(server.seen) == before
    reconcile.run_check(application, {"id": row.id, "n": row.checks})
    assert len(server.seen) == before + 1


@pytest.mark.parametrize("file", sorted(RECORDED.glob("xbezahldienste-*.json")), ids=lambda one: one.stem)
def test_recorded_answers(application: Application, monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    """Made by hand from the public documentation; each says what it is an answer to and what it means."""
    told = msgspec.json.decode(file.read_bytes())
    answer = Answer(told["status"], msgspec.json.encode(told["body"]))
    monkeypatch.setattr(XBezahldienste, "_token", lambda _: "token")
    monkeypatch.setattr(xbezahldienste, "call", lambda *_, **__: answer)
    provider = XBezahldienste(application)
    if "raises" in told:
        with pytest.raises((ProviderUnavailable, ProviderRefused), match=told["raises"]):
            provider.query("request-1", "transaction-1")
    else:
        wanted = PaymentInformation(TransactionStatus(told["means"]), told.get("cents"), told.get("currency"))
        assert provider.query("request-1", "transaction-1") == wanted
