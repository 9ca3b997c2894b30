"""The registrar's pages: looking up, issuing, handing over; and who does not get there."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from sqlalchemy import select

from issuer.application import Application
from issuer.models_staff import CaseAccessRow
from issuer.staff.permissions import Role
from issuer.web import rates
from tests.issuer.console.conftest import cheap_hashes
from tests.issuer.console.people import Colleague, settle
from tests.issuer.console.permit_office import pdf_text
from tests.issuer.pickup.browser import browser, send, visit
from tests.issuer.residence.registry import FILE, RESIDENCE, issued, named, registry
from tests.service import City

__all__ = ["cheap_hashes"]
pytestmark = pytest.mark.parametrize("city", ["sqlite"], indirect=True)
PATH = "/office/residence"
ASKED = {
    "given_names": "Quirina", "family_name": "Müller-Đặng",
    "birth_day": "29", "birth_month": "2", "birth_year": "1984",
    "street": "Aehrengaesschen", "house_number": "17c", "language": "de",
}  # fmt: skip


@pytest.fixture
def application(city: City) -> Application:
    return registry(city)


@pytest.fixture
def registrar(city: City, application: Application) -> Colleague:
    return settle(application, city.clock, "meldeamt", Role.REGISTRAR)


def test_from_the_register_to_paper_phone_and_wallet(registrar: Colleague, application: Application) -> None:
    seen = registrar.send(f"{PATH}/look-up", page=PATH, **ASKED)
    assert seen.status_code == 200
    for text in (
        "Şeyma Quirina",
        "Mustermann",
        "29.02.1984",
        "Ährengässchen 17 c",
        "50999 Köln",
        "17.02.2027",
    ):
        assert text in seen.text, text
    # What was typed goes along, and nothing that the register has said.
    assert "Şeyma" not in " ".join(re.findall(r'type="hidden"[^>]*>', seen.text))
    done = registrar.send(PATH, page=PATH, **ASKED)
    assert done.status_code == 200
    assert "RC-2026-000001 ist ausgestellt" in done.text
    one = f"{PATH}/RC-2026-000001"
    page = registrar.client.get(PATH, params={"number": "rc-2026-000001"})
    assert page.headers["location"] == one
    shown = registrar.client.get(one)
    assert "Übermühlgasse 1" in shown.text
    assert "Bescheinigung ausgestellt" in shown.text
    assert "Müller-Đặng" in pdf_text(registrar.client.get(f"{one}/print.pdf"))
    link = registrar.send(f"{one}/link", page=one)
    found = re.search(r"readonly>https://stadtpass.example(/p/[^<]+)<", link.text)
    assert found is not None
    holder = browser(application)
    assert holder.post(found[1]).headers["location"] == "/p/pass"
    held = holder.get("/p/pass")
    assert "Ährengässchen" in held.text
    # Nobody calls it a card: neither the history nor the offer to a wallet.
    assert "Bescheinigung mit dem Link vom Schalter geöffnet" in holder.get("/p/pass/data").text
    assert "der Ausweis als digitaler Nachweis" not in held.text
    assert "apple" not in held.text.lower()
    assert "google" not in held.text.lower()
    offer = registrar.send(f"{one}/eudi", page=one)
    assert re.search(r"<strong>\d{6}</strong>", offer.text)


def test_revoked(registrar: Colleague, application: Application) -> None:
    one = f"{PATH}/{issued(application)}"
    assert registrar.send(f"{one}/revoke", page=f"{one}/revoke").status_code == 422
    assert registrar.send(f"{one}/revoke", page=f"{one}/revoke", reason="wrong").status_code == 303
    assert "widerrufen" in registrar.client.get(one).text
    for step in ("link", "eudi"):
        assert registrar.send(f"{one}/{step}", page=PATH).status_code == 409
    assert registrar.client.get(f"{one}/print.pdf").status_code == 409
    assert registrar.send(f"{one}/revoke", page=PATH, reason="wrong").status_code == 409


BERTA = {
    "given_names": "Berta", "family_name": "Geheim", "birth_day": "3", "birth_month": "5", "birth_year": "1990",
    "street": "Lohweilerplatz", "house_number": "1",
}  # fmt: skip


@pytest.mark.parametrize("asked", [{"birth_day": "28"}, BERTA])
def test_a_block_looks_like_nobody(registrar: Colleague, asked: dict[str, str]) -> None:
    for path in (f"{PATH}/look-up", PATH):
        answer = registrar.send(path, page=PATH, **(ASKED | asked))
        assert answer.status_code == 409
        assert "Dazu gibt es hier keine Bescheinigung" in answer.text
        assert "sperr" not in answer.text.lower()
        assert "Lohweilerplatz 1" not in answer.text


def test_what_is_missing_is_said(registrar: Colleague) -> None:
    wrong = {"birth_day": "31", "family_name": "", "email": "nobody"}
    answer = registrar.send(f"{PATH}/look-up", page=PATH, **(ASKED | wrong))
    assert answer.status_code == 422
    for field in ("family_name", "birth_day", "email"):
        assert f'id="{field}-error"' in answer.text
    assert registrar.client.get(PATH, params={"number": "RC-1"}).status_code == 422
    assert registrar.client.get(f"{PATH}/RC-1").status_code == 404


def test_typed_where_the_register_is_away(city: City, registrar: Colleague) -> None:
    (city.folder / FILE).unlink()
    form = registrar.send(f"{PATH}/look-up", page=PATH, **ASKED)
    assert form.status_code == 200
    assert 'value="Aehrengaesschen"' in form.text
    typed = {
        "typed": "yes", "all_given_names": "Şeyma Quirina", "main_street": "Ährengässchen",
        "main_house_number": "17 c", "main_postal_code": "40999", "main_city": "Düsseldorf",
    }  # fmt: skip
    answer = registrar.send(PATH, page=PATH, **ASKED, **typed)
    assert answer.status_code == 422
    assert "Auskunftssperre" in answer.text
    half = registrar.send(PATH, page=PATH, **ASKED, **typed, compared="yes", secondary_street="Weg")
    assert 'id="secondary_street-error"' in half.text
    done = registrar.send(PATH, page=PATH, **ASKED, **typed, compared="yes")
    assert "ist ausgestellt" in done.text


def test_who_does_not_need_an_address_sees_none(
    city: City, application: Application, registrar: Colleague
) -> None:
    number = issued(application)
    others = [one for one in Role if one is not Role.REGISTRAR]
    somebody = settle(application, city.clock, "alle", *others)
    pages = [
        f"/office/passes/{RESIDENCE}/{number}",
        f"/office/passes?q={number}",
        "/office/passes?q=Müller",
        f"/office/library/members/{RESIDENCE}/{number}",
        f"/office/histories?q={number}",
        f"{PATH}/{number}",
        f"/office/passes/{RESIDENCE}/{number}/print.pdf",
        f"/office/passes/{RESIDENCE}/{number}/steps/revoke",
        f"/office/passes/{RESIDENCE}/{number}/reinstate",
    ]
    for path in pages:
        text = somebody.client.get(path).text
        assert named(text) == [], path
    for path in ("link", "letter", "eudi", "eudi-letter", "steps/revoke"):
        answer = somebody.send(f"/office/passes/{RESIDENCE}/{number}/{path}", reason="misuse")
        assert answer.status_code in (404, 409), path
    # And the registrar sees certificates, and nothing else.
    assert registrar.client.get("/office/passes").status_code == 403
    assert "residence-certificate" not in somebody.client.get("/office/imports/new").text


def test_wishes_about_a_certificate_are_the_registrars(
    city: City, application: Application, registrar: Colleague
) -> None:
    number = issued(application)
    client = browser(application)
    visit(client, application, number, RESIDENCE)
    send(client, "/p/pass/data/rights/ask", "/p/pass/data/rights", request="correction")
    assert f'href="{PATH}/{number}"' in registrar.client.get("/office/wishes").text
    clerk = settle(application, city.clock, "clerk", Role.CLERK, Role.LIBRARIAN)
    assert number not in clerk.client.get("/office/wishes").text


def test_every_look_is_in_the_log_and_there_are_not_too_many(
    application: Application, registrar: Colleague, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten looks in a minute are ten people: one line for them would hide nine."""
    monkeypatch.setattr(rates, "RESIDENTS_OF_STAFF", replace(rates.RESIDENTS_OF_STAFF, burst=3))
    pages = [registrar.send(f"{PATH}/look-up", page=PATH, **ASKED) for _ in range(4)]
    assert [one.status_code for one in pages] == [200, 200, 200, 429]
    assert pages[-1].headers["retry-after"] == "30"
    assert registrar.send(PATH, page=PATH, **ASKED).status_code == 429
    with application.reading() as session:
        subjects = session.scalars(select(CaseAccessRow.subject)).all()
    assert subjects.count("log/residents") == 3


def test_the_log_has_who_and_when_and_not_whom(
    city: City, application: Application, registrar: Colleague
) -> None:
    registrar.send(f"{PATH}/look-up", page=PATH, **ASKED)
    registrar.send(PATH, page=PATH, **ASKED)
    auditor = settle(application, city.clock, "otto", Role.AUDITOR)
    log = auditor.client.get("/office/accesses").text
    assert "log/residents" in log
    assert f"{RESIDENCE}/RC-2026-000001" in log
    trail = auditor.client.get("/office/audit").text
    for text in (log, trail):
        assert named(text) == []


def test_auditors_read_of_certificates_too(
    registrar: Colleague, application: Application, city: City
) -> None:
    registrar.send(PATH, page=PATH, **ASKED)
    auditor = settle(application, city.clock, "otto", Role.AUDITOR)
    trail = auditor.client.get("/office/audit", params={"q": "RC-2026-000001"}).text
    assert "Bescheinigung ausgestellt" in trail
    assert "Ausweis ausgestellt" not in trail
