"""Devices and keys in the console: a device from the QR code to its lock, and what signs, on both databases."""

from __future__ import annotations

import re
from html import unescape

import pytest
from litestar import Litestar

from issuer import audit, keyring
from issuer.application import Application
from issuer.staff.permissions import Role
from issuer.web.app import create_app
from keys.lifecycle import Purpose
from tests.issuer.console.people import Colleague, form_token, settle
from tests.issuer.publication.app_device import AppDevice, code_in
from tests.service import City


@pytest.fixture
def app(application: Application) -> Litestar:
    return create_app(application)


@pytest.fixture
def admin(city: City, application: Application, app: Litestar) -> Colleague:
    return settle(application, city.clock, "admin", Role.ADMIN, app=app)


def invited(person: Colleague, name: str = "Handgerät 7", **fields: object) -> tuple[str, str]:
    """The id of a device that was invited, and its code."""
    page = person.send("/office/devices/new", name=name, **{"role": "warden", **fields})
    assert page.status_code == 200, page.text
    assert "data:image/png;base64," in page.text
    link = re.search(r"<textarea[^>]*>([^<]+)</textarea>", page.text)
    device = re.search(r"/office/devices/([0-9a-f]{32})/confirm", page.text)
    assert link is not None
    assert device is not None
    return device[1], code_in(unescape(link[1]))


def test_a_device_comes_in_and_is_locked(
    city: City, application: Application, app: Litestar, admin: Colleague
) -> None:
    device_id, code = invited(admin, zones=["BÖ", "HO"])
    device = AppDevice(city.clock)
    answer = device.enrol(admin.client, code)
    assert answer.json()["device"] == device_id
    assert "wartet auf Ziffern" in admin.client.get("/office/devices").text
    # Only who has invited it lets it in, also among people who may do both.
    chief = settle(application, city.clock, "chief", Role.SUPERVISOR, app=app)
    page = chief.client.get(f"/office/devices/{device_id}")
    assert "Jemand anders hat dieses Gerät eingeladen" in page.text
    digits = answer.json()["check_code"]
    foreign = chief.send(f"/office/devices/{device_id}/confirm", digits=digits)
    assert foreign.status_code == 422
    wrong = admin.send(f"/office/devices/{device_id}/confirm", digits="000 000")
    assert (wrong.status_code, "verbleibende Versuche: 2" in wrong.text) == (422, True)
    let_in = admin.send(f"/office/devices/{device_id}/confirm", digits=digits)
    assert let_in.headers["location"] == f"/office/devices/{device_id}?done=confirmed"
    assert device.state(admin.client) == "active"
    assert [one["code"] for one in device.ask(admin.client, "GET", "/check/devices/self").json()["zones"]] == [
        "BÖ", "HO",
    ]  # fmt: skip
    shown = admin.client.get(f"/office/devices/{device_id}").text
    assert "BÖ, HO" in shown
    named = admin.send(f"/office/devices/{device_id}/name", name="Gerät <7>")
    assert named.status_code == 303
    assert "Gerät &lt;7&gt;" in admin.client.get("/office/devices").text
    assert admin.send(f"/office/devices/{device_id}/name", name="").status_code == 422
    assert chief.send(f"/office/devices/{device_id}/lock").status_code == 303
    assert device.state(admin.client) == "locked"
    assert admin.send(f"/office/devices/{device_id}/unlock").status_code == 303
    assert device.state(admin.client) == "active"
    with application.reading() as session:
        history = audit.history(session, application.tenant, f"device/{device_id}")
    assert [(one.action, one.actor) for one in history if one.actor != "device"] == [
        ("invite-device", f"staff:{admin.account_id}"),
        ("wrong-check-code", f"staff:{admin.account_id}"),
        ("confirm-device", f"staff:{admin.account_id}"),
        ("rename-device", f"staff:{admin.account_id}"),
        ("lock-device", f"staff:{chief.account_id}"),
        ("unlock-device", f"staff:{admin.account_id}"),
    ]


def test_an_invitation_ends(city: City, application: Application, admin: Colleague) -> None:
    device_id, code = invited(admin)
    city.clock.forward(minutes=11)
    late = admin.send(f"/office/devices/{device_id}/confirm", digits="123 456")
    assert (late.status_code, "Einladung ist zu Ende" in late.text) == (409, True)
    assert admin.client.get(f"/office/devices/{device_id}").status_code == 404
    device_id, code = invited(admin)
    AppDevice(city.clock).enrol(admin.client, code)
    for _ in range(2):
        assert admin.send(f"/office/devices/{device_id}/confirm", digits="000 000").status_code == 422
    assert admin.send(f"/office/devices/{device_id}/confirm", digits="000 000").status_code == 409
    assert "noch kein Gerät" in admin.client.get("/office/devices").text


@pytest.mark.parametrize(
    "fields",
    [{"name": ""}, {"name": "x", "role": "librarian", "zones": "BÖ"}, {"name": "x", "zones": "QQ"}],
)
def test_what_no_device_can_be(application: Application, admin: Colleague, fields: dict[str, str]) -> None:
    page = admin.send("/office/devices/new", **{"role": "warden", **fields})
    assert page.status_code == 422
    assert 'id="errors"' in page.text
    for path in ("/office/devices/x", "/office/devices/" + "0" * 32):
        assert admin.client.get(path).status_code == 404


def test_keys_are_shown_and_nothing_else(city: City, application: Application, admin: Colleague) -> None:
    page = admin.client.get("/office/keys")
    assert page.status_code == 200
    assert "In den nächsten 60 Tagen endet nichts" in page.text
    assert "Bald zu Ende" not in admin.client.get("/office").text
    for said in (
        "Siegel der Ausweise",
        "signiert Ausweise für Apple Wallet",
        "noch nicht veröffentlicht",
        "/ready",
    ):
        assert said in page.text
    assert "PRIVATE" not in page.text
    assert form_token(page)
    # What ends is told with the command for it.
    with application.reading() as session:
        seal = keyring.records(session, application.tenant, Purpose.SEAL)[0]
    city.clock.at = seal.not_after
    city.clock.forward(days=-20, hours=-1)
    admin.log_in()
    assert "Bald zu Ende:" in admin.client.get("/office").text
    late = admin.client.get("/office/keys")
    assert "stadtpass keys add seal" in late.text
    assert "noch 20 Tage" in late.text
