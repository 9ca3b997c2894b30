"""The page of a visit and what it fetches: the same as what is issued, and nothing that would not be valid."""

from __future__ import annotations

import base64
import io
import json
import re
import zipfile
from collections.abc import Callable
from datetime import timedelta

import pytest
import zxingcpp
from msgspec.structs import replace
from PIL import Image
from sqlalchemy.orm import Session

from issuer import audit, google_wallet, lifecycle
from issuer.application import Application
from issuer.background.tasks import RetryLater
from issuer.errors import IssuerRefusal
from issuer.lifecycle import Actor
from issuer.models import PassRow
from issuer.models_access import PickupLinkRow
from issuer.register import load_contents, subject
from issuer.settings import load_settings, save_settings
from passes.display import shown_fields
from passes.model import DisplayMode
from tests.issuer.pickup.browser import HOST, browser, send, visit
from tests.service import CARD, PERMIT, TODAY, City, running_numbers

SAVE = "https://pay.google.com/gp/v/save/abc"
OFFERS = ("apple.pkpass", "permit.pdf", "/p/pass/google", "/p/pass/phone")


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Google Wallet that says yes; returns what it was asked for."""
    asked: list[tuple[str, str]] = []

    def save_link(application: Application, type_id: str, number: str) -> str:
        asked.append((type_id, number))
        return SAVE

    monkeypatch.setattr(google_wallet, "is_offered", lambda application, session: True)
    monkeypatch.setattr(google_wallet, "save_link", save_link)
    return asked


def set_row(application: Application, number: str, **values: object) -> None:
    with application.writing() as session:
        row = session.get(PassRow, (application.tenant, PERMIT, number))
        for name, value in values.items():
            setattr(row, name, value)


def offered(page: str) -> list[str]:
    return re.findall(r'id="offer-([a-z]+)"', page)


def test_what_is_shown_is_what_is_issued(application: Application) -> None:
    for type_id in (PERMIT, CARD):
        number = running_numbers(application, type_id)[0]
        with application.reading() as session:
            pass_type = application.pass_types[type_id]
            [content] = load_contents(session, application.tenant, pass_type, [number])
            city = application.settings(session).city(application.tenant)
        for language in ("de", "en"):
            shown = shown_fields(pass_type, content, city, language)
            with browser(application, **{"accept-language": language}) as client:
                visit(client, application, number, type_id)
                page = client.get("/p/pass").text
                data = zipfile.ZipFile(io.BytesIO(client.get("/p/pass/apple.pkpass").content)).read(
                    "pass.json"
                )
            for key in ("number", "vehicle", "zone", "valid_from", "valid_until", "card_number", "category"):
                if key in shown:
                    assert shown[key].label in page
                    assert shown[key].text in page
                    assert key in data.decode()
            assert "TEST" in page


def test_apple_pass(application: Application) -> None:
    number = running_numbers(application)[0]
    with browser(application) as client:
        visit(client, application, number)
        answer = client.get("/p/pass/apple.pkpass")
    assert answer.headers["content-type"] == "application/vnd.apple.pkpass"
    assert answer.headers["content-disposition"] == f'attachment; filename="{number}.pkpass"'
    made = json.loads(zipfile.ZipFile(io.BytesIO(answer.content)).read("pass.json"))
    with application.reading() as session:
        [content] = load_contents(session, application.tenant, application.pass_types[PERMIT], [number])
    assert made["serialNumber"] == content.serial
    assert not made.get("voided")


def test_print(application: Application) -> None:
    number = running_numbers(application)[0]
    with browser(application) as client:
        visit(client, application, number)
        answer = client.get("/p/pass/permit.pdf")
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.content.startswith(b"%PDF-")


def test_on_to_google(application: Application, google: list[tuple[str, str]]) -> None:
    number = running_numbers(application)[0]
    with browser(application) as client:
        visit(client, application, number)
        answer = send(client, "/p/pass/google")
        assert (answer.status_code, answer.headers["location"]) == (303, SAVE)
        assert google == [(PERMIT, number)]
        # Pages with that form must let it lead on (form-action holds for redirects too).
        policy = client.get("/p/pass").headers["content-security-policy"]
        assert re.search(r"form-action [^;]*https://pay\.google\.com", policy)


@pytest.mark.parametrize("fault", [RetryLater("google-503"), IssuerRefusal("GOOGLE_NOT_POSSIBLE")])
def test_google_does_not_answer(
    application: Application,
    google: list[tuple[str, str]],
    monkeypatch: pytest.MonkeyPatch,
    fault: Exception,
) -> None:
    def refuse(application: Application, type_id: str, number: str) -> str:
        raise fault

    monkeypatch.setattr(google_wallet, "save_link", refuse)
    with browser(application) as client:
        visit(client, application, running_numbers(application)[0])
        answer = send(client, "/p/pass/google")
    assert answer.status_code == 503
    assert "Google antwortet gerade nicht" in answer.text


def test_google_switched_off(application: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(google_wallet, "is_offered", lambda application, session: False)
    with browser(application) as client:
        visit(client, application, running_numbers(application)[0])
        assert "google" not in offered(client.get("/p/pass").text)
        assert send(client, "/p/pass/google").status_code == 409


def test_without_an_account_with_apple(application: Application) -> None:
    with application.writing() as session:
        settings = replace(load_settings(session, application.tenant), apple_team_identifier="")
        save_settings(session, application.tenant, settings)
    with browser(application) as client:
        visit(client, application, running_numbers(application)[0])
        assert "apple" not in offered(client.get("/p/pass").text)
        assert client.get("/p/pass/apple.pkpass").status_code == 409


def read_code(page: str) -> str:
    data = re.search(r'src="data:image/png;base64,([^"]+)"', page)
    assert data is not None
    with Image.open(io.BytesIO(base64.b64decode(data.group(1)))) as image:
        [found] = zxingcpp.read_barcodes(image)
    return str(found.text)


def test_code_for_the_phone(city: City, application: Application) -> None:
    number = running_numbers(application)[0]
    with browser(application) as client, browser(application) as phone:
        visit(client, application, number)
        page = send(client, "/p/pass/phone")
        link = read_code(page.text).removeprefix(HOST)
        assert phone.get(link).status_code == 200
        assert phone.post(link).headers["location"] == "/p/pass"
        assert number in phone.get("/p/pass").text
        assert client.get("/p/pass").status_code == 200
        part = client.post(
            "/p/pass/phone",
            data={"form_token": re.findall(r'"form_token" value="(\w+)"', client.get("/p/pass").text)[0]},
            headers={"HX-Request": "true"},
        )
        assert "<html" not in part.text
        assert read_code(part.text) != link
        for _ in range(3):
            assert send(client, "/p/pass/phone").status_code == 200
        assert send(client, "/p/pass/phone").status_code == 429
        city.clock.forward(minutes=1)
        assert send(client, "/p/pass/phone").status_code == 200


def test_looking_at_the_phone_page_makes_no_link(application: Application) -> None:
    with browser(application) as client:
        visit(client, application, running_numbers(application)[0])
        client.get("/p/pass/phone")
        client.get("/p/pass")
    with application.reading() as session:
        assert session.query(PickupLinkRow).filter_by(channel="screen").count() == 0


def suspend(session: Session, tenant: str, number: str) -> None:
    lifecycle.suspend(session, tenant, PERMIT, number, actor=Actor("test", TODAY, "Test"))


def revoke(session: Session, tenant: str, number: str) -> None:
    lifecycle.revoke(session, tenant, PERMIT, number, actor=Actor("test", TODAY, "Test"))


@pytest.mark.parametrize(("step", "word"), [(suspend, "Gesperrt"), (revoke, "Widerrufen")])
def test_what_does_not_hold_is_not_offered(
    application: Application,
    google: list[tuple[str, str]],
    step: Callable[[Session, str, str], None],
    word: str,
) -> None:
    number = running_numbers(application)[0]
    with browser(application) as client:
        visit(client, application, number)
        before = client.get("/p/pass").text
        assert all(one in before for one in OFFERS)
        with application.writing() as session:
            step(session, application.tenant, number)
        page = client.get("/p/pass").text
        assert word in page
        assert offered(page) == []
        assert client.get("/p/pass/apple.pkpass").status_code == 409
        assert client.get("/p/pass/permit.pdf").status_code == 409
        assert client.get("/p/pass/devices").status_code == 409
        assert send(client, "/p/pass/google").status_code == 409
        assert send(client, "/p/pass/devices/drop").status_code == 409
        assert google == []
        # What is stored can still be seen.
        assert client.get("/p/pass/data").status_code == 200


def test_ended_and_not_yet_begun(city: City, application: Application) -> None:
    number = running_numbers(application)[-1]
    with application.reading() as session:
        row = session.get(PassRow, (application.tenant, PERMIT, number))
        assert row is not None
        last = row.period_last
    with browser(application) as client:
        city.clock.at = city.clock.at.replace(
            year=last.year, month=last.month, day=last.day, hour=23, minute=59
        )
        visit(client, application, number)
        assert "apple" in offered(client.get("/p/pass").text)
        city.clock.forward(minutes=1)
        page = client.get("/p/pass").text
        assert "Abgelaufen" in page
        assert offered(page) == []
        city.clock.at = TODAY
        set_row(application, number, period_first=TODAY.date() + timedelta(days=1))
        visit(client, application, number)
        page = client.get("/p/pass").text
        assert "Gilt noch nicht" in page
        assert "apple" in offered(page)


@pytest.mark.parametrize("mode", list(DisplayMode))
def test_where_the_print_has_to_be(application: Application, mode: DisplayMode) -> None:
    with application.writing() as session:
        settings = replace(load_settings(session, application.tenant), display_mode=mode)
        save_settings(session, application.tenant, settings)
    with browser(application) as client:
        visit(client, application, running_numbers(application)[0])
        page = client.get("/p/pass").text
        assert ("Drucken Sie den Ausweis aus" in page) == (mode is DisplayMode.PAPER_REQUIRED)
        if mode is DisplayMode.PAPER_REQUIRED:
            # Before anything that could be taken for enough.
            assert page.index("hinter die Windschutzscheibe") < page.index("offer-")
    with browser(application) as client:
        visit(client, application, running_numbers(application, CARD)[0], CARD)
        assert "Windschutzscheibe" not in client.get("/p/pass").text


def test_texts_of_the_city_are_escaped(application: Application) -> None:
    with application.writing() as session:
        settings = replace(
            load_settings(session, application.tenant),
            city_name="<b>Stadt</b>",
            contact="\"'><script>x</script>",
        )
        save_settings(session, application.tenant, settings)
    with browser(application) as client:
        page = client.get("/p").text
    assert "<b>Stadt" not in page
    assert "<script>x" not in page
    assert "&lt;b&gt;Stadt" in page


@pytest.mark.parametrize("done", ["", "dropped", "x", "<script>", "removed&done=allowed"])
def test_what_is_said_once_is_one_of_ours(application: Application, done: str) -> None:
    with browser(application) as client:
        visit(client, application, running_numbers(application)[0])
        answer = client.get("/p/pass", params={"done": done})
        assert answer.status_code == 200
        assert ("Erledigt" in answer.text) == (done == "dropped")


def test_fetching_is_in_the_audit_trail(application: Application, google: list[tuple[str, str]]) -> None:
    number = running_numbers(application)[0]
    with browser(application) as client:
        visit(client, application, number)
        client.get("/p/pass/apple.pkpass")
        client.get("/p/pass/permit.pdf")
        send(client, "/p/pass/google")
        client.get("/p/pass/data.json")
    with application.reading() as session:
        entries = audit.history(session, application.tenant, subject(PERMIT, number))[-4:]
    assert [(one.actor, one.action, one.after) for one in entries] == [
        ("holder", "fetch", {"channel": "mail", "carrier": carrier})
        for carrier in ("apple", "print", "google", "data")
    ]
