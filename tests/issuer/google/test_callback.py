"""The callback endpoint: what it notes, whom it tells, and what it refuses."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import timedelta

import pytest
from litestar.testing import TestClient
from sqlalchemy import select

from issuer.application import Application
from issuer.models_delivery import GoogleNonceRow, WebhookDeliveryRow, WebhookEndpointRow
from issuer.outgoing import EventName
from tests.google_callbacks import CallbackSigner
from tests.google_server import GoogleServer
from tests.issuer.google.helpers import ISSUER, serial_of, wallet_row
from tests.service import CARD, PERMIT, City, running_numbers
from tests.web_app import create_app

PATH = "/google/callback"


@pytest.fixture
def client(application: Application) -> Iterator[TestClient]:
    with TestClient(create_app(application)) as client:
        yield client


@pytest.fixture
def serial(application: Application) -> str:
    return serial_of(application, running_numbers(application)[0])


def message(google: GoogleServer, serial: str, **more: str) -> str:
    tenant, type_id = more.pop("tenant", "musterstadt"), more.pop("type_id", PERMIT)
    return google.signer.message(f"{ISSUER}.{serial}", f"{ISSUER}.{tenant}.{type_id}", google.clock(), **more)


def callback(google: GoogleServer, serial: str, **more: str) -> bytes:
    return google.signer.callback(message(google, serial, **more), ISSUER, google.clock())


def events(application: Application) -> list[str]:
    with application.reading() as session:
        return sorted(
            session.scalars(
                select(WebhookDeliveryRow.event).where(WebhookDeliveryRow.tenant == application.tenant)
            )
        )


def listen(application: Application) -> None:
    with application.writing() as session:
        session.add(
            WebhookEndpointRow(
                tenant=application.tenant,
                id="0" * 32,
                url="https://fach.example/",
                events=[EventName.CARRIER_ADDED.value, EventName.CARRIER_REMOVED.value],
                created_at=application.now(),
            )
        )


def test_saving_and_removing_are_noted_and_told_once(
    application: Application, client: TestClient, google: GoogleServer, serial: str
) -> None:
    listen(application)
    before = wallet_row(application, serial)
    saved = callback(google, serial)
    for _ in range(3):
        assert client.post(PATH, content=saved).status_code == 200
    assert wallet_row(application, serial).google_state == "saved"
    assert events(application) == ["carrier.added"]
    # Another nonce with the same news: nothing has changed.
    assert client.post(PATH, content=callback(google, serial, nonce="n-2")).status_code == 200
    assert events(application) == ["carrier.added"]
    removed = callback(google, serial, event="del", nonce="n-3")
    assert client.post(PATH, content=removed).status_code == 200
    # A replay of the older one does not bring the pass back.
    assert client.post(PATH, content=saved).status_code == 200
    assert wallet_row(application, serial).google_state == "removed"
    assert events(application) == ["carrier.added", "carrier.removed"]
    assert wallet_row(application, serial).update_tag == before.update_tag


def test_nonces_are_kept_as_hashes_until_the_callback_has_expired(
    application: Application, client: TestClient, google: GoogleServer, serial: str, city: City
) -> None:
    saved = callback(google, serial, nonce="secret-nonce")
    client.post(PATH, content=saved)
    city.clock.forward(hours=2)
    assert client.post(PATH, content=saved).status_code == 400
    client.post(PATH, content=callback(google, serial, nonce="another"))
    with application.reading() as session:
        rows = session.scalars(select(GoogleNonceRow)).all()
    assert len(rows) == 1
    assert "another" not in rows[0].nonce_hash


@pytest.mark.parametrize("case", ["unknown", "other type", "other tenant's class", "other city's object"])
def test_objects_that_are_not_ours(
    application: Application,
    neighbour: Application,
    client: TestClient,
    google: GoogleServer,
    serial: str,
    case: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    other = serial_of(neighbour, running_numbers(neighbour)[0])
    body = {
        "unknown": callback(google, "0" * 32),
        "other type": callback(google, serial, type_id=CARD),
        "other tenant's class": callback(google, serial, tenant="neuss"),
        "other city's object": callback(google, other, tenant="neuss"),
    }[case]
    with caplog.at_level(logging.INFO):
        assert client.post(PATH, content=body).status_code == 404
    assert wallet_row(application, serial).google_state == ""
    assert wallet_row(neighbour, other).google_state == ""
    assert not {serial, other, ISSUER} & set(caplog.text.replace(".", " ").split())


def test_forged_and_foreign_callbacks_are_refused(
    application: Application, client: TestClient, google: GoogleServer, serial: str
) -> None:
    text = message(google, serial)
    for body in (
        CallbackSigner().callback(text, ISSUER, google.clock()),
        google.signer.callback(text, "3388000000000000001", google.clock()),
        google.signer.callback(text, ISSUER, google.clock(), sender="GooglePayments"),
        callback(google, serial).replace(b"ECv2SigningOnly", b"ECv1"),
        b"{}",
        b"",
        text.encode(),
    ):
        response = client.post(PATH, content=body)
        assert response.status_code == 400
        assert response.content == b""
    assert wallet_row(application, serial).google_state == ""
    assert client.post(PATH, content=b" " * 20_000).status_code == 413
    assert client.get(PATH).status_code == 405


def test_root_keys_are_fetched_once_and_a_copy_outlives_an_outage(
    client: TestClient, google: GoogleServer, serial: str, city: City
) -> None:
    for number in range(5):
        assert client.post(PATH, content=callback(google, serial, nonce=f"a{number}")).status_code == 200
    assert google.keys_fetched == 1
    google.fail("503", times=10**6, match="keys")
    city.clock.forward(days=20)
    assert client.post(PATH, content=callback(google, serial, nonce="b")).status_code == 200
    city.clock.forward(days=11)
    # Now the root key itself has expired, and nothing can be checked.
    body = callback(google, serial, nonce="c")
    first = client.post(PATH, content=body)
    assert (first.status_code, first.headers["retry-after"]) == (503, "60")
    fetched = google.keys_fetched
    assert [client.post(PATH, content=body).status_code for _ in range(5)] == [503] * 5
    assert google.keys_fetched == fetched
    google.faults.clear()
    google.keys_document = google.signer.published(city.clock() + timedelta(days=30))
    city.clock.forward(minutes=1)
    assert client.post(PATH, content=body).status_code == 200


def test_a_root_key_that_is_replaced_in_time_is_learnt(
    client: TestClient, google: GoogleServer, serial: str, city: City
) -> None:
    assert client.post(PATH, content=callback(google, serial)).status_code == 200
    google.signer = CallbackSigner()
    google.keys_document = google.signer.published(city.clock() + timedelta(days=60))
    city.clock.forward(hours=13)
    assert client.post(PATH, content=callback(google, serial, nonce="n-2")).status_code == 200


@pytest.mark.parametrize("document", [b"", b"[]", b'{"keys": []}', b" " * 70_000])
def test_documents_that_hold_no_keys(
    client: TestClient, google: GoogleServer, serial: str, document: bytes
) -> None:
    google.keys_document = document or b"\n"
    assert client.post(PATH, content=callback(google, serial)).status_code == 503


def test_a_service_without_google_takes_no_callbacks(
    city: City, google: GoogleServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STADTPASS_GOOGLE_ENABLED", "false")
    with TestClient(create_app(city.open())) as client:
        assert client.post(PATH, content=b"{}").status_code == 404
    assert google.keys_fetched == 0


def test_googles_robot_may_deliver(client: TestClient) -> None:
    assert "User-agent: Googlebot\nAllow: /google/callback\n" in client.get("/robots.txt").text
