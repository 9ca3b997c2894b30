"""The work list and one case: found, filtered, seen, decided; never by one person what two have to decide."""

from __future__ import annotations

import io
import re
import threading
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from PIL import Image
from sqlalchemy import select

from issuer import lifecycle
from issuer.application import Application
from issuer.cases import case_payments, evidence
from issuer.cases.states import CaseState
from issuer.models_desk import CaseLetterRow
from issuer.nightly.retention import FIRST
from issuer.payments.provider import PaymentInformation, TransactionStatus
from issuer.payments.service import Event, Source, payments_of, take_event
from issuer.settings import LegalRemedy, load_settings, save_settings
from issuer.staff.accounts import set_roles
from issuer.staff.permissions import Role
from tests.issuer.cases.office import ERIKA
from tests.issuer.console.people import Colleague
from tests.issuer.console.permit_office import PermitOffice, hidden, pdf_text
from tests.service import PERMIT, City

SQLITE = pytest.mark.parametrize("city", ["sqlite"], indirect=True)


@pytest.fixture
def office(city: City, application: Application, tmp_path: Path) -> PermitOffice:
    return PermitOffice.of(city, application, tmp_path)


def numbers(page: str) -> list[str]:
    return re.findall(r">(A-2026-[0-9]{6})</a>", page)


def test_the_work_list_is_ordered_filtered_and_paged(office: PermitOffice) -> None:
    cases = []
    for _ in range(27):
        cases.append(office.submitted())
        office.city.clock.forward(minutes=1)
    last = office.submitted(
        replace(ERIKA, given_name="Özgür", family_name="Müller", street="Gartenweg"), zone="HO"
    )
    clerk = office.clerk
    first = clerk.client.get("/office/cases")
    assert numbers(first.text) == [one.number for one in cases[:25]]
    assert "zu bearbeiten (28)" in first.text
    assert "überfällig" not in first.text
    # A case that is decided meanwhile moves nothing on the next page.
    office.send(clerk, cases[0].id, "withdraw")
    following = re.search(r'href="([^"]*after=[^"]*)"', first.text)
    assert following is not None
    second = clerk.client.get(following[1].replace("&amp;", "&"))
    assert numbers(second.text) == [*(one.number for one in cases[25:]), last.number]
    for query, found in (
        ("zone=HO", [last.number]),
        ("zone=BÖ&state=withdrawn", [cases[0].number]),
        ("kind=renewal", []),
        ("q=Mueller", [last.number]),
        ("q=özgür müller", [last.number]),
        (f"q={last.number}", [last.number]),
        ("q=D-XY 80", [cases[2].number]),
        ("q=d xy80", [cases[2].number]),
        ("q=Nobody", []),
        ("after=rubbish&zone=HO", [last.number]),
        ("state=nothing&zone=nowhere&kind=none&q=" + cases[0].number, [cases[0].number]),
        ("q=%25_", []),
    ):
        assert numbers(clerk.client.get("/office/cases?" + query).text) == found, query
    office.city.clock.forward(days=15)
    late = clerk.client.get("/office/cases")
    assert "überfällig" in late.text or late.status_code == 303
    clerk.log_in()
    late = clerk.client.get("/office/cases")
    assert late.text.count("kern-icon--danger") == 25
    assert "Zu bearbeiten: 27. Davon zweite Prüfung: 0. Überfällig: 27." in clerk.client.get("/office").text


def test_a_case_is_seen_and_each_look_is_noted(office: PermitOffice) -> None:
    case = office.submitted()
    picture = io.BytesIO()
    Image.new("RGB", (200, 100), "red").save(picture, "JPEG")
    document = evidence.examine(picture.getvalue())
    with office.application.writing() as session:
        name = evidence.store(
            session, office.application, case.id, "identity_card", document, office.application.now()
        )
    page = office.page(office.clerk, case.id)
    for said in (
        "Muster",
        "Pastorswiesenring 31",
        "D-XY 78",
        "Wohnung im Gebiet",
        "Nachweis nötig",
        "eingereicht",
    ):
        assert said in page.text, said
    path = f"/office/cases/{case.id}/evidence/{name}"
    assert path in page.text
    shown = office.clerk.client.get(path)
    assert shown.content == document.data
    assert "sandbox" in shown.headers["content-security-policy"]
    assert shown.headers["content-security-policy"].startswith("default-src 'none'")
    assert shown.headers["x-content-type-options"] == "nosniff"
    assert shown.headers["cache-control"] == "no-store"
    auditor = office.person("otto", Role.AUDITOR)
    log = auditor.client.get("/office/accesses", params={"q": case.number})
    assert "geöffnet" in log.text
    assert "Nachweis angesehen" in log.text
    for other in (f"/office/cases/{office.submitted().id}/evidence/{name}", path[:-1] + "_"):
        assert office.clerk.client.get(other).status_code == 404
    for closed in (path, f"/office/cases/{case.id}", "/office/cases"):
        assert auditor.client.get(closed).status_code == 403
    # Histories tell nothing personal.
    told = auditor.client.get("/office/histories", params={"q": case.number})
    assert "Antrag eingereicht" in told.text
    assert "Muster" not in told.text.replace("Musterstadt", "")


