"""Cases by the rules, registers and payments of a city: from the address to the pass and back."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import msgspec
import pytest

from issuer.application import Application
from issuer.cases import case_payments, issue, steps, store
from issuer.cases.city import CityCaseRules
from issuer.cases.facts import CaseFacts, CaseKind, Channel, PlateFact
from issuer.cases.rules import CheckOutcome
from issuer.cases.states import CaseState, CaseStep
from issuer.errors import IssuerRefusal
from issuer.holders import Holder
from issuer.models import PassRow
from issuer.models_payments import PaymentRow
from issuer.payments.provider import PaymentInformation, TransactionStatus
from issuer.payments.service import Event, Outcome, Source, find_payment, take_event
from issuer.pickup.stored_data import stored_data
from issuer.rules.directory import streets_from_csv
from passes.model import PassStatus
from tests.issuer.cases.office import CLERK, ERIKA, HOLDER, WANTED, Office
from tests.service import PERMIT

STREETS = """street;postal_code;zone_code;number_from;number_to;side
Pastorswiesenring;40474;BÖ;1;99;
Am Feldrand;40474;;;;
Gartenweg;40474;HO;1;40;
"""


@pytest.fixture
def office(application: Application, tmp_path: Path) -> Office:
    file = tmp_path / "streets.csv"
    file.write_text(STREETS, "utf-8")
    with application.writing() as session:
        assert streets_from_csv(session, application.tenant, file) == 3
    return Office(application)


def found(office: Office, facts: CaseFacts = WANTED, person: Holder = ERIKA) -> dict[str, CheckOutcome]:
    with office.application.reading() as session:
        rules = CityCaseRules.of(session, office.application, PERMIT)
        return {one.name: one.outcome for one in rules.checks(facts, person, date(2026, 11, 20))}


def test_without_registers_evidence_is_asked_for(office: Office) -> None:
    assert found(office) == {
        "residence": CheckOutcome.EVIDENCE,
        "keeper_1": CheckOutcome.EVIDENCE,
        "one_permit": CheckOutcome.CONFIRMED,
    }


@pytest.mark.parametrize(("street", "zone"), [("Am Feldrand", "BÖ"), ("Gartenweg", "BÖ")])
def test_who_lives_in_no_zone_or_another_is_refused(office: Office, street: str, zone: str) -> None:
    person = replace(ERIKA, street=street)
    assert (
        found(office, msgspec.structs.replace(WANTED, zone=zone), person)["residence"] is CheckOutcome.REFUSED
    )


def test_what_the_directory_does_not_know_a_person_looks_at(office: Office) -> None:
    assert found(office, person=replace(ERIKA, street="Neubaugasse"))["residence"] is CheckOutcome.EVIDENCE


def test_fees_come_from_the_table(office: Office) -> None:
    with office.application.reading() as session:
        rules = CityCaseRules.of(session, office.application, PERMIT)
        day = date(2026, 11, 20)
        online = rules.fee_cents(CaseKind.NEW, WANTED, Channel.ONLINE, day)
        counter = rules.fee_cents(CaseKind.NEW, WANTED, Channel.COUNTER, day)
        assert 0 < online < counter
        assert rules.fee_cents(CaseKind.CHANGE, WANTED, Channel.ONLINE, day) == 0
        with pytest.raises(IssuerRefusal) as refused:
            rules.fee_cents(CaseKind.NEW, msgspec.structs.replace(WANTED, term_months=7), Channel.ONLINE, day)
        assert refused.value.code == "CASE_FEE"
        assert not rules.is_exception(WANTED, day)
        assert rules.is_exception(msgspec.structs.replace(WANTED, permit_kind="carsharing"), day)


def approved(office: Office) -> store.Case:
    draft = office.draft()
    application = office.application
    with application.writing() as session:
        rules = CityCaseRules.of(session, application, PERMIT)
        case = steps.submit(session, application.tenant, draft.id, office.by(HOLDER), rules)
        for check in case.checks:
            if check["outcome"] == "evidence":
                kind = check["evidence"][0]
                steps.accept_evidence(
                    session, application.tenant, case.id, office.by(CLERK), check["name"], kind
                )
        return issue.approve(session, application, case.id, office.by(CLERK), rules)


def begun(office: Office, case: store.Case) -> PaymentRow:
    with office.application.writing() as session:
        return case_payments.begin_for_case(session, office.application, case, actor=HOLDER)


def told(office: Office, payment: PaymentRow, name: str, status: TransactionStatus) -> Outcome:
    """The provider says so when it is asked."""
    information = PaymentInformation(status, payment.amount_cents)
    event = Event(payment.provider, name, payment.id, status, Source.QUERY, information)
    with office.application.writing() as session:
        return take_event(session, office.application, event)


def status(office: Office, case: store.Case) -> PassStatus:
    with office.application.reading() as session:
        number = office.case(case.id).pass_number
        return PassStatus(session.get_one(PassRow, (office.application.tenant, PERMIT, number)).status)


def test_money_brings_the_pass_once_and_takes_it_back(office: Office) -> None:
    case = approved(office)
    payment = begun(office, case)
    assert begun(office, case).id == payment.id
    assert told(office, payment, "1", TransactionStatus.PAYED) is Outcome.MOVED
    assert told(office, payment, "1", TransactionStatus.PAYED) is Outcome.REPEATED
    assert (office.state(case.id), status(office, case)) == (CaseState.ISSUED, PassStatus.ACTIVE)
    # It can be neither paid nor applied for a second time.
    with pytest.raises(IssuerRefusal):
        begun(office, office.case(case.id))
    with pytest.raises(IssuerRefusal) as refused:
        approved(office)
    assert refused.value.code in ("CASE_REFUSED", "PERMIT_TWICE")


def test_money_for_what_was_withdrawn_waits_for_a_clerk(office: Office) -> None:
    case = approved(office)
    payment = begun(office, case)
    with office.application.writing() as session:
        steps.end(session, office.application.tenant, case.id, office.by(HOLDER), CaseStep.WITHDRAW)
    told(office, payment, "1", TransactionStatus.PAYED)
    assert (office.state(case.id), office.case(case.id).pass_number) == (CaseState.WITHDRAWN, None)
    with office.application.reading() as session:
        row = find_payment(session, office.application.tenant, payment.id)
        assert row is not None
        assert row.attention == "CASE_STEP"


def test_money_for_what_cannot_be_had_any_more_waits_for_a_clerk(office: Office) -> None:
    case = approved(office)
    told(office, begun(office, case), "1", TransactionStatus.PAYED)
    office.clock.forward(days=320)
    term = CaseFacts(term_months=12, zone="BÖ")
    renewal = office.approved(term, kind=CaseKind.RENEWAL, about=office.case(case.id).pass_number)
    payment = begun(office, renewal)
    # A day after the end there is nothing left to renew.
    office.clock.forward(days=60)
    told(office, payment, "2", TransactionStatus.PAYED)
    assert office.state(renewal.id) is CaseState.AWAITING_PAYMENT
    with office.application.reading() as session:
        row = find_payment(session, office.application.tenant, payment.id)
        assert row is not None
        assert row.attention == "PASS_ENDED"


def test_the_plate_is_changed_three_times_a_year(office: Office) -> None:
    case = approved(office)
    told(office, begun(office, case), "1", TransactionStatus.PAYED)
    number = office.case(case.id).pass_number or ""
    left = []
    for plate in ("D-XY 78", "D-XY 79", "D-XY 80"):
        office.approved(CaseFacts(plates=(PlateFact(plate),)), kind=CaseKind.CHANGE, about=number)
        with office.application.reading() as session:
            rules = CityCaseRules.of(session, office.application, PERMIT)
            left.append(rules.plate_changes_left(PERMIT, number, date(2026, 11, 20)))
    assert left == [2, 1, 0]


def test_whoever_asks_for_their_data_is_told_of_the_case(office: Office) -> None:
    case = approved(office)
    told(office, begun(office, case), "1", TransactionStatus.PAYED)
    number = office.case(case.id).pass_number or ""
    with office.application.reading() as session:
        found = stored_data(session, office.application, PERMIT, number)
    assert [one["number"] for one in found["cases"]] == [case.number]
    assert found["cases"][0]["applicant"]["family_name"] == "Mustermann"
    assert [one["action"] for one in found["cases"][0]["history"]][-1] == "case_paid"
    assert [(one["amount_cents"], one["state"]) for one in found["payments"]] == [(case.fee_cents, "paid")]
    # Neither keyed digests nor who of the office decided.
    assert not {"person", "decided_by"} & found["cases"][0].keys()
    assert CLERK not in str(found)
