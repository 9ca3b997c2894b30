"""The counter: from an address to the print in somebody's hand, without phone and mail."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from httpx import Response
from sqlalchemy import select

from issuer.application import Application
from issuer.cases import steps, store
from issuer.cases.facts import CaseFacts, CaseKind, Channel, PlateFact
from issuer.cases.states import CaseState
from issuer.cases.store import CaseActor
from issuer.models_cases import CaseRow
from issuer.models_delivery import LetterRow
from issuer.models_payments import PaymentRow
from tests.issuer.cases.office import ERIKA, HOLDER, WANTED
from tests.issuer.console.people import form_token
from tests.issuer.console.permit_office import PermitOffice, hidden, pdf_text
from tests.service import PERMIT, City, running_numbers

PERSON = {
    "given_name": "Hilde", "family_name": "Groß", "doctoral_degree": "", "street": "pastorswiesenring",
    "house_number": "7", "postal_code": "40474", "city": "Düsseldorf", "email": "", "language": "de", "zone": "",
}  # fmt: skip
CAR = {
    "permit_kind": "standard", "plate_1": "d-hg 34", "season_1": "", "plate_2": "", "season_2": "",
    "organisation": "", "keeper": "holder", "residence": "main", "term_months": "12", "first_day": "1",
    "first_month": "12", "first_year": "2026",
}  # fmt: skip
SEEN = {"seen_residence": "identity_card", "seen_keeper_1": "vehicle_registration"}


@pytest.fixture
def office(city: City, application: Application, tmp_path: Path) -> PermitOffice:
    return PermitOffice.of(city, application, tmp_path)


def begin(office: PermitOffice, **other: str) -> Response:
    client = office.clerk.client
    token = form_token(client.get("/office/counter"))
    return client.post("/office/counter", data={"form_token": token, **PERSON, **other})


def step(office: PermitOffice, path: str, **fields: Any) -> Response:
    client = office.clerk.client
    return client.post(path, data={**hidden(client.get(path)), **fields})


def begun(office: PermitOffice, **other: str) -> str:
    answer = begin(office, **other)
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"]).rpartition("/")[0]


def test_somebody_goes_home_with_a_permit(office: PermitOffice) -> None:
    path = begun(office)
    page = office.clerk.client.get(path + "/permit")
    assert "Pastorswiesenring 7" in page.text
    assert "12 Monate, 30,00 €" in page.text
    assert step(office, path + "/permit", **CAR).headers["location"] == path + "/evidence"
    shown = office.clerk.client.get(path + "/evidence")
    assert "D-HG 34" in shown.text
    assert "30,00 €" in shown.text
    done = step(office, path + "/evidence", **SEEN)
    assert done.headers["location"] == path + "/finish"
    paying = office.clerk.client.get(path + "/finish")
    assert "Zu bezahlen sind 30,00 €" in paying.text
    case_id = path.rpartition("/")[2]
    fields = {**hidden(paying), "receipt": "2026-11-20/17", "back": "counter"}
    paid = office.clerk.client.post(f"/office/cases/{case_id}/pay", data=fields)
    assert paid.headers["location"] == path + "/finish?done=paid"
    last = office.clerk.client.get(path + "/finish")
    number = office.case(case_id).pass_number
    assert f"Ausweis {number} ist ausgestellt" in last.text
    permit = pdf_text(office.clerk.client.get(f"/office/passes/{PERMIT}/{number}/print.pdf"))
    for part in ("D-HG 34", "Hilde Groß", str(number), "30.11.2027"):
        assert part in permit, part
    notice = pdf_text(office.clerk.client.get(f"/office/cases/{case_id}/letters/approval"))
    for part in ("bewilligt", "30,00 €", "Sie ist bezahlt", "Rechtsbehelfsbelehrung", "Hilde Groß"):
        assert part in notice, part
    letter = office.clerk.client.post(
        f"/office/passes/{PERMIT}/{number}/letter", data={"form_token": form_token(last)}
    )
    assert re.search(r"[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4}", pdf_text(letter))
    history = office.history(case_id)
    assert [one.action for one in history] == [
        "case_begin", "case_submit", "case_accept_evidence", "case_accept_evidence", "case_approve", "case_paid",
    ]  # fmt: skip
    assert {one.actor for one in history} == {f"staff:{office.clerk.account_id}"}
    assert "Groß" not in str(history)
    with office.application.reading() as session:
        [payment] = session.scalars(select(PaymentRow).where(PaymentRow.ref == case_id))
        assert (payment.provider, payment.received_cents, payment.provider_id) == (
            "counter", 3000, "2026-11-20/17",
        )  # fmt: skip
        # Who has no mail gets the pick-up letter by the ordinary list as well.
        assert session.scalars(select(LetterRow.kind).where(LetterRow.number == number)).all() == ["pickup"]


def test_an_address_is_never_a_dead_end(office: PermitOffice) -> None:
    for other, sentence in (
        ({"street": "Pastorswiesenrinck"}, "Pastorswiesenring"),
        ({"street": "Am Feldrand", "house_number": "1"}, "Bewohnerparkgebiet"),
        ({"house_number": ""}, "Diese Angabe fehlt"),
        ({"postal_code": "4047"}, "Postleitzahl"),
        ({"email": "nobody"}, "E-Mail-Adresse"),
    ):
        answer = begin(office, **other)
        assert answer.status_code == 422, other
        assert sentence in answer.text, other
        assert 'id="errors"' in answer.text
        assert 'value="Groß"' in answer.text, "nothing is typed twice"
    # A new street: the clerk says the zone, and the residence has to be proven.
    path = begun(office, street="Neubaugasse", zone="BÖ")
    step(office, path + "/permit", **CAR)
    assert "lässt sich kein Gebiet bestimmen" in office.clerk.client.get(path + "/evidence").text
    # Where the directory says that there is no zone, nobody can choose one.
    assert begin(office, street="Am Feldrand", house_number="1", zone="BÖ").status_code == 422
    with office.application.reading() as session:
        assert len(session.scalars(select(CaseRow.id)).all()) == 1


@pytest.mark.parametrize("city", ["sqlite"], indirect=True)
def test_what_is_typed_wrong_is_said_beside_the_field(office: PermitOffice) -> None:
    path = begun(office)
    for other, field in (
        ({"plate_1": "D-XYZ 123"}, "plate_1"),
        ({"plate_1": ""}, "plate_1"),
        ({"plate_2": "D-HG 34"}, "plate_2"),
        ({"plate_2": "D-HG 35"}, "plate_2"),
        ({"permit_kind": ""}, "permit_kind"),
        ({"permit_kind": "made_up"}, "permit_kind"),
        ({"permit_kind": "carsharing", "plate_1": ""}, "organisation"),
        ({"term_months": "7"}, "term_months"),
        ({"term_months": ""}, "term_months"),
        ({"first_day": "31", "first_month": "2"}, "first_day"),
        ({"first_year": "2024"}, "first_day"),
        ({"keeper": ""}, "keeper"),
    ):
        answer = step(office, path + "/permit", **{**CAR, **other})
        assert answer.status_code == 422, other
        assert f'href="#{field}"' in answer.text, other


@pytest.mark.parametrize("city", ["sqlite"], indirect=True)
def test_what_is_not_there_leads_to_the_case_page(office: PermitOffice) -> None:
    path = begun(office)
    step(office, path + "/permit", **CAR)
    answer = step(office, path + "/evidence", seen_residence="identity_card")
    case_id = path.rpartition("/")[2]
    assert answer.headers["location"] == f"/office/cases/{case_id}"
    assert office.state(case_id) is CaseState.SUBMITTED
    # Back in the flow there is nothing left to fill in.
    for page in ("permit", "evidence", "finish"):
        assert office.clerk.client.get(f"{path}/{page}").headers["location"] == f"/office/cases/{case_id}"
    # An online draft is no business of the counter's.
    online = office.submitted()
    assert office.clerk.client.get(f"/office/counter/{online.id}/permit").status_code == 303
    assert office.clerk.client.get("/office/counter/" + "x" * 22 + "/permit").status_code == 404
    # The same person again.
    again = begun(office)
    step(office, again + "/permit", **CAR)
    twice = step(office, again + "/evidence", **SEEN)
    assert twice.status_code == 409
    assert "läuft schon ein solcher Antrag" in twice.text


@pytest.mark.parametrize("city", ["sqlite"], indirect=True)
def test_an_exception_waits_for_the_second_person(office: PermitOffice) -> None:
    path = begun(office)
    car = {**CAR, "permit_kind": "two_plates", "plate_2": "D-HG 35"}
    step(office, path + "/permit", **car)
    seen = {**SEEN, "seen_keeper_2": "vehicle_registration", "seen_justification": "second_vehicle_reason"}
    answer = step(office, path + "/evidence", **seen, exception="care")
    case_id = path.rpartition("/")[2]
    assert answer.headers["location"] == f"/office/cases/{case_id}"
    assert office.state(case_id) is CaseState.SECOND_LOOK
    assert office.send(office.lead, case_id, "second/approve").status_code == 303
    assert "Bezahlen" in office.clerk.client.get(path + "/finish").text


@pytest.mark.parametrize(
    ("kind", "channel"),
    [(CaseKind.CHANGE, Channel.ONLINE), (CaseKind.NEW, Channel.ONLINE), (CaseKind.RENEWAL, Channel.ONLINE)],
)
def test_what_a_holder_has_begun_is_not_handed_in_at_the_counter(
    office: PermitOffice, kind: CaseKind, channel: Channel
) -> None:
    application, clerk = office.application, office.clerk
    about = running_numbers(application)[0] if kind is not CaseKind.NEW else None
    facts = CaseFacts(plates=(PlateFact("D-XY 99"),), keeper="holder") if about else WANTED
    with application.writing() as session:
        by = CaseActor(HOLDER, application.now())
        case = store.begin(session, application.tenant, kind, PERMIT, channel, by, pass_number=about)
        case = steps.save_draft(session, application.tenant, case.id, by, facts, ERIKA)
    token = form_token(clerk.client.get("/office/counter"))
    path = f"/office/counter/{case.id}"
    for step_name, fields in (("evidence", SEEN), ("permit", CAR)):
        form = {"form_token": token, "version": str(case.version), "seen": "0", **fields}
        answer = clerk.client.post(f"{path}/{step_name}", data=form)
        assert answer.headers["location"] == f"/office/cases/{case.id}", step_name
    left = office.case(case.id)
    assert (left.state, left.version, left.facts) == (CaseState.DRAFT, case.version, case.facts)
