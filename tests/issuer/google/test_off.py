"""A city that switches Google off: nothing is offered, taken or sent any more, and what was there is emptied."""

from __future__ import annotations

import msgspec
import pytest
from litestar.testing import TestClient

from issuer import google_wallet
from issuer.application import Application
from issuer.cli import main
from issuer.delivery import google_messages, google_objects
from issuer.delivery.google_messages import MessageKind, queue_message
from issuer.errors import IssuerRefusal
from issuer.settings import load_settings, save_settings
from tests.google_server import GoogleServer
from tests.issuer.google.helpers import ISSUER, deliver, serial_of, step, wallet_row
from tests.issuer.google.test_callback import callback
from tests.service import PERMIT, TODAY, City, running_numbers
from tests.web_app import create_app


def offered(application: Application, *, on: bool) -> None:
    with application.writing() as session:
        settings = load_settings(session, application.tenant)
        save_settings(session, application.tenant, msgspec.structs.replace(settings, google_offered=on))


def test_off_and_on_again(city: City, application: Application, google: GoogleServer) -> None:
    number = running_numbers(application)[0]
    google_wallet.save_link(application, PERMIT, number)
    serial = serial_of(application, number)
    there = google.objects[f"{ISSUER}.{serial}"]
    assert number in str(there)
    off = ["config", "set", "google_offered", "false", "--data", str(city.folder), "--at", TODAY.isoformat()]
    assert main(off) == 0
    with application.reading() as session:
        assert not google_wallet.is_offered(application, session)
        assert google_objects.outstanding(session, application.tenant) == [serial]
    with pytest.raises(IssuerRefusal, match="GOOGLE_NOT_OFFERED"):
        google_wallet.save_link(application, PERMIT, number)
    deliver(application, serial)
    emptied = google.objects[f"{ISSUER}.{serial}"]
    assert number not in str(emptied)
    assert emptied["state"] != "ACTIVE"
    row = wallet_row(application, serial)
    assert (row.google_wanted, row.google_tag, row.google_state) == (False, 0, "removed")
    # From now on Google hears nothing: not of changes, and not by messages.
    asked = len(google.seen)
    step(application, "suspend", number)
    step(application, "resume", number)
    deliver(application, serial)
    payload = {"serial": serial, "kind": "changed", "message_id": "m1", "params": {}}
    google_messages.run(application, payload)
    with application.writing() as session:
        assert not queue_message(session, application, serial, MessageKind.CHANGED, "m1")
    assert len(google.seen) == asked
    offered(application, on=True)
    google_wallet.save_link(application, PERMIT, number)
    assert number in str(google.objects[f"{ISSUER}.{serial}"])


def test_a_message_under_way_is_not_sent(application: Application, google: GoogleServer) -> None:
    number = running_numbers(application)[0]
    google_wallet.save_link(application, PERMIT, number)
    serial = serial_of(application, number)
    offered(application, on=False)
    asked = len(google.seen)
    google_messages.run(application, {"serial": serial, "kind": "changed", "message_id": "m1", "params": {}})
    assert len(google.seen) == asked


def test_callbacks_change_nothing(application: Application, google: GoogleServer) -> None:
    number = running_numbers(application)[0]
    google_wallet.save_link(application, PERMIT, number)
    serial = serial_of(application, number)
    told = callback(google, serial)
    offered(application, on=False)
    with TestClient(create_app(application)) as client:
        assert client.post("/google/callback", content=told).status_code == 404
        assert wallet_row(application, serial).google_state == ""
        offered(application, on=True)
        assert client.post("/google/callback", content=told).status_code == 200
    assert wallet_row(application, serial).google_state == "saved"
