"""What the office does with a pass; a wrong revocation is taken back without the old seal ever holding again."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from issuer import audit, lifecycle, reconciliation
from issuer.application import Application
from issuer.cases.states import CaseState
from issuer.lifecycle import Actor
from issuer.models import HolderRow, PassRow, RevisionRow
from issuer.models_cases import CaseRow
from issuer.restored_log import LoggedRevocation
from issuer.revocation_log import FILE_NAME
from passes.model import PassStatus
from passes.status_list import Status
from tests.issuer.console.people import form_token
from tests.issuer.console.permit_office import PermitOffice, pdf_text
from tests.service import PERMIT, TODAY, City, running_numbers


@pytest.fixture
def office(city: City, application: Application, tmp_path: Path) -> PermitOffice:
    return PermitOffice.of(city, application, tmp_path)


def seals(office: PermitOffice, number: str) -> list[Status]:
    with office.application.reading() as session:
        rows = session.scalars(
            select(RevisionRow.status_value)
            .where(RevisionRow.tenant == office.application.tenant, RevisionRow.number == number)
            .order_by(RevisionRow.n)
        )
        return [Status(one) for one in rows]


def status(office: PermitOffice, number: str) -> PassStatus:
    with office.application.reading() as session:
        return PassStatus(session.get_one(PassRow, (office.application.tenant, PERMIT, number)).status)


def test_a_wrong_revocation_is_taken_back_with_a_new_seal(office: PermitOffice) -> None:
    number = running_numbers(office.application)[0]
    path = f"/office/passes/{PERMIT}/{number}"
    clerk, lead = office.clerk, office.lead
    page = clerk.client.get(path + "/steps/revoke")
    assert "Das Siegel bleibt für immer widerrufen" in page.text
    assert clerk.send(path + "/steps/revoke", reason="made up").status_code == 422
    assert status(office, number) is PassStatus.ACTIVE
    assert clerk.send(path + "/steps/revoke", reason="moved_away").status_code == 303
    assert (status(office, number), seals(office, number)) == (PassStatus.REVOKED, [Status.INVALID])
    assert number in (office.city.folder / FILE_NAME).read_text()
    assert clerk.send(path + "/steps/revoke", reason="misuse").status_code == 409
    # A clerk cannot take it back, a lead not without a note.
    assert clerk.send(path + "/reinstate", note="Verwechselt").status_code == 403
    assert "/reinstate" not in clerk.client.get(path).text
    assert "/reinstate" in lead.client.get(path).text
    assert lead.send(path + "/reinstate", note="").status_code == 409
    assert lead.send(path + "/reinstate", note="Verwechselt mit einem anderen Ausweis").status_code == 303
    assert (status(office, number), seals(office, number)) == (
        PassStatus.ACTIVE,
        [Status.INVALID, Status.VALID],
    )
    assert lead.send(path + "/reinstate", note="Noch einmal").status_code == 409
    shown = clerk.client.get(path).text
    for said in (
        "Widerruf zurückgenommen",
        "Verwechselt mit einem anderen",
        "Umzug aus dem Gebiet",
        "Ausweis widerrufen",
    ):
        assert said in shown, said
    # Whatever happens to the pass later, the revoked seal stays so.
    for step, reason in (("suspend", "review"), ("resume", "settled"), ("reissue", "lost_print")):
        assert clerk.send(f"{path}/steps/{step}", reason=reason).status_code == 303, step
        assert seals(office, number)[0] is Status.INVALID, step
    assert seals(office, number) == [Status.INVALID, Status.SUPERSEDED, Status.VALID]
    # A restore replays the log: what the backup knows as taken back stays so, the seal stays revoked.
    with office.application.writing() as session:
        place = session.scalars(
            select(RevisionRow).filter_by(tenant=office.application.tenant, number=number, n=1)
        ).one()
        assert place.list_number is not None
        assert place.list_index is not None
        logged = LoggedRevocation(Path("log"), 1, None, PERMIT, number, (place.list_number, place.list_index))
        tenant, at = office.application.tenant, office.application.now()
        reconciliation.reconcile(session, tenant, at, "test", [logged], None, keep_credentials=True)
    assert status(office, number) is PassStatus.ACTIVE
    assert seals(office, number)[0] is Status.INVALID
    # A second revocation counts as the first.
    assert clerk.send(path + "/steps/revoke", reason="misuse").status_code == 303
    assert seals(office, number) == [Status.INVALID, Status.SUPERSEDED, Status.INVALID]


def test_after_two_weeks_a_revocation_stays(office: PermitOffice) -> None:
    with office.application.reading() as session:
        lasting = select(PassRow.number).where(PassRow.period_last > TODAY.date() + timedelta(days=60))
        long = set(session.scalars(lasting))
    number = next(one for one in running_numbers(office.application) if one in long)
    path = f"/office/passes/{PERMIT}/{number}"
    office.clerk.send(path + "/steps/revoke", reason="misuse")
    office.lead.is_in()
    office.city.clock.forward(days=15)
    office.lead.log_in()
    late = office.lead.send(path + "/reinstate", note="Zu spät")
    assert late.status_code == 409
    assert "länger als 14 Tage" in late.text
    assert status(office, number) is PassStatus.REVOKED


@pytest.mark.parametrize("city", ["sqlite"], indirect=True)
def test_ways_to_a_pass(office: PermitOffice) -> None:
    number = running_numbers(office.application)[0]
    path = f"/office/passes/{PERMIT}/{number}"
    clerk = office.clerk
    first = clerk.send(path + "/link")
    link = re.search(r"https://[^<]*/p/l/[\w-]{22}", first.text)
    assert link is not None
    assert "data:image/png;base64," in first.text
    second = clerk.send(path + "/link")
    assert second.status_code == 200
    # The one before opens nothing any more.
    assert "gilt nicht mehr" in clerk.client.get(link[0].removeprefix("https://stadtpass.example")).text
    assert number in pdf_text(clerk.client.get(path + "/print.pdf"))
    clerk.send(path + "/steps/suspend", reason="lost")
    for answer in (
        clerk.send(path + "/link"),
        clerk.send(path + "/letter"),
        clerk.client.get(path + "/print.pdf"),
    ):
        assert answer.status_code == 409
    for gone in ("/office/passes/x/y", f"/office/passes/{PERMIT}/NONE", path + "x"):
        for step in ("/steps/revoke", "/print.pdf"):
            assert clerk.client.get(gone + step).status_code in (404, 409), gone
        assert clerk.send(gone + "/steps/revoke", reason="misuse").status_code in (404, 409)
    assert clerk.client.get(path + "/steps/explode").status_code == 404
    token = form_token(clerk.client.get("/office/account"))
    assert clerk.client.post(path + "/steps/explode", data={"form_token": token}).status_code == 404


@pytest.mark.parametrize("city", ["sqlite"], indirect=True)
def test_whoever_has_another_permit_by_now_gets_no_second_one(office: PermitOffice) -> None:
    number, other = running_numbers(office.application)[:2]
    path = f"/office/passes/{PERMIT}/{number}"
    office.clerk.send(path + "/steps/revoke", reason="misuse")
    tenant = office.application.tenant
    with office.application.writing() as session:
        held = session.get_one(PassRow, (tenant, PERMIT, number)).holder_ref
        session.get_one(PassRow, (tenant, PERMIT, other)).holder_ref = held
    answer = office.lead.send(path + "/reinstate", note="Verwechselt")
    assert answer.status_code == 409
    assert other in answer.text
    assert (status(office, number), seals(office, number)) == (PassStatus.REVOKED, [Status.INVALID])


def paused(office: PermitOffice, number: str, reason: str) -> None:
    with office.application.writing() as session:
        actor = Actor("payment:demo", office.application.now(), reason)
        lifecycle.suspend(session, office.application.tenant, PERMIT, number, actor=actor)


@pytest.mark.parametrize("city", ["sqlite"], indirect=True)
def test_what_is_taken_back_is_what_it_was_before(office: PermitOffice) -> None:
    number, unpaid = running_numbers(office.application)[:2]
    path = f"/office/passes/{PERMIT}/{number}"
    paused(office, number, "payment charged back")
    office.clerk.send(path + "/steps/revoke", reason="misuse")
    assert office.lead.send(path + "/reinstate", note="Verwechselt").status_code == 303
    assert (status(office, number), seals(office, number)) == (
        PassStatus.SUSPENDED,
        [Status.INVALID, Status.SUSPENDED],
    )
    with office.application.reading() as session:
        entries = audit.history(session, office.application.tenant, f"{PERMIT}/{number}")
    assert [one.reason for one in entries if one.action == "suspend"] == ["payment charged back"] * 2
    # What was never paid for never held.
    with office.application.writing() as session:
        row = session.get_one(PassRow, (office.application.tenant, PERMIT, unpaid))
        row.status = PassStatus.PENDING_PAYMENT.value
    path = f"/office/passes/{PERMIT}/{unpaid}"
    office.clerk.send(path + "/steps/revoke", reason="misuse")
    answer = office.lead.send(path + "/reinstate", note="Verwechselt")
    assert answer.status_code == 409
    assert "noch nicht bezahlt" in answer.text
    assert status(office, unpaid) is PassStatus.REVOKED


@pytest.mark.parametrize("city", ["sqlite"], indirect=True)
def test_whoever_has_applied_anew_gets_no_second_one(office: PermitOffice) -> None:
    number = running_numbers(office.application)[0]
    path = f"/office/passes/{PERMIT}/{number}"
    office.clerk.send(path + "/steps/revoke", reason="misuse")
    case = office.submitted()
    with office.application.writing() as session:
        tenant = office.application.tenant
        person = session.get_one(CaseRow, (tenant, case.id)).person
        held = session.get_one(PassRow, (tenant, PERMIT, number))
        holder = session.get_one(HolderRow, (tenant, held.holder_ref))
        copy = {one.name: getattr(holder, one.name) for one in HolderRow.__table__.columns}
        session.add(HolderRow(**copy | {"ref": person}))
        session.flush()
        held.holder_ref = str(person)
    answer = office.lead.send(path + "/reinstate", note="Verwechselt")
    assert answer.status_code == 409
    assert case.number in answer.text


@pytest.mark.parametrize("city", ["sqlite"], indirect=True)
def test_what_was_called_back_is_settled_in_the_case_alone(office: PermitOffice) -> None:
    case = office.submitted()
    number = running_numbers(office.application)[0]
    tenant = office.application.tenant
    with office.application.writing() as session:
        row = session.get_one(CaseRow, (tenant, case.id))
        row.state, row.pass_number = CaseState.CHARGED_BACK.value, number
    paused(office, number, "payment charged back")
    answer = office.clerk.send(f"/office/passes/{PERMIT}/{number}/steps/resume", reason="settled")
    assert answer.status_code == 409
    assert case.number in answer.text
    assert status(office, number) is PassStatus.SUSPENDED
