"""The page of a case in every state, whoever has begun it: what it says, and what can be done there."""

from __future__ import annotations

import pytest

from issuer import lifecycle
from issuer.cases import access, closing, issue, steps, store
from issuer.cases.facts import CaseFacts, CaseKind, Channel
from issuer.cases.states import CaseState, CaseStep
from issuer.cases.store import CaseActor
from issuer.lifecycle import Actor
from issuer.models_cases import CaseRow
from issuer.payments.provider import TransactionStatus
from keys.texts import texts
from tests.issuer.apply.applicant import Applicant, Other, told
from tests.issuer.cases.test_evidence import PAPER
from tests.service import PERMIT, TENANT, running_numbers


def test_every_state_is_said_in_both_languages(applicant: Applicant) -> None:
    case = applicant.applied()
    for state in CaseState:
        if state is CaseState.DRAFT:
            continue
        with applicant.application.writing() as session:
            session.get_one(CaseRow, (TENANT, case.id)).state = state.value
        for language in ("de", "en"):
            say = texts("issuer", language)
            page = applicant.page(language)
            assert say(f"APPLY_STATE_{state.value.upper()}") in page, state
            assert say(f"APPLY_BADGE_{state.value.upper()}") in page, state
            # Only what was issued looks and reads like a permit.
            look = applicant.get("/apply/case").text
            badge = f'kern-label--small">{say("APPLY_BADGE_ISSUED")}<'
            assert (badge in look) == ("state--success" in look) == (state is CaseState.ISSUED)


def test_documents_are_added_when_they_are_asked_for(applicant: Applicant, other: Other) -> None:
    case = applicant.applied(plate_1="D-XY 77")
    # Nothing can be added while the office looks at it.
    applicant.goes("/apply/case", applicant.get("/apply/documents"))
    other.wait(seconds=1)
    other.do(steps.ask_documents, case, ["keeper"])
    page = applicant.page()
    assert "Wir brauchen noch Nachweise von Ihnen" in page
    assert "wer das Fahrzeug hält" in page
    assert "18.12.2026" in page
    other.wait(seconds=1)
    assert applicant.upload(PAPER.data, "keeper_consent").status_code == 303
    assert "Entfernen" in told(applicant.get("/apply/documents"))
    applicant.goes("/apply/case", applicant.send("/apply/documents/done", "/apply/documents"))
    assert applicant.case().state is CaseState.SUBMITTED
    assert "Nachweise abgegeben" in applicant.page()
    # The second click.
    form = {"form_token": applicant.token("/apply/case")}
    applicant.goes("/apply/case", applicant.client.post("/apply/documents/done", data=form))
    # What was handed in stays handed in.
    other.wait(seconds=1)
    other.do(steps.ask_documents, case, ["keeper"])
    assert "Entfernen" not in told(applicant.get("/apply/documents"))


def test_withdrawn_after_being_asked_and_only_once(applicant: Applicant, other: Other) -> None:
    applicant.applied()
    assert "Antrag zurückziehen?" in told(applicant.get("/apply/case/withdraw"))
    assert applicant.case().state is CaseState.SUBMITTED
    form = {"form_token": applicant.token("/apply/case/withdraw")}
    for _ in range(2):
        applicant.goes("/apply/case", applicant.client.post("/apply/case/withdraw", data=form))
    assert applicant.case().state is CaseState.WITHDRAWN
    assert "zurückgezogen" in applicant.page()
    applicant.goes("/apply/case", applicant.get("/apply/case/withdraw"))
    assert "case_withdraw" not in applicant.page()


def test_refused_with_its_reason_and_the_remedy(applicant: Applicant, other: Other) -> None:
    case = applicant.applied()
    other.do(steps.refuse, case, "no_proof")
    for reason in steps.REFUSALS:
        with applicant.application.writing() as session:
            session.get_one(CaseRow, (TENANT, case.id)).decision_reason = reason
        page = applicant.page("en")
        assert texts("issuer", "en")(f"APPLY_REFUSED_{reason.upper()}") in page
        assert "how you can appeal" in page


def test_charged_back_is_said_plainly(applicant: Applicant, other: Other) -> None:
    case = applicant.applied()
    other.approve(case)
    applicant.send("/apply/case/pay", "/apply/case")
    other.pays(case, TransactionStatus.PAYED)
    assert "Ausweis abholen" in applicant.page()
    other.pays(case, TransactionStatus.CHARGED_BACK)
    page = applicant.page()
    assert "Die Zahlung wurde zurückgebucht. Der Ausweis gilt im Augenblick nicht" in page
    assert "Ausweis abholen" not in page
    assert "bitte melden Sie sich bei der Stadt" in page
    form = {"form_token": applicant.token("/apply/case")}
    applicant.goes("/apply/case", applicant.client.post("/apply/case/pass", data=form))


