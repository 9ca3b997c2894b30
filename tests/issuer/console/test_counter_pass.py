"""The counter for a permit that there is: another plate and a further term, without phone and mail."""

from __future__ import annotations

import re
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from httpx import Response
from sqlalchemy import select

from issuer.application import Application
from issuer.cases.facts import CaseKind, Channel
from issuer.cases.states import CaseState
from issuer.models import PassRow
from issuer.models_payments import PaymentRow
from issuer.models_staff import CaseAccessRow
from issuer.rules.directory import streets_from_csv
from passes.status_list import Status
from tests.issuer.console.permit_office import PermitOffice, hidden, pdf_text
from tests.issuer.pickup.holders import cases, content, ends, lives, plates, revisions, standard, two_plates
from tests.service import CARD, PERMIT, TODAY, City, running_numbers

PAPERS = {"seen_keeper_1": "vehicle_registration"}


@pytest.fixture
def office(city: City, application: Application, tmp_path: Path) -> PermitOffice:
    return PermitOffice.of(city, application, tmp_path)


def of(number: str, page: str = "") -> str:
    return f"/office/passes/{PERMIT}/{number}{page}"


def send(office: PermitOffice, path: str, **fields: Any) -> Response:
    client = office.clerk.client
    token = re.search(r'name="form_token" value="([^"]+)"', client.get("/office/counter").text)
    assert token is not None
    return client.post(path, data={"form_token": token[1], **fields})


def hand_in(office: PermitOffice, path: str, **seen: str) -> Response:
    client = office.clerk.client
    return client.post(path, data={**hidden(client.get(path)), **seen})


def change(office: PermitOffice, number: str, plate: str, **more: str) -> Response:
    return send(office, of(number, "/plate"), plate=plate, keeper="holder", **more)


def at_home(application: Application, folder: Path, number: str, last: date) -> None:
    """Have the permit end on ``last``, and its holder live where the directory knows the permit's zone."""
    ends(application, number, last)
    lives(application, number, street="Gartenweg", house_number="3", postal_code="40474", city="Düsseldorf")
    zone = content(application, number).attributes["zone"]
    file = folder / "own-streets.csv"
    lines = "street;postal_code;zone_code;number_from;number_to;side\n"
    file.write_text(f"{lines}Gartenweg;40474;{getattr(zone, 'code', '')};1;40;\n", "utf-8")
    with application.writing() as session:
        assert streets_from_csv(session, application.tenant, file) == 1


def test_another_car(office: PermitOffice) -> None:
    application = office.application
    number = standard(application)
    [old] = plates(application, number)
    page = office.clerk.client.get(of(number))
    assert "Kennzeichen ändern" in page.text
    assert old in office.clerk.client.get(of(number, "/plate")).text
    typed = change(office, number, "d-zz 5")
    evidence = typed.headers["location"]
    shown = office.clerk.client.get(evidence)
    assert "D-ZZ 5" in shown.text
    assert "Schritt 2 von 3" in shown.text
    assert plates(application, number) == [old], "nothing has changed yet"
    done = hand_in(office, evidence, **PAPERS)
    assert done.headers["location"] == evidence.replace("/evidence", "/finish")
    last = office.clerk.client.get(done.headers["location"])
    assert f"Das Kennzeichen auf Ausweis {number} ist geändert" in last.text
    assert plates(application, number) == ["D-ZZ 5"]
    first, second = revisions(application, number)
    assert (first.status_value, second.status_value) == (int(Status.SUPERSEDED), int(Status.VALID))
    permit = pdf_text(office.clerk.client.get(of(number, "/print.pdf")))
    assert "D-ZZ 5" in permit
    assert old not in permit
    [case] = cases(application, number)
    assert (case.kind, case.channel, case.state) == (CaseKind.CHANGE, Channel.COUNTER, CaseState.ISSUED)
    assert {one.actor for one in office.history(case.id)} == {f"staff:{office.clerk.account_id}"}
    # The same form again finds the case handed in, and changes nothing.
    again = office.clerk.client.post(evidence, data={**hidden(last), "version": str(case.version)})
    assert again.headers["location"] == f"/office/cases/{case.id}"
    assert len(revisions(application, number)) == 2


@pytest.mark.parametrize("city", ["sqlite"], indirect=True)
def test_going_back_alters_the_one_draft(office: PermitOffice) -> None:
    number = standard(office.application)
    first = change(office, number, "D-ZZ 5").headers["location"]
    second = change(office, number, "D-ZZ 6").headers["location"]
    assert first == second
    assert hand_in(office, second, **PAPERS).status_code == 303
    assert plates(office.application, number) == ["D-ZZ 6"]


@pytest.mark.parametrize("city", ["sqlite"], indirect=True)
def test_what_cannot_be_the_plate_is_said_beside_the_field(office: PermitOffice) -> None:
    number = standard(office.application)
    [old] = plates(office.application, number)
    for fields, field in (
        ({"plate": "", "keeper": "holder"}, "plate"),
        ({"plate": "D-XYZ 123", "keeper": "holder"}, "plate"),
        ({"plate": old, "keeper": "holder"}, "plate"),
        ({"plate": "CEE1234", "keeper": "holder"}, "choice"),
        ({"plate": "D-ZZ 5"}, "keeper"),
        ({"plate": "D-ZZ 5", "keeper": "nobody"}, "keeper"),
    ):
        answer = send(office, of(number, "/plate"), **fields)
        assert answer.status_code == 422, fields
        assert f'href="#{field}"' in answer.text, fields
        assert f'id="{field}"' in answer.text, fields
    chosen = change(office, number, "CEE1234", choice="C-EE 1234")
    assert chosen.status_code == 303
    assert "C-EE 1234" in office.clerk.client.get(chosen.headers["location"]).text
    assert plates(office.application, number) == [old]


