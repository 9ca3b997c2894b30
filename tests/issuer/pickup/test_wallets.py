"""Taking a pass out of wallets, and cutting off a lost phone."""

from __future__ import annotations

import io
import json
import zipfile
from datetime import datetime

from sqlalchemy import select

from issuer import audit, wallet_passes
from issuer.application import Application
from issuer.models import RevisionRow
from issuer.models_delivery import AppleDeviceRow, AppleRegistrationRow, WalletPassRow
from issuer.pickup.codes import create_letter_code
from issuer.register import load_contents, subject
from tests.issuer.pickup.browser import browser, last_day, new_link, send, visit
from tests.service import PERMIT, City, running_numbers


def serial_of(application: Application, number: str) -> str:
    with application.reading() as session:
        [content] = load_contents(session, application.tenant, application.pass_types[PERMIT], [number])
    return content.serial


def wallet_row(application: Application, serial: str) -> WalletPassRow:
    with application.reading() as session:
        row = session.get(WalletPassRow, (application.tenant, serial))
    assert row is not None
    return row


def register(application: Application, serial: str, device: str, at: datetime) -> None:
    tenant = application.tenant
    with application.writing() as session:
        session.add(
            AppleDeviceRow(
                tenant=tenant, device_id=device, push_token="ab" * 32, created_at=at, updated_at=at
            )
        )
        session.flush()
        session.add(AppleRegistrationRow(tenant=tenant, device_id=device, serial=serial, created_at=at))


def test_devices_are_shown(city: City, application: Application) -> None:
    number = running_numbers(application)[0]
    serial = serial_of(application, number)
    with browser(application) as client:
        visit(client, application, number)
        assert "in keiner Wallet" in client.get("/p/pass").text
        register(application, serial, "a" * 32, city.clock())
        assert "auf einem Gerät, seit 20.11.2026" in client.get("/p/pass").text
        register(application, serial, "b" * 32, city.clock())
        assert "auf 2 Geräten, seit 20.11.2026" in client.get("/p/pass").text
        for state, word in (("", "angefordert"), ("saved", "gespeichert"), ("removed", "gelöscht")):
            with application.writing() as session:
                row = session.get(WalletPassRow, (application.tenant, serial))
                assert row is not None
                row.google_wanted, row.google_state = True, state
            assert f"Google Wallet: {word}" in client.get("/p/pass").text.replace(
                "von Ihnen dort ", ""
            ).replace("angefordert, noch nicht bestätigt", "angefordert")


def test_taken_out_of_wallets_and_back(application: Application) -> None:
    number = running_numbers(application)[0]
    serial = serial_of(application, number)
    before = wallet_row(application, serial)
    with browser(application) as client:
        visit(client, application, number)
        assert client.get("/p/pass/wallets").status_code == 200
        assert wallet_row(application, serial).withdrawn_at is None
        answer = send(client, "/p/pass/wallets/remove", "/p/pass/wallets")
        assert answer.headers["location"] == "/p/pass?done=removed"
        out = wallet_row(application, serial)
        assert out.withdrawn_at == application.now()
        assert out.update_tag > before.update_tag
        assert out.modified_at > before.modified_at
        with application.reading() as session:
            found = wallet_passes.find(application, session, serial)
            assert found is not None
            data = wallet_passes.apple_pass(application, session, found)
        assert json.loads(zipfile.ZipFile(io.BytesIO(data)).read("pass.json"))["voided"] is True
        page = client.get("/p/pass").text
        assert "offer-apple" not in page
        assert "offer-print" in page
        assert client.get("/p/pass/apple.pkpass").status_code == 409
        # Pressing the button twice changes nothing more.
        send(client, "/p/pass/wallets/remove", "/p/pass/wallets")
        assert wallet_row(application, serial).update_tag == out.update_tag
        send(client, "/p/pass/wallets/allow")
        back = wallet_row(application, serial)
        assert back.withdrawn_at is None
        assert back.update_tag > out.update_tag
        assert client.get("/p/pass/apple.pkpass").status_code == 200
    with application.reading() as session:
        actions = [one.action for one in audit.history(session, application.tenant, subject(PERMIT, number))]
    assert actions[-3:] == ["withdraw", "allow", "fetch"]


def test_old_devices_are_cut_off(application: Application) -> None:
    number = running_numbers(application)[0]
    old = serial_of(application, number)
    with browser(application) as client, browser(application) as elsewhere:
        visit(client, application, number)
        visit(elsewhere, application, number)
        link = new_link(application, number)
        with application.writing() as session:
            code = create_letter_code(session, application, PERMIT, number)
        explained = client.get("/p/pass/devices").text
        assert "Drucken Sie ihn auch neu aus" in explained
        assert serial_of(application, number) == old
        answer = send(client, "/p/pass/devices/drop", "/p/pass/devices")
        assert answer.headers["location"] == "/p/pass?done=dropped"
        new = serial_of(application, number)
        assert new != old
        # Everybody else is out; whoever pressed the button goes on.
        assert client.get("/p/pass").status_code == 200
        assert elsewhere.get("/p/pass").status_code == 403
        assert elsewhere.post(link).status_code == 410
        fields = {"code": code, **last_day(application, number)}
        assert elsewhere.post("/p/code", data=fields).status_code == 422
        made = json.loads(
            zipfile.ZipFile(io.BytesIO(client.get("/p/pass/apple.pkpass").content)).read("pass.json")
        )
        assert made["serialNumber"] == new
    with application.reading() as session:
        found = wallet_passes.find(application, session, old)
        assert found is not None
        data = wallet_passes.apple_pass(application, session, found)
        tokens = session.scalars(
            select(RevisionRow.apple_token).where(
                RevisionRow.tenant == application.tenant, RevisionRow.number == number
            )
        ).all()
    assert json.loads(zipfile.ZipFile(io.BytesIO(data)).read("pass.json"))["voided"] is True
    assert len(set(tokens)) == 2


def test_other_passes_are_left_alone(application: Application, neighbour: Application) -> None:
    first, second = running_numbers(application)[:2]
    kept, abroad = serial_of(application, second), serial_of(neighbour, first)
    with browser(application) as client, browser(application) as other, browser(neighbour) as far:
        visit(client, application, first)
        visit(other, application, second)
        visit(far, neighbour, first)
        send(client, "/p/pass/wallets/remove", "/p/pass/wallets")
        send(client, "/p/pass/devices/drop", "/p/pass/devices")
        assert other.get("/p/pass").status_code == 200
        assert far.get("/p/pass").status_code == 200
    assert wallet_row(application, kept).withdrawn_at is None
    assert wallet_row(neighbour, abroad).withdrawn_at is None
    assert serial_of(neighbour, first) == abroad