def test_closed_after_a_chargeback_is_said_plainly(applicant: Applicant, other: Other) -> None:
    case = applicant.applied()
    other.approve(case)
    applicant.send("/apply/case/pay", "/apply/case")
    other.pays(case, TransactionStatus.PAYED)
    other.pays(case, TransactionStatus.CHARGED_BACK)
    with applicant.application.writing() as session:
        at = applicant.application.now()
        number = applicant.case().pass_number or ""
        lifecycle.revoke(session, TENANT, case.type_id, number, actor=Actor("staff:1", at, "moved away"))
        closing.close(session, TENANT, case.id, CaseActor("staff:1", at))
    page = applicant.page()
    assert "Die Zahlung wurde zurückgebucht, und der Ausweis gilt nicht mehr" in page
    assert "Bis zum Ende der Frist" not in page


def test_what_the_pass_is_by_now_counts(applicant: Applicant, other: Other) -> None:
    case = applicant.applied()
    other.approve(case)
    applicant.send("/apply/case/pay", "/apply/case")
    other.pays(case, TransactionStatus.PAYED)
    number = applicant.case().pass_number or ""
    with applicant.application.writing() as session:
        actor = Actor("staff:1", applicant.application.now(), "moved away")
        lifecycle.revoke(session, TENANT, PERMIT, number, actor=actor)
    page = applicant.page()
    assert "Ihr Ausweis gilt nicht: widerrufen" in page
    assert "Ausweis abholen" not in page


def test_paying_where_there_is_nothing_to_pay(applicant: Applicant, other: Other) -> None:
    case = applicant.applied()
    form = {"form_token": applicant.token("/apply/case")}
    answer = applicant.client.post("/apply/case/pay", data=form)
    assert answer.headers["location"] == "/apply/case?told=MOVED"
    assert other.payments(case) == []
    other.approve(case)
    for _ in range(2):
        assert (
            applicant.client.post("/apply/case/pay", data=form).headers["location"].startswith("/payments/")
        )
    assert len(other.payments(case)) == 1
    other.pays(case, TransactionStatus.PAYED)
    assert applicant.client.post("/apply/case/pay", data=form).headers["location"] == "/apply/case?told=MOVED"


def test_money_for_what_cannot_be_had_is_not_asked_for_twice(
    applicant: Applicant, other: Other, monkeypatch: pytest.MonkeyPatch
) -> None:
    from issuer.errors import IssuerRefusal

    def fails(*_: object) -> None:
        raise IssuerRefusal("CASE_ROW", number="x", faults="x")

    case = applicant.applied()
    other.approve(case)
    applicant.send("/apply/case/pay", "/apply/case")
    monkeypatch.setattr(issue, "paid", fails)
    other.pays(case, TransactionStatus.PAYED)
    page = applicant.page()
    assert "Ihr Geld ist da" in page
    assert "bezahlen Sie nicht noch einmal" in page
    assert "Jetzt bezahlen" not in page


@pytest.mark.parametrize("kind", [CaseKind.CHANGE, CaseKind.RENEWAL])
def test_a_case_that_was_begun_elsewhere_lands_here(
    applicant: Applicant, other: Other, kind: CaseKind
) -> None:
    application = applicant.application
    number = running_numbers(application)[0]
    with application.writing() as session:
        actor = CaseActor("holder", application.now())
        case = store.begin(session, TENANT, kind, PERMIT, Channel.ONLINE, actor, pass_number=number)
        steps.save_draft(session, TENANT, case.id, actor, CaseFacts(term_months=12, zone="BÖ"))
        visit = access.start_visit(session, application, case.id)
    applicant.client.cookies.set(f"__Host-{access.COOKIE}", visit.token)
    page = applicant.page()
    assert "Noch nicht abgesendet" in page
    assert texts("issuer", "de")(f"APPLY_CASE_{kind.value.upper()}") in page
    # The pages of a new application are none of its.
    for path in ("/apply/address", "/apply/summary", "/apply/documents"):
        applicant.goes("/apply/case", applicant.get(path))
    with application.writing() as session:
        row = session.get_one(CaseRow, (TENANT, case.id))
        row.state, row.fee_cents = "awaiting_payment", 2500
    assert "25,00 €" in applicant.page()
    answer = applicant.send("/apply/case/pay", "/apply/case")
    assert answer.headers["location"].startswith("/payments/start/")
    with application.writing() as session:
        session.get_one(CaseRow, (TENANT, case.id)).state = "documents"
    assert applicant.get("/apply/documents").status_code == 200
    assert applicant.upload(PAPER.data, "identity_card").status_code == 303
    with application.writing() as session:
        steps.end(session, TENANT, case.id, CaseActor("holder", application.now()), CaseStep.WITHDRAW)
    assert "zurückgezogen" in applicant.page()