def test_from_the_check_to_the_money_at_the_counter_and_back(office: PermitOffice) -> None:
    case = office.submitted()
    clerk, lead = office.clerk, office.lead
    refused = office.send(clerk, case.id, "approve")
    assert refused.status_code == 409
    assert "noch Nachweise zu prüfen: Wohnung im Gebiet, Halter des Fahrzeugs, Fahrzeug 1." in refused.text
    wrong = office.send(clerk, case.id, "accept", check="residence", evidence="fleet_list")
    assert wrong.status_code == 409
    office.checked(case)
    assert office.send(clerk, case.id, "approve").status_code == 303
    assert office.state(case.id) is CaseState.AWAITING_PAYMENT
    for receipt, sentence in (("", "Kassenbeleg"), ("<b>", "Kassenbeleg"), ("x" * 41, "Kassenbeleg")):
        answer = office.send(clerk, case.id, "pay", receipt=receipt)
        assert (answer.status_code, sentence in answer.text) == (409, True), receipt
    assert office.send(clerk, case.id, "pay", receipt="K 4711").status_code == 303
    done = office.case(case.id)
    assert done.state is CaseState.ISSUED
    assert "Beleg K 4711" in office.page(clerk, case.id).text
    # One receipt pays once, and one case is paid once.
    other = office.submitted()
    office.checked(other)
    office.send(clerk, other.id, "approve")
    assert "schon gebucht" in office.send(clerk, other.id, "pay", receipt="K 4711").text
    assert office.state(other.id) is CaseState.AWAITING_PAYMENT
    assert office.send(clerk, case.id, "pay", receipt="K 4712").status_code == 409
    # Only a lead takes it back, and only today.
    assert office.send(clerk, case.id, "pay/undo").status_code == 403
    assert "heute aufheben" not in office.page(clerk, case.id).text
    assert "heute aufheben" in office.page(lead, case.id).text
    assert office.send(lead, case.id, "pay/undo").status_code == 303
    assert office.state(case.id) is CaseState.CHARGED_BACK
    number = done.pass_number
    assert "gesperrt" in clerk.client.get(f"/office/passes/{case.type_id}/{number}").text
    # The receipt belongs to the other case.
    assert office.send(clerk, other.id, "pay", receipt="K 4711").status_code == 303
    assert office.send(clerk, case.id, "pay", receipt="K 4712").status_code == 303
    assert office.state(case.id) is CaseState.ISSUED
    assert "gesperrt</span>" not in clerk.client.get(f"/office/passes/{case.type_id}/{number}").text
    office.city.clock.forward(days=1)
    lead.log_in()
    late = office.send(lead, case.id, "pay/undo")
    assert late.status_code == 409
    assert "nicht von heute" in late.text
    assert "D-XY" not in str(office.history(case.id))


def test_money_without_a_receipt_is_noted_by_a_lead(office: PermitOffice) -> None:
    case = office.submitted()
    clerk, lead = office.clerk, office.lead
    office.checked(case)
    office.send(clerk, case.id, "approve")
    office.send(clerk, case.id, "pay", receipt="K 4711")
    assert office.send(lead, case.id, "pay/undo").status_code == 303
    page = office.page(clerk, case.id).text
    assert "/settle" not in page
    assert "vermerkt es die Leitung" in page
    assert office.send(clerk, case.id, "settle", note="Überwiesen").status_code == 403
    for note in ("", " ", "x" * 101, "a\nb"):
        answer = office.send(lead, case.id, "settle", note=note)
        assert (answer.status_code, "wie das Geld gekommen ist" in answer.text) == (409, True), note
    assert office.state(case.id) is CaseState.CHARGED_BACK
    assert office.send(lead, case.id, "settle", note="Überwiesen").status_code == 303
    assert office.state(case.id) is CaseState.ISSUED
    last = office.history(case.id)[-1]
    assert (last.action, last.reason) == ("case_settle", "Überwiesen")
    assert "Grund: Überwiesen" in office.page(lead, case.id).text


