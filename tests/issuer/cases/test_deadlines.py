"""What time alone does to cases: who leaves one lying, and when what is stored of it goes."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select

from issuer import lifecycle
from issuer.application import Application
from issuer.cases import evidence, issue, steps, store
from issuer.cases.states import CaseState
from issuer.lifecycle import Actor
from issuer.models import Base, PassRow
from issuer.models_cases import CaseApplicantRow, CaseEvidenceRow, CaseLinkRow, CaseRow, CaseVisitRow
from issuer.nightly.run import preview, run_night
from tests.issuer.cases.office import CLERK, Office, somebody_else
from tests.issuer.cases.test_evidence import PAPER
from tests.service import PERMIT


@pytest.fixture
def office(application: Application) -> Office:
    return Office(application)


def count(office: Office, table: type[Base]) -> int:
    with office.application.reading() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def test_what_a_holder_leaves_lying_ends_the_day_after_the_deadline(office: Office) -> None:
    draft, approved = office.draft(), office.approved(person=somebody_else())
    office.clock.forward(days=30)
    run_night(office.application)
    assert office.state(draft.id) is CaseState.DRAFT
    office.clock.forward(days=1)
    assert preview(office.application)["cases"] == {"drafts_abandoned": 1, "approvals_lapsed": 1}
    run_night(office.application)
    assert (office.state(draft.id), office.state(approved.id)) == (CaseState.ABANDONED, CaseState.LAPSED)
    assert preview(office.application)["cases"] == {}


def test_what_waits_for_the_office_never_ends_by_itself(office: Office) -> None:
    case = office.submitted()
    office.clock.forward(days=400)
    run_night(office.application)
    assert office.state(case.id) is CaseState.SUBMITTED


@pytest.mark.parametrize("how", ["revoked", "ended", "deleted"])
def test_money_that_was_called_back_for_what_has_ended_is_closed(office: Office, how: str) -> None:
    case, other = office.approved(), office.approved(person=somebody_else())
    application, tenant = office.application, office.application.tenant
    for one in (case, other):
        with application.writing() as session:
            issue.paid(session, application, one.id, office.by("payment:demo"))
            issue.charged_back(session, application, one.id, office.by("payment:demo"))
    office.clock.forward(days=10)
    with application.writing() as session:
        row = session.get_one(PassRow, (tenant, PERMIT, office.case(case.id).pass_number))
        if how == "revoked":
            why = Actor(CLERK, application.now(), "moved")
            lifecycle.revoke(session, tenant, PERMIT, row.number, actor=why)
        elif how == "ended":
            row.period_last = row.period_first
        else:
            session.get_one(CaseRow, (tenant, case.id)).pass_number = "RPP-GONE"
    # The office has its deadline; and as long as the revocation may be taken back, nothing is closed.
    for days in (4, 10) if how == "revoked" else (4,):
        office.clock.forward(days=days)
        run_night(application)
        assert office.state(case.id) is CaseState.CHARGED_BACK
    office.clock.forward(days=1)
    assert preview(application)["cases"] == {"chargebacks_closed": 1}
    run_night(application)
    assert (office.state(case.id), office.state(other.id)) == (CaseState.LAPSED, CaseState.CHARGED_BACK)
    assert preview(application)["cases"] == {}
    office.clock.forward(days=100)
    run_night(application)
    with application.reading() as session:
        assert store.applicant(session, tenant, case.id) is None
        assert store.applicant(session, tenant, other.id) is not None


def test_evidence_goes_first_then_who_asked_then_the_case(office: Office) -> None:
    case = office.submitted()
    office.link(case.id)
    with office.application.writing() as session:
        application = office.application
        evidence.store(session, application, case.id, "residence", PAPER, application.now())
        steps.refuse(session, application.tenant, case.id, office.by(CLERK), "no_proof")
    left = []
    for days in (41, 2, 48, 2, 272, 3):
        office.clock.forward(days=days)
        run_night(office.application)
        left.append([count(office, one) for one in (CaseEvidenceRow, CaseApplicantRow, CaseRow)])
    assert left == [[1, 1, 1], [0, 1, 1], [0, 1, 1], [0, 0, 1], [0, 0, 1], [0, 0, 0]]
    assert count(office, CaseLinkRow) == count(office, CaseVisitRow) == 0


def test_who_has_a_permit_stays_known_with_it(office: Office) -> None:
    case = office.approved()
    with office.application.writing() as session:
        number = issue.paid(session, office.application, case.id, office.by("payment:demo")).pass_number
    office.clock.forward(days=100)
    run_night(office.application)
    with office.application.reading() as session:
        assert store.applicant(session, office.application.tenant, case.id) is None
        assert store.find(session, office.application.tenant, case.id).pass_number == number
