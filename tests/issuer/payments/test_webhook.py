"""Notifications of providers at the route: what is believed, what is refused, and a kill at the worst moment."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from issuer.application import Application
from issuer.payments import signatures
from issuer.payments.provider import NotificationRefused, ProviderUnavailable, TransactionStatus
from issuer.payments.simulated import SimulatedProvider
from tests.issuer.payments.till import (
    CENTS,
    EVENTS,
    DemoProvider,
    approvals,
    begin,
    begun,
    payment,
    status_of,
    unpaid,
)
from tests.service import TODAY, City

S = TransactionStatus
SECRET = b"0123456789abcdef"


@pytest.fixture
def demo(application: Application) -> DemoProvider:
    unpaid(application, "A-1")
    return DemoProvider(application)


def test_a_signed_message_issues_the_pass_and_its_repetition_changes_nothing(demo: DemoProvider) -> None:
    row = begun(demo.application)
    for _ in range(3):
        answer = demo.tell(row, S.PAYED, "evt_1")
        assert (answer.status_code, answer.content) == (200, b"")
    known = payment(demo.application, row.id)
    assert (known.state, known.received_cents, approvals(demo.application)) == ("paid", CENTS, 1)


def test_money_that_is_not_on_the_providers_books_is_not_believed(demo: DemoProvider) -> None:
    row = begun(demo.application)
    assert demo.tell(row, S.PAYED, books=False).status_code == 200
    assert (payment(demo.application, row.id).state, status_of(demo.application)) == (
        "pending",
        "pending_payment",
    )


def test_another_amount_on_the_providers_books(demo: DemoProvider) -> None:
    row = begun(demo.application)
    demo.books(row, S.PAYED, amount_cents=CENTS - 100)
    assert demo.tell(row, S.PAYED, books=False).status_code == 200
    assert payment(demo.application, row.id).attention == "PAYMENT_AMOUNT"
    assert status_of(demo.application) == "pending_payment"


@pytest.mark.parametrize("late", [S.INITIAL, S.FAILED, S.CANCELED, S.EXPIRED])
def test_out_of_order(demo: DemoProvider, late: TransactionStatus) -> None:
    row = begun(demo.application)
    demo.tell(row, S.PAYED)
    assert demo.tell(row, late, books=False).status_code == 200
    assert (payment(demo.application, row.id).state, status_of(demo.application)) == ("paid", "active")


def test_a_message_before_the_provider_has_answered_us(demo: DemoProvider) -> None:
    row = begin(demo.application)
    body, headers = demo.signed(row, S.PAYED)
    assert demo.client.post(EVENTS, content=body, headers=headers).status_code == 200
    assert payment(demo.application, row.id).state == "created"


def test_a_provider_that_cannot_be_asked(demo: DemoProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    row = begun(demo.application)

    def away(*_: object) -> None:
        raise ProviderUnavailable("timeout")

    with monkeypatch.context() as patched:
        patched.setattr(SimulatedProvider, "query", away)
        answer = demo.tell(row, S.PAYED, "evt_1")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "60")
    assert status_of(demo.application) == "pending_payment"
    assert demo.tell(row, S.PAYED, "evt_1").status_code == 200
    assert status_of(demo.application) == "active"


def test_messages_that_are_refused(demo: DemoProvider, caplog: pytest.LogCaptureFixture) -> None:
    row = begun(demo.application)
    demo.books(row, S.PAYED)
    body, headers = demo.signed(row, S.PAYED)
    name, good = signatures.HEADER, headers[signatures.HEADER]
    now = demo.application.now()
    stale = demo.signed(row, S.PAYED, at=now - timedelta(seconds=301))
    early = demo.signed(row, S.PAYED, at=now + timedelta(seconds=301))
    unreadable = b'{"event_id": "e", "request_id": "' + row.id.encode() + b'"'
    signed_junk = signatures.signature(demo.application.derived("demo-payment-webhook"), unreadable, now)
    for content, header in (
        (body, {}),
        (body, {name: ""}),
        (body, {name: good[:-1] + ("0" if good[-1] != "0" else "1")}),
        (body, {name: good.replace("v1=", "v0=")}),
        (body, {name: good + ",x=1"}),
        (body, {name: "t=1," + good.split(",")[1]}),
        (body, {name: signatures.signature(SECRET, body, now)}),
        (body + b" ", headers),
        (body.replace(b"PAYED", b"FAILED"), headers),
        (b"", headers),
        stale,
        early,
        (unreadable, {name: signed_junk}),
    ):
        answer = demo.client.post(EVENTS, content=content, headers=header)
        assert (answer.status_code, answer.content) == (400, b""), header
    assert status_of(demo.application) == "pending_payment"
    assert row.id not in caplog.text
    # A real one still counts: none of them was noted.
    assert demo.client.post(EVENTS, content=body, headers=headers).status_code == 200
    assert status_of(demo.application) == "active"


def test_payments_and_providers_that_are_not_here(demo: DemoProvider, neighbour: Application) -> None:
    row = begun(demo.application)
    body, headers = demo.signed(row, S.PAYED)
    for name in ("stripe", "xbezahldienste"):
        answer = demo.client.post(f"/payments/{name}/events", content=body, headers=headers)
        assert answer.status_code == 404
    row.id = "x" * 22
    body, headers = demo.signed(row, S.PAYED)
    assert demo.client.post(EVENTS, content=body, headers=headers).status_code == 404
    # The neighbour has another secret.
    other = DemoProvider(neighbour).client
    assert other.post(EVENTS, content=body, headers=headers).status_code == 400


def test_a_body_is_bounded_before_anything_reads_it(demo: DemoProvider) -> None:
    assert demo.client.post(EVENTS, content=b"x" * (64 * 1024 + 1)).status_code == 413
    assert demo.client.post(EVENTS, content=b"x" * (64 * 1024)).status_code == 400


def test_a_secret_of_the_configuration_and_its_change(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    file = city.folder / "webhook.secret"
    file.write_text("the-first-secret-1\nthe-second-secret-2\n")
    file.chmod(0o600)
    monkeypatch.setenv("STADTPASS_PAYMENTS_WEBHOOK_SECRET_FILE", "webhook.secret")
    application = city.open()
    unpaid(application, "A-1")
    demo, row = DemoProvider(application), begun(application)
    body, headers = demo.signed(row, S.CANCELED)
    # What was derived counts no more.
    assert demo.client.post(EVENTS, content=body, headers=headers).status_code == 400
    for secret, status in ((b"the-third-secret-33", 400), (b"the-second-secret-2", 200)):
        header = signatures.signature(secret, body, application.now())
        answer = demo.client.post(EVENTS, content=body, headers={signatures.HEADER: header})
        assert answer.status_code == status


def test_the_same_webhook_twice_at_once(demo: DemoProvider) -> None:
    row = begun(demo.application)
    demo.books(row, S.PAYED)
    body, headers = demo.signed(row, S.PAYED, "evt_1")
    statuses: list[int] = []
    barrier = threading.Barrier(4)

    def send() -> None:
        barrier.wait()
        statuses.append(demo.client.post(EVENTS, content=body, headers=headers).status_code)

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 4
    known = payment(demo.application, row.id)
    assert (known.received_cents, approvals(demo.application)) == (CENTS, 1)


KILLED = """
import os, sys
from datetime import datetime
from pathlib import Path
from litestar.testing import TestClient
from issuer.application import Application
from issuer.payments import webhook
from tests.web_app import create_app