def test_no_money_is_taken_for_a_pass_that_was_revoked(office: PermitOffice) -> None:
    case = office.submitted()
    clerk, lead = office.clerk, office.lead
    office.checked(case)
    office.send(clerk, case.id, "approve")
    office.send(clerk, case.id, "pay", receipt="K 4711")
    office.send(lead, case.id, "pay/undo")
    page = office.page(clerk, case.id).text
    assert (f"{case.id}/pay" in page, "Fall abschließen" in page) == (True, False)
    early = office.send(clerk, case.id, "close")
    assert (early.status_code, "weder widerrufen noch abgelaufen" in early.text) == (409, True)
    with office.application.writing() as session:
        number = office.case(case.id).pass_number or ""
        why = lifecycle.Actor("staff:1", office.application.now(), "moved")
        lifecycle.revoke(session, office.application.tenant, PERMIT, number, actor=why)
    page = office.page(clerk, case.id).text
    assert (f"{case.id}/pay" in page, "Fall abschließen" in page) == (False, True)
    answer = office.send(clerk, case.id, "pay", receipt="K 4712")
    assert (answer.status_code, "kein Geld mehr angenommen" in answer.text) == (409, True)
    assert "K 4712" not in office.page(clerk, case.id).text
    assert office.state(case.id) is CaseState.CHARGED_BACK
    assert office.send(clerk, case.id, "close").headers["location"].endswith("?done=closed")
    assert office.state(case.id) is CaseState.LAPSED
    closed = office.page(clerk, case.id).text
    assert "Abgeschlossen: nicht bezahlt" in closed
    assert "überfällig" not in closed
    assert office.send(clerk, case.id, "close").status_code == 409


def test_four_eyes_are_two_people(office: PermitOffice) -> None:
    case = office.submitted(permit_kind="two_plates")
    both = office.person("both", Role.CLERK, Role.SUPERVISOR)
    office.checked(case, both)
    assert "Das ist eine Ausnahme" in office.page(both, case.id).text
    assert office.send(both, case.id, "approve").status_code == 409
    assert office.send(both, case.id, "propose", exception="no such").status_code == 409
    assert office.send(both, case.id, "propose", exception="hardship").status_code == 303
    page = office.page(both, case.id)
    assert "Freigeben muss eine andere Person" in page.text
    assert "/second/approve" not in page.text

    def tries(who: Colleague) -> list[int]:
        steps = ("second/approve", "approve")
        return [office.send(who, case.id, step, free="free").status_code for step in steps]

    assert tries(both) == [409, 409]
    # A second session of the same person, and the same person with another role.
    both.client.cookies.clear()
    both.log_in()
    assert tries(both) == [409, 409]
    with office.application.writing() as session:
        set_roles(session, office.application, both.account_id, [Role.SUPERVISOR], actor="test")
    both.client.cookies.clear()
    both.log_in()
    assert tries(both) == [409, 409]
    assert office.state(case.id) is CaseState.SECOND_LOOK
    # A clerk has no second look; the ordinary button is none either.
    assert office.send(office.clerk, case.id, "second/approve").status_code == 403
    assert office.send(office.clerk, case.id, "approve").status_code == 409
    assert "wartet auf eine Person mit der Rolle Leitung" in office.page(office.clerk, case.id).text
    assert office.send(office.lead, case.id, "second/return").status_code == 303
    assert office.state(case.id) is CaseState.SUBMITTED
    assert office.send(office.clerk, case.id, "propose", exception="hardship").status_code == 303
    assert "Vorgeschlagen von Erika" in office.page(office.lead, case.id).text
    assert office.send(office.lead, case.id, "second/approve", free="free").status_code == 303
    issued = office.case(case.id)
    assert (issued.state, issued.fee_cents) == (CaseState.ISSUED, 0)
    assert [
        one.actor for one in office.history(case.id) if one.action in ("case_propose", "case_approve")
    ] == [
        both.row() and f"staff:{both.account_id}",
        f"staff:{office.clerk.account_id}",
        f"staff:{office.lead.account_id}",
    ]