@pytest.mark.parametrize("city", ["sqlite"], indirect=True)
def test_of_two_plates_one_is_named(office: PermitOffice) -> None:
    number = two_plates(office.application)
    first, second = plates(office.application, number)
    assert 'href="#place"' in change(office, number, "D-ZZ 5").text
    path = change(office, number, "D-ZZ 5", place="1").headers["location"]
    assert hand_in(office, path, **PAPERS, seen_keeper_2="vehicle_registration").status_code == 303
    assert plates(office.application, number) == [first, "D-ZZ 5"]
    assert second not in plates(office.application, number)


@pytest.mark.parametrize("city", ["sqlite"], indirect=True)
def test_more_changes_than_a_year_allows_need_papers(office: PermitOffice) -> None:
    application = office.application
    number = standard(application)
    for count in range(20):
        page = office.clerk.client.get(of(number, "/plate")).text
        if "schon so oft geändert" in page:
            break
        path = change(office, number, f"D-ZZ {count + 10}").headers["location"]
        hand_in(office, path, **PAPERS)
    else:
        raise AssertionError("no limit in a year")
    before = plates(application, number)
    path = change(office, number, "D-ZZ 99").headers["location"]
    waiting = hand_in(office, path)
    assert waiting.headers["location"].startswith("/office/cases/")
    assert plates(application, number) == before
    # A second change has to wait for the first.
    assert change(office, number, "D-ZZ 98").status_code == 409
    assert "ist schon im Gang" in office.clerk.client.get(of(number, "/plate")).text


def test_a_further_term(office: PermitOffice, tmp_path: Path) -> None:
    application = office.application
    number = standard(application)
    last = TODAY.date() + timedelta(days=20)
    at_home(application, tmp_path, number, last)
    page = office.clerk.client.get(of(number, "/renew"))
    assert "30,00 €" in page.text
    missing = send(office, of(number, "/renew"), term_months="12")
    assert missing.status_code == 422
    assert 'href="#unchanged"' in missing.text
    assert 'href="#term_months"' in send(office, of(number, "/renew"), unchanged="yes", term_months="7").text
    path = send(office, of(number, "/renew"), term_months="12", unchanged="yes").headers["location"]
    assert "30,00 €" in office.clerk.client.get(path).text
    done = hand_in(office, path, seen_residence="identity_card", **PAPERS)
    assert done.headers["location"] == path.replace("/evidence", "/finish"), done.headers
    paying = office.clerk.client.get(done.headers["location"])
    assert "Zu bezahlen sind 30,00 €" in paying.text
    [case] = cases(application, number)
    assert case.state == CaseState.AWAITING_PAYMENT
    # Who comes back to the pass finds the renewal, and no second one.
    assert "ist schon im Gang" in office.clerk.client.get(of(number, "/renew")).text
    assert send(office, of(number, "/renew"), term_months="12", unchanged="yes").status_code == 409
    fields = {**hidden(paying), "receipt": "2026-11-20/18", "back": "counter"}
    assert office.clerk.client.post(f"/office/cases/{case.id}/pay", data=fields).status_code == 303
    assert f"Ausweis {number} ist verlängert" in office.clerk.client.get(done.headers["location"]).text
    with application.reading() as session:
        row = session.get_one(PassRow, (application.tenant, PERMIT, number))
        assert row.period_last == date(last.year + 1, last.month, last.day)
        [payment] = session.scalars(select(PaymentRow).where(PaymentRow.ref == case.id))
        assert (payment.provider, payment.received_cents) == ("counter", 3000)


@pytest.mark.parametrize("city", ["sqlite"], indirect=True)
def test_when_there_is_no_further_term_it_says_why(office: PermitOffice, tmp_path: Path) -> None:
    application = office.application
    number = standard(application)
    at_home(application, tmp_path, number, TODAY.date() + timedelta(days=200))
    early = office.clerk.client.get(of(number, "/renew"))
    assert re.search(r"Das geht ab \d{2}\.\d{2}\.\d{4}", early.text)
    ends(application, number, TODAY.date() - timedelta(days=1))
    assert "Er ist abgelaufen" in office.clerk.client.get(of(number, "/renew")).text
    for page in ("/plate", "/renew"):
        fields = {"plate": "D-ZZ 5", "keeper": "holder", "term_months": "12", "unchanged": "yes"}
        assert send(office, of(number, page), **fields).status_code == 409, page
    assert cases(application, number) == []


@pytest.mark.parametrize("city", ["sqlite"], indirect=True)
def test_a_library_card_is_no_business_of_this_counter(office: PermitOffice) -> None:
    card = running_numbers(office.application, CARD)[0]
    client = office.clerk.client
    assert "Kennzeichen ändern" not in client.get(f"/office/passes/{CARD}/{card}").text
    for page in ("plate", "renew"):
        assert client.get(f"/office/passes/{CARD}/{card}/{page}").status_code == 404
        assert send(office, f"/office/passes/{CARD}/{card}/{page}").status_code == 404
        assert client.get(f"/office/passes/{PERMIT}/nothing/{page}").status_code == 404


@pytest.mark.parametrize("city", ["sqlite"], indirect=True)
def test_whoever_looks_is_noted(office: PermitOffice) -> None:
    number = standard(office.application)
    office.clerk.client.get(of(number, "/plate"))
    with office.application.reading() as session:
        subjects = session.scalars(select(CaseAccessRow.subject)).all()
    assert f"{PERMIT}/{number}" in subjects