folder, at, body, header = sys.argv[1:]
webhook._answer = lambda status: os._exit(9 if status == 200 else 1)
with Application.open(Path(folder), lambda: datetime.fromisoformat(at)) as application:
    with TestClient(create_app(application)) as client:
        client.post("/payments/demo/events", content=body.encode(), headers={"stadtpass-payment-signature": header})
"""


def test_killed_between_commit_and_answer(demo: DemoProvider, city: City) -> None:
    row = begun(demo.application)
    demo.books(row, S.PAYED)
    body, headers = demo.signed(row, S.PAYED, "evt_1")
    arguments = [str(city.folder), TODAY.isoformat(), body.decode(), headers[signatures.HEADER]]
    ended = subprocess.run([sys.executable, "-c", KILLED, *arguments], check=False, timeout=120)
    assert ended.returncode == 9
    assert (status_of(demo.application), approvals(demo.application)) == ("active", 1)
    # The provider heard nothing, and sends it again.
    assert demo.client.post(EVENTS, content=body, headers=headers).status_code == 200
    known = payment(demo.application, row.id)
    assert (known.state, known.received_cents, approvals(demo.application)) == ("paid", CENTS, 1)


@given(st.text(alphabet="tv1=,0123456789abcdef ", max_size=200))
def test_no_other_header_is_a_signature(header: str) -> None:
    with pytest.raises(NotificationRefused):
        signatures.check(header, b"{}", [SECRET], TODAY)


@given(st.binary(max_size=200), st.integers(-299, 299), st.binary(min_size=16, max_size=64))
def test_what_was_signed_is_taken_for_five_minutes(body: bytes, seconds: int, secret: bytes) -> None:
    header = signatures.signature(secret, body, TODAY)
    signatures.check(header, body, [b"another secret--", secret], TODAY + timedelta(seconds=seconds))
    with pytest.raises(NotificationRefused):
        signatures.check(header, body + b"x", [secret], TODAY)
    with pytest.raises(NotificationRefused):
        signatures.check(header, body, [], TODAY)


def test_a_real_city_has_no_simulated_provider(
    folder_of_real_city: Path,
) -> None:
    from litestar.testing import TestClient

    from issuer.errors import IssuerRefusal
    from issuer.payments.providers import active_name, provider_of
    from tests.web_app import create_app

    with Application.open(folder_of_real_city, lambda: TODAY) as application:
        with application.reading() as session:
            assert provider_of(application, session, "demo") is None
            with pytest.raises(IssuerRefusal, match="PAYMENTS_OFF"):
                active_name(application, session)
        with TestClient(create_app(application)) as client:
            assert client.get(f"/payments/demo/{'0' * 32}").status_code == 404
            assert client.post(f"/payments/demo/{'0' * 32}", data={"choice": "pay"}).status_code == 404
            assert client.post(EVENTS, content=json.dumps({})).status_code == 404


def test_a_real_city_that_names_it_is_refused(
    folder_of_real_city: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from issuer.errors import IssuerRefusal
    from issuer.payments.providers import active_name

    monkeypatch.setenv("STADTPASS_PAYMENTS_PROVIDER", "demo")
    with (
        Application.open(folder_of_real_city, lambda: TODAY) as application,
        application.reading() as session,
        pytest.raises(IssuerRefusal, match="PAYMENTS_DEMO_ONLY"),
    ):
        active_name(application, session)