def test_nothing_is_free_but_what_two_agreed_on(office: PermitOffice) -> None:
    case = office.submitted(permit_kind="two_plates")
    office.checked(case)
    office.send(office.clerk, case.id, "propose", exception="work")
    assert 'name="free"' not in office.page(office.lead, case.id).text
    assert office.send(office.lead, case.id, "second/approve", free="free").status_code == 409
    assert office.send(office.lead, case.id, "second/approve").status_code == 303
    assert office.state(case.id) is CaseState.AWAITING_PAYMENT


def test_of_two_who_decide_the_second_sees_what_the_first_has_done(office: PermitOffice) -> None:
    case = office.submitted()
    office.checked(case)
    one, other = office.clerk, office.person("max", Role.CLERK)
    first, second = office.form(one, case.id), office.form(other, case.id)
    answers: dict[str, int] = {}
    barrier = threading.Barrier(2)

    def decide(name: str, who: Colleague, step: str, form: dict[str, str]) -> None:
        barrier.wait()
        answers[name] = who.client.post(f"/office/cases/{case.id}/{step}", data=form).status_code

    threads = [
        threading.Thread(target=decide, args=("one", one, "approve", first)),
        threading.Thread(target=decide, args=("other", other, "withdraw", second)),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers.values()) == [303, 409]
    decided = [
        entry for entry in office.history(case.id) if entry.action in ("case_approve", "case_withdraw")
    ]
    assert len(decided) == 1
    late, form, name = (other, second, "Erika") if answers["one"] == 303 else (one, first, "Max")
    page = late.client.post(f"/office/cases/{case.id}/approve", data=form)
    assert page.status_code == 409
    assert "Jemand anderes war schneller" in page.text
    assert name in page.text
    assert page.text.count("<li>\n<p") == 1
    # Forms without a version, or of somebody else's session, do nothing.
    for broken in ({**form, "version": "x"}, {**form, "version": "999999"}):
        assert late.client.post(f"/office/cases/{case.id}/approve", data=broken).status_code == 409
    foreign = {**form, "form_token": office.form(office.lead, case.id)["form_token"]}
    assert late.client.post(f"/office/cases/{case.id}/approve", data=foreign).status_code == 403


def test_documents_are_asked_for_and_a_refusal_says_how_to_contest_it(office: PermitOffice) -> None:
    case = office.submitted()
    clerk = office.clerk
    base = f"/office/cases/{case.id}"
    assert "Wählen Sie etwas" in clerk.client.get(base + "/documents?chosen=1").text
    page = clerk.client.get(base + "/documents?chosen=1&code=residence&code=registration&code=made_up")
    assert "Meldebescheinigung" in page.text
    assert "Zulassungsbescheinigung" in page.text
    form = hidden(page)
    empty = clerk.client.post(base + "/documents", data={**form, "code": "residence", "text": "kurz"})
    assert empty.status_code == 422
    assert "20 bis 2000 Zeichen" in empty.text
    said = "Bitte zeigen Sie uns Ihre Meldebescheinigung.\n\nFrau Schmidt hilft Ihnen gern."
    asked = clerk.client.post(base + "/documents", data={**form, "code": ["residence"], "text": said})
    assert (asked.status_code, office.state(case.id)) == (303, CaseState.DOCUMENTS)
    letter = re.search(rf'"{base}/letters/([\w-]{{22}})"', office.page(clerk, case.id).text)
    assert letter is not None
    text = pdf_text(clerk.client.get(f"{base}/letters/{letter[1]}"))
    for part in (case.number, "Frau Schmidt hilft Ihnen gern.", "bis zum 18.12.2026", "Pastorswiesenring 31"):
        assert part in text, part
    # Not in the audit trail, but with the case.
    assert "Schmidt" not in str(office.history(case.id))
    assert "Eingangsbestätigung" in office.page(clerk, case.id).text
    assert "ist eingegangen" in pdf_text(clerk.client.get(f"{base}/letters/acknowledgement"))
    office.send(clerk, case.id, "received")
    assert clerk.client.get(base + "/refuse").text.count('type="radio"') == 8
    page = clerk.client.get(base + "/refuse?code=other&chosen=1")
    unfinished = {**hidden(page), "code": "other", "text": "Die Voraussetzungen fehlen, weil …"}
    assert clerk.client.post(base + "/refuse", data=unfinished).status_code == 422
    page = clerk.client.get(base + "/refuse?code=not_resident&chosen=1")
    form = {**hidden(page), "code": "not_resident", "text": "Unter dieser Anschrift sind Sie nicht gemeldet."}
    assert clerk.client.post(base + "/refuse", data={**form, "code": "made_up"}).status_code == 409
    assert clerk.client.post(base + "/refuse", data=form).status_code == 303
    assert office.state(case.id) is CaseState.REFUSED
    shown = office.page(clerk, case.id).text
    refusal = next(one for one in re.findall(rf'"{base}/letters/([\w-]{{22}})"', shown) if one != letter[1])
    text = pdf_text(clerk.client.get(f"{base}/letters/{refusal}"))
    for part in (
        "lehnen wir ab",
        "nicht gemeldet",
        "Rechtsbehelfsbelehrung",
        "innerhalb eines Monats",
        "Widerspruch",
        "Rathausplatz 1, 40000 Musterstadt",
    ):
        assert part in text, part
    for missing in ("approval", "refusal", "x" * 22):
        assert clerk.client.get(f"{base}/letters/{missing}").status_code == 404


