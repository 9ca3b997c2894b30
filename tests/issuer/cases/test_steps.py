"""A case from the first word to the pass or the refusal, on both databases."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime

import msgspec
import pytest
from sqlalchemy import select

from issuer import audit, lifecycle
from issuer.application import Application
from issuer.cases import access, issue, steps, store
from issuer.cases.facts import CaseFacts, CaseKind, PlateFact
from issuer.cases.rules import Check, CheckOutcome
from issuer.cases.states import CaseState, CaseStep
from issuer.doors import close_doors
from issuer.errors import IssuerRefusal
from issuer.models import PassRow, RevisionRow
from issuer.models_cases import CaseRow
from issuer.models_delivery import MailRow
from issuer.pass_view import show
from issuer.rules.changes import FeeChange, ZoneChange, make_change
from keys.errors import Refusal
from passes.model import PassStatus
from passes.periods import BERLIN
from tests.issuer.cases.office import (
    CLERK,
    ERIKA,
    HOLDER,
    OTHER_CLERK,
    RESIDENCE,
    WANTED,
    Office,
    somebody_else,
)  # fmt: skip
from tests.service import PERMIT, City


@pytest.fixture
def office(application: Application) -> Office:
    return Office(application)


def refused(code: str, work: Callable[[], object]) -> Refusal:
    with pytest.raises(Refusal) as caught:
        work()
    assert caught.value.code == code
    return caught.value


def status(office: Office, number: str | None) -> PassStatus | None:
    assert number is not None
    with office.application.reading() as session:
        row = session.get(PassRow, (office.application.tenant, PERMIT, number))
        return None if row is None else PassStatus(row.status)


def paid(office: Office, case_id: str) -> store.Case:
    with office.application.writing() as session:
        return issue.paid(session, office.application, case_id, office.by("payment:demo"))


def test_from_the_application_to_the_pass(office: Office) -> None:
    case = office.approved()
    assert (case.state, case.fee_cents, case.pass_number) == (CaseState.AWAITING_PAYMENT, 2500, None)
    with office.application.reading() as session:
        person = session.get_one(CaseRow, (office.application.tenant, case.id)).person
        held = select(PassRow.number).where(PassRow.holder_ref == person)
        assert session.scalar(held) is None
    done = paid(office, case.id)
    assert done.state is CaseState.ISSUED
    assert status(office, done.pass_number) is PassStatus.ACTIVE
    with office.application.reading() as session:
        tenant = office.application.tenant
        kinds = session.scalars(select(MailRow.kind).where(MailRow.number == done.pass_number)).all()
        history = audit.history(session, tenant, done.subject)
        assert session.scalar(held) == done.pass_number
        row = session.get_one(PassRow, (tenant, PERMIT, done.pass_number))
        assert (row.period_first, row.period_last) == (date(2026, 12, 1), date(2027, 11, 30))
    assert kinds == ["pickup"]
    assert [entry.action for entry in history] == ["case_begin", "case_submit", "case_approve", "case_paid"]
    assert [entry.actor for entry in history] == [HOLDER, HOLDER, CLERK, "payment:demo"]
    assert "Mustermann" not in str(history)
    assert "Pastorswiesenring" not in str(history)
    # Paying again issues nothing again.
    refused("CASE_STEP", lambda: paid(office, case.id))


def test_who_pays_late_loses_no_day(office: Office) -> None:
    case = office.approved()
    office.clock.forward(days=20)
    done = paid(office, case.id)
    with office.application.reading() as session:
        row = session.get(PassRow, (office.application.tenant, PERMIT, done.pass_number or ""))
        assert row is not None
        assert (row.period_first, row.period_last) == (date(2026, 12, 10), date(2027, 12, 9))


def replace_plate() -> CaseFacts:
    return msgspec.structs.replace(WANTED, plates=(PlateFact("D-XY 78"),))


def changed(office: Office, change: FeeChange | ZoneChange) -> None:
    with office.application.writing() as session:
        make_change(session, office.application.tenant, change, office.application.now(), "test")


def test_what_was_asked_for_is_issued_whatever_costs_more_by_then(office: Office) -> None:
    decided, undecided = office.approved(), office.submitted(person=somebody_else(), facts=replace_plate())
    changed(office, FeeChange("", "online", 12, date(2026, 11, 21), 3100))
    office.clock.forward(days=3)
    assert paid(office, decided.id).state is CaseState.ISSUED
    with office.application.writing() as session:
        late = issue.approve(session, office.application, undecided.id, office.by(CLERK), office.rules)
    assert (late.state, late.fee_cents) == (CaseState.AWAITING_PAYMENT, 2500)
    number = paid(office, undecided.id).pass_number
    with office.application.reading() as session:
        row = session.get_one(PassRow, (office.application.tenant, PERMIT, number))
        assert row.record["fee_cents"] == 2500


@pytest.mark.parametrize("successor", ["MÜ", "AK"])
def test_a_zone_that_is_merged_before_the_money_comes(office: Office, successor: str) -> None:
    """Into one of the same class, or of another; the permit begins in the zone that there is by then."""
    case = office.approved()
    changed(office, ZoneChange("BÖ", date(2026, 12, 3), merged_into=successor))
    office.clock.at = datetime(2026, 12, 5, 9, tzinfo=BERLIN)
    number = paid(office, case.id).pass_number
    with office.application.reading() as session:
        revision = session.scalars(
            select(RevisionRow).where(
                RevisionRow.tenant == office.application.tenant, RevisionRow.number == number
            )
        ).one()
        assert revision.attributes["zone"][0] == successor


def test_links_to_an_application_lead_to_no_pass(office: Office) -> None:
    case = office.approved()
    token = office.link(case.id)
    paid(office, case.id)
    application = office.application
    with application.reading() as session:
        assert not access.is_open(session, application, token)
    # One that is asked for by then works as long as a link to a pass.
    token = office.link(case.id)
    office.clock.forward(minutes=59)
    with application.writing() as session:
        assert access.is_open(session, application, token)
        visit = access.start_visit(session, application, case.id)
        close_doors(
            session, application.tenant, PERMIT, office.case(case.id).pass_number or "", application.now()
        )
        assert not access.is_open(session, application, token)
        assert access.find_visit(session, application, visit.token) is None


@pytest.mark.parametrize(
    ("facts", "fields"),
    [
        (CaseFacts(), "zone, permit_kind, keeper, residence, first_day, term_months"),
        (msgspec.structs.replace(WANTED, plates=()), "plates"),
        (msgspec.structs.replace(WANTED, permit_kind="carsharing", plates=()), "organisation"),
    ],
)
def test_an_unfinished_draft_is_not_handed_in(office: Office, facts: CaseFacts, fields: str) -> None:
    told = refused("CASE_INCOMPLETE", lambda: office.submitted(facts))
    assert told.params["fields"] == fields


def test_what_no_plate_is_is_not_handed_in(office: Office) -> None:
    wrong = msgspec.structs.replace(WANTED, plates=(PlateFact("D-XYZ 123"),))
    with pytest.raises(Refusal):
        office.submitted(wrong)
    twice = msgspec.structs.replace(WANTED, plates=(PlateFact("D-XY 77"), PlateFact("d-xy 77")))
    refused("PLATES_SAME", lambda: office.submitted(twice))


def test_a_check_that_refuses_stops_it(office: Office) -> None:
    office.rules.found = [Check("zone", CheckOutcome.REFUSED, reason="no_zone")]
    told = refused("CASE_REFUSED", office.submitted)
    assert told.params["reason"] == "no_zone"


def test_evidence_is_looked_at_before_anything_is_approved(office: Office) -> None:
    office.rules.found = [RESIDENCE]
    case = office.submitted()
    tenant = office.application.tenant

    def approve() -> None:
        with office.application.writing() as session:
            steps.approve(session, tenant, case.id, office.by(CLERK), office.rules)

    refused("CASE_OPEN", approve)
    with office.application.writing() as session:
        steps.ask_documents(session, tenant, case.id, office.by(CLERK), ["residence"])
    assert office.state(case.id) is CaseState.DOCUMENTS
    refused("CASE_STEP", approve)
    with office.application.writing() as session:
        steps.documents_added(session, tenant, case.id, office.by(HOLDER))
    with office.application.writing() as session:
        for check, evidence, code in (
            ("keeper", "x", "CASE_CHECK"),
            ("resident", "passport", "EVIDENCE_TYPE"),
        ):
            with pytest.raises(IssuerRefusal) as caught:
                steps.accept_evidence(session, tenant, case.id, office.by(CLERK), check, evidence)
            assert caught.value.code == code
        steps.accept_evidence(session, tenant, case.id, office.by(CLERK), "resident", "residence_certificate")
    approve()
    assert office.state(case.id) is CaseState.AWAITING_PAYMENT


def test_an_exception_needs_a_second_person(office: Office) -> None:
    plates = (PlateFact("D-XY 77"), PlateFact("D-XY 78"))
    case = office.submitted(msgspec.structs.replace(WANTED, permit_kind="two_plates", plates=plates))
    tenant = office.application.tenant

    def approve(by: str) -> None:
        with office.application.writing() as session:
            steps.approve(session, tenant, case.id, office.by(by), office.rules)

    refused("SECOND_LOOK_NEEDED", lambda: approve(CLERK))
    with office.application.writing() as session:
        steps.propose(session, tenant, case.id, office.by(CLERK), "care")
    refused("FOUR_EYES", lambda: approve(CLERK))
    with office.application.writing() as session:
        steps.send_back(session, tenant, case.id, office.by(OTHER_CLERK))
    # Whoever had proposed it before does so no longer.
    refused("SECOND_LOOK_NEEDED", lambda: approve(OTHER_CLERK))
    with office.application.writing() as session:
        steps.propose(session, tenant, case.id, office.by(OTHER_CLERK), "care")
    refused("FOUR_EYES", lambda: approve(OTHER_CLERK))
    approve(CLERK)
    found = office.case(case.id)
    assert (found.exception, found.proposed_by, found.decided_by) == ("care", OTHER_CLERK, CLERK)


def test_for_nothing_only_by_two_and_then_at_once(office: Office) -> None:
    case = office.submitted()
    tenant = office.application.tenant
    with office.application.writing() as session:
        steps.propose(session, tenant, case.id, office.by(CLERK), "hardship")

    def approve(by: str) -> None:
        with office.application.writing() as session:
            issue.approve(session, office.application, case.id, office.by(by), office.rules, free=True)

    refused("FOUR_EYES", lambda: approve(CLERK))
    approve(OTHER_CLERK)
    found = office.case(case.id)
    assert (found.state, found.fee_cents) == (CaseState.ISSUED, 0)
    assert status(office, found.pass_number) is PassStatus.ACTIVE


def test_who_decides_on_an_exception_gives_nothing_away_alone(office: Office) -> None:
    case = office.submitted()
    with office.application.writing() as session:
        steps.propose(session, office.application.tenant, case.id, office.by(CLERK), "care")

    def approve() -> None:
        with office.application.writing() as session:
            issue.approve(
                session, office.application, case.id, office.by(OTHER_CLERK), office.rules, free=True
            )

    refused("SECOND_LOOK_NEEDED", approve)
    assert office.case(case.id).fee_cents == office.rules.cents


def test_of_two_clerks_the_second_is_told(office: Office) -> None:
    case = office.submitted()
    tenant = office.application.tenant
    outcomes: list[str] = []
    start = threading.Barrier(2)

    def decide(name: str, work: Callable[..., object], *more: object) -> None:
        start.wait()
        try:
            with office.application.writing() as session:
                work(session, tenant, case.id, office.by(name, case.version), *more)
            outcomes.append("done")
        except IssuerRefusal as refusal:
            outcomes.append(refusal.code)

    clerks = [
        threading.Thread(target=decide, args=(CLERK, steps.approve, office.rules)),
        threading.Thread(target=decide, args=(OTHER_CLERK, steps.refuse, "no_proof")),
    ]
    for one in clerks:
        one.start()
    for one in clerks:
        one.join()
    assert sorted(outcomes) == ["CASE_MOVED", "done"]
    assert office.state(case.id) in (CaseState.AWAITING_PAYMENT, CaseState.REFUSED)


def test_two_applications_of_one_person(office: Office) -> None:
    drafts = [
        office.draft(),
        office.draft(person=replace(ERIKA, given_name="ERIKA", street="Pastorswiesen-Ring")),
    ]
    outcomes: list[str] = []
    start = threading.Barrier(2)

    def hand_in(case_id: str) -> None:
        start.wait()
        try:
            with office.application.writing() as session:
                steps.submit(session, office.application.tenant, case_id, office.by(HOLDER), office.rules)
            outcomes.append("done")
        except IssuerRefusal as refusal:
            outcomes.append(refusal.code)

    both = [threading.Thread(target=hand_in, args=(one.id,)) for one in drafts]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert sorted(outcomes) == ["CASE_TWICE", "done"]
    assert office.submitted(person=somebody_else()).state is CaseState.SUBMITTED


def test_one_permit_for_one_person(office: Office) -> None:
    held = paid(office, office.approved().id).pass_number
    told = refused("PERMIT_TWICE", office.submitted)
    assert told.params["number"] == held


def test_money_that_is_called_back_suspends_the_pass(office: Office) -> None:
    done = paid(office, office.approved().id)
    with office.application.writing() as session:
        issue.charged_back(session, office.application, done.id, office.by("payment:demo"))
    assert office.state(done.id) is CaseState.CHARGED_BACK
    assert status(office, done.pass_number) is PassStatus.SUSPENDED


@pytest.mark.parametrize("by_hand", [False, True])
def test_settled_money_lifts_no_other_suspension(office: Office, by_hand: bool) -> None:
    done = paid(office, office.approved().id)
    with office.application.writing() as session:
        if by_hand:
            why = lifecycle.Actor(CLERK, office.application.now(), "review")
            number = done.pass_number or ""
            lifecycle.suspend(session, office.application.tenant, PERMIT, number, actor=why)
        issue.charged_back(session, office.application, done.id, office.by("payment:demo"))
        issue.settle(session, office.application, done.id, office.by(CLERK), "transferred")
    assert office.state(done.id) is CaseState.ISSUED
    assert status(office, done.pass_number) is (PassStatus.SUSPENDED if by_hand else PassStatus.ACTIVE)


def test_nobody_lifts_a_suspension_past_the_debt(office: Office) -> None:
    """Of two charged-back cases of one pass both have to be settled; no other way leads round them."""
    first = paid(office, office.approved().id)
    number, tenant = first.pass_number or "", office.application.tenant
    with office.application.writing() as session:
        second = store.begin(
            session, tenant, CaseKind.CHANGE, PERMIT, first.channel, office.by(HOLDER), pass_number=number
        )
        session.get_one(CaseRow, (tenant, second.id)).state = CaseState.ISSUED.value
    with office.application.writing() as session:
        for case in (first, second):
            issue.charged_back(session, office.application, case.id, office.by("payment:demo"))

    def resume() -> None:
        with office.application.writing() as session:
            actor = lifecycle.Actor("api:portal", office.application.now(), "paid")
            lifecycle.resume(session, tenant, PERMIT, number, actor=actor)

    refused("PASS_IN_DEBT", resume)
    for case, after in ((first, PassStatus.SUSPENDED), (second, PassStatus.ACTIVE)):
        with office.application.writing() as session:
            issue.settle(session, office.application, case.id, office.by(CLERK), "Überweisung vom 3.12.")
        assert status(office, number) is after


def test_a_plate_is_changed_and_a_term_added(office: Office) -> None:
    number = paid(office, office.approved().id).pass_number
    other = CaseFacts(plates=(PlateFact("D-XY 78"),))
    change = office.approved(other, kind=CaseKind.CHANGE, about=number)
    assert change.fee_cents == 0
    office.clock.forward(days=320)
    renewal = office.approved(CaseFacts(term_months=12), kind=CaseKind.RENEWAL, about=number)
    assert paid(office, renewal.id).pass_number == number
    with office.application.reading() as session:
        seen = show(session, office.application.tenant, office.application.pass_types[PERMIT], number or "")
    assert "D-XY 78" in str(seen)
    assert "2028-11-30" in str(seen) or "2028, 11, 30" in str(seen)


@pytest.mark.parametrize("step", [CaseStep.WITHDRAW, CaseStep.LAPSE])
def test_what_ends_without_a_pass(office: Office, step: CaseStep) -> None:
    case = office.approved()
    with office.application.writing() as session:
        steps.end(session, office.application.tenant, case.id, office.by(HOLDER), step)
    refused("CASE_STEP", lambda: paid(office, case.id))
    # Another one can be begun.
    assert office.submitted().state is CaseState.SUBMITTED


def test_the_neighbours_case_is_unknown(office: Office, city: City) -> None:
    case = office.submitted()
    other = Office(city.open(city.other_folder))
    refused("CASE_UNKNOWN", lambda: other.case(case.id))
    with other.application.writing() as session:
        refused(
            "CASE_UNKNOWN",
            lambda: steps.refuse(session, other.application.tenant, case.id, other.by(CLERK), "other"),
        )


def test_a_reason_comes_from_the_list(office: Office) -> None:
    case = office.submitted()
    with office.application.writing() as session:
        tenant = office.application.tenant
        refused("CASE_REASON", lambda: steps.refuse(session, tenant, case.id, office.by(CLERK), "Mustermann"))