@SQLITE
def test_a_decision_says_where_it_can_be_contested_or_is_not_printed(office: PermitOffice) -> None:
    case = office.submitted(replace(ERIKA, family_name="Brown", language="en"))
    office.checked(case)
    office.send(office.clerk, case.id, "approve")
    path = f"/office/cases/{case.id}/letters/approval"
    text = pdf_text(office.clerk.client.get(path))
    for part in ("We have approved", "25,00 €", "until 20 December 2026", "objection"):
        assert part in text, part

    def settings(**values: object) -> None:
        with office.application.writing() as session:
            tenant = office.application.tenant
            save_settings(session, tenant, msgspec.structs.replace(load_settings(session, tenant), **values))

    settings(legal_remedy=LegalRemedy.ACTION)
    answer = office.clerk.client.get(path)
    assert (answer.status_code, "„court“" in answer.text) == (409, True)
    settings(court="Verwaltungsgericht Musterstadt, Gerichtsweg 2, 40000 Musterstadt")
    text = pdf_text(office.clerk.client.get(path))
    assert "Gerichtsweg 2" in text
    assert "(Klage)" in text
    settings(authority="")
    assert office.clerk.client.get(path).status_code == 409


@SQLITE
def test_a_clerks_words_go_with_the_name(office: PermitOffice) -> None:
    case = office.submitted()
    page = office.clerk.client.get(f"/office/cases/{case.id}/refuse?code=no_proof&chosen=1")
    form = {**hidden(page), "code": "no_proof", "text": "Frau Muster hat nichts vorgelegt, trotz Frist."}
    assert office.clerk.client.post(f"/office/cases/{case.id}/refuse", data=form).status_code == 303
    days = office.application.config.retention.applicants
    office.city.clock.forward(days=days + 1)
    with office.application.writing() as session:
        for rule in FIRST:
            if rule.name in ("case_letters", "case_applicants"):
                assert rule.count(session, office.application) == 1, rule.name
                rule.delete_some(session, office.application)
    office.clerk.log_in()
    page = office.page(office.clerk, case.id)
    assert "nach Ablauf der Frist gelöscht" in page.text
    assert "/letters/" not in page.text
    assert office.clerk.client.get(f"/office/cases/{case.id}/letters/acknowledgement").status_code == 409
    with office.application.reading() as session:
        assert session.scalars(select(CaseLetterRow)).all() == []


@SQLITE
def test_money_at_the_counter_closes_what_was_begun_online(office: PermitOffice) -> None:
    case = office.submitted()
    office.checked(case)
    office.send(office.clerk, case.id, "approve")
    application = office.application
    with application.writing() as session:
        begun = case_payments.begin_for_case(session, application, office.case(case.id), actor="holder")
    assert office.send(office.clerk, case.id, "pay", receipt="1").status_code == 303
    with application.reading() as session:
        states = [one.state for one in payments_of(session, application.tenant, "case", case.id)]
    assert sorted(states) == ["cancelled", "paid"]
    # Whoever pays online all the same has paid twice: a clerk gives it back, and nothing is issued for it.
    told = PaymentInformation(TransactionStatus.PAYED, begun.amount_cents)
    event = Event(begun.provider, "1", begun.id, TransactionStatus.PAYED, Source.QUERY, told)
    with application.writing() as session:
        take_event(session, application, event)
    page = office.page(office.clerk, case.id)
    assert "Bitte erstatten" in page.text
    assert office.state(case.id) is CaseState.ISSUED
