"""Renewing on one's own pages: in time, for the right days and money, without proofs that nobody needs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from issuer import audit
from issuer.application import Application
from issuer.cases import access, issue, steps
from issuer.cases.city import CityCaseRules
from issuer.cases.store import CaseActor
from issuer.delivery import mail
from issuer.models import PassRow, ZoneRow
from issuer.models_delivery import MailRow
from issuer.models_payments import PaymentRow
from issuer.models_rules import RuleChangeRow
from issuer.nightly import reminders
from issuer.register import subject
from issuer.rules.addresses import Address
from issuer.rules.directory import streets_from_csv
from issuer.rules.kinds import target_of
from issuer.rules.sources.protocols import (
    KeeperIs,
    Person,
    Residence,
    ResidenceAnswer,
    Resides,
    ResidesNot,
    Sources,
)
from passes.periods import BERLIN
from passes.status_list import Status
from tests.issuer.pickup.browser import browser, send, visit
from tests.issuer.pickup.holders import cases, content, ends, lives, revisions, standard
from tests.issuer.pickup.test_plate_change import SetVehicles
from tests.service import CARD, PERMIT, City, running_numbers


@dataclass(frozen=True)
class SetResidents:
    """A register of residents that gives one answer."""

    answer: ResidenceAnswer

    def residence(self, person: Person, address: Address, day: date) -> ResidenceAnswer:
        return self.answer


def registers(monkeypatch: pytest.MonkeyPatch, residence: ResidenceAnswer) -> None:
    sources = Sources(SetResidents(residence), SetVehicles(KeeperIs()))
    monkeypatch.setattr(Application, "sources", property(lambda _: sources))


def settled(application: Application, folder: Path, last: date) -> str:
    """A permit that ends on ``last`` and whose holder lives in its zone, as the directory has it."""
    number = standard(application)
    ends(application, number, last)
    lives(application, number, street="Gartenweg", house_number="3", postal_code="40474", city="Düsseldorf")
    zone = content(application, number).attributes["zone"]
    file = folder / "streets.csv"
    lines = "street;postal_code;zone_code;number_from;number_to;side\n"
    file.write_text(f"{lines}Gartenweg;40474;{getattr(zone, 'code', '')};1;40;\n", "utf-8")
    with application.writing() as session:
        assert streets_from_csv(session, application.tenant, file) == 1
    return number


def period(application: Application, number: str) -> tuple[date, date]:
    with application.reading() as session:
        row = session.get_one(PassRow, (application.tenant, PERMIT, number))
        return row.period_first, row.period_last


def paid(application: Application, case_id: str) -> None:
    with application.writing() as session:
        issue.paid(session, application, case_id, CaseActor("payment:demo", application.now()))


def noon(day: date) -> datetime:
    return datetime.combine(day, time(12), BERLIN)


def test_renewed_and_paid_without_any_proof(
    city: City, application: Application, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registers(monkeypatch, Resides(Residence.MAIN))
    number = settled(application, tmp_path, date(2026, 12, 31))
    before = content(application, number)
    with browser(application) as client:
        visit(client, application, number)
        assert "/p/pass/renew" in client.get("/p/pass").text
        page = client.get("/p/pass/renew").text
        assert "beginnt am 01.01.2027" in page
        assert "12 Monate, bis einschließlich 31.12.2027" in page
        assert "Gartenweg 3" in page
        for fields in ({"term": "12"}, {"unchanged": "yes"}, {"term": "7", "unchanged": "yes"}):
            assert send(client, "/p/pass/renew", "/p/pass/renew", **fields).status_code == 422
        assert cases(application, number) == []
        answer = send(client, "/p/pass/renew", "/p/pass/renew", term="12", unchanged="yes")
        assert answer.status_code == 303
        path = re.fullmatch(r"/payments/start/([\w-]{22})", answer.headers["location"])
        assert path is not None
        [case] = cases(application, number)
        assert (case.kind, case.state, case.decided_by) == ("renewal", "awaiting_payment", "automatic")
        token = client.cookies["__Host-stadtpass-case"]
        with application.reading() as session:
            found = access.find_visit(session, application, token)
            payment = session.get_one(PaymentRow, (application.tenant, path[1]))
            assert found is not None
            assert (found.case_id, payment.ref, payment.amount_cents) == (case.id, case.id, case.fee_cents)
        # Not paid is not renewed, and a second form begins nothing new.
        assert period(application, number)[1] == date(2026, 12, 31)
        assert "Jetzt bezahlen" in client.get("/p/pass/renew").text
        again = send(client, "/p/pass/renew", "/p/pass", term="24", unchanged="yes")
        assert again.headers["location"] == "/p/pass/renew"
        goes_on = send(client, "/p/pass/case", case=case.id)
        assert goes_on.headers["location"] == answer.headers["location"]
        assert len(cases(application, number)) == 1
        # Whatever the fees are meanwhile: what was asked for and paid is had.
        city.clock.forward(days=2)
        paid(application, case.id)
        assert "31.12.2027" in client.get("/p/pass").text or client.get("/p/pass").status_code == 403
    after = content(application, number)
    assert period(application, number) == (before.period.first, date(2027, 12, 31))
    assert after.serial == before.serial
    assert after.attributes == before.attributes
    old, new = revisions(application, number)
    # The print in the car is good until its own last day.
    assert (old.status_value, new.status_value) == (int(Status.VALID), int(Status.VALID))
    with application.reading() as session:
        kinds = session.scalars(select(MailRow.kind).where(MailRow.number == number)).all()
    assert "renewed" in kinds
    assert "changed" not in kinds


@pytest.mark.parametrize(
    ("last", "months", "first", "until"),
    [
        (date(2028, 2, 28), 12, date(2028, 2, 29), date(2029, 2, 28)),
        (date(2028, 2, 29), 12, date(2028, 3, 1), date(2029, 2, 28)),
        (date(2027, 2, 28), 12, date(2027, 3, 1), date(2028, 2, 29)),
        (date(2028, 2, 28), 24, date(2028, 2, 29), date(2030, 2, 28)),
        (date(2028, 2, 27), 12, date(2028, 2, 28), date(2029, 2, 27)),
    ],
)
@pytest.mark.parametrize("city", ["sqlite"], indirect=True)
def test_leap_days(
    city: City,
    application: Application,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    last: date,
    months: int,
    first: date,
    until: date,
) -> None:
    """Sections 187 (2) and 188 (2), (3) BGB: the term starts the day after, and ends the day before its number."""
    registers(monkeypatch, Resides(Residence.MAIN))
    number = settled(application, tmp_path, last)
    # The keys of the demo city hold for less than that.
    monkeypatch.setattr(Application, "sealer", lambda *_: lambda *_: ("00" * 8, "SP1:X"))
    city.clock.at = noon(last - timedelta(days=10))
    with browser(application) as client:
        visit(client, application, number)
        page = client.get("/p/pass/renew").text
        assert f"beginnt am {first:%d.%m.%Y}" in page
        assert f"{months} Monate, bis einschließlich {until:%d.%m.%Y}" in page
        send(client, "/p/pass/renew", "/p/pass/renew", term=str(months), unchanged="yes")
    [case] = cases(application, number)
    paid(application, case.id)
    assert period(application, number)[1] == until


def test_from_sixty_days_before_to_the_last_day(city: City, application: Application, tmp_path: Path) -> None:
    last = date(2027, 3, 31)
    number = settled(application, tmp_path, last)
    for day, told in (
        (date(2027, 1, 29), "Verlängern können Sie ihn ab 30.01.2027"),
        (date(2027, 1, 30), "beginnt am 01.04.2027"),
        (date(2027, 3, 31), "beginnt am 01.04.2027"),
        (date(2027, 4, 1), "abgelaufen und lässt sich nicht mehr verlängern"),
    ):
        city.clock.at = noon(day)
        with browser(application) as client:
            visit(client, application, number)
            assert told in client.get("/p/pass/renew").text
            assert ("Jetzt verlängern" in client.get("/p/pass").text) == ("beginnt am" in told)
    # The number of days is the permit kind's own.
    with application.writing() as session:
        session.add(
            RuleChangeRow(
                tenant=application.tenant,
                id="r" * 22,
                subject="kind",
                target=target_of(PERMIT, "standard"),
                valid_from=date(2026, 1, 1),
                content={"renewal_opens_days": 10},
                made_at=application.now(),
            )
        )
    city.clock.at = noon(date(2027, 1, 30))
    with browser(application) as client:
        visit(client, application, number)
        assert "Verlängern können Sie ihn ab 21.03.2027" in client.get("/p/pass/renew").text


def test_what_no_register_confirms_needs_evidence(
    application: Application, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registers(monkeypatch, ResidesNot())
    number = settled(application, tmp_path, date(2026, 12, 31))
    with browser(application) as client:
        visit(client, application, number)
        answer = send(client, "/p/pass/renew", "/p/pass/renew", term="12", unchanged="yes")
        assert answer.headers["location"] == "/apply/case"
        [case] = cases(application, number)
        assert case.state == "documents"
        assert case.number in client.get("/p/pass/renew").text
    with application.reading() as session:
        history = audit.history(session, application.tenant, f"case/{case.number}")
    assert (history[-1].after or {})["wanted"] == ["residence"]


def test_who_lives_elsewhere_is_told_so(
    application: Application, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registers(monkeypatch, Resides(Residence.MAIN))
    number = settled(application, tmp_path, date(2026, 12, 31))
    file = tmp_path / "moved.csv"
    file.write_text("street;postal_code;zone_code\nGartenweg;40474;\n", "utf-8")
    with application.writing() as session:
        streets_from_csv(session, application.tenant, file)
    with browser(application) as client:
        visit(client, application, number)
        answer = send(client, "/p/pass/renew", "/p/pass/renew", term="12", unchanged="yes")
    assert answer.status_code == 409
    assert "CASE_" not in answer.text
    assert cases(application, number) == []


def test_a_merged_zone_takes_its_successor(
    application: Application, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registers(monkeypatch, Resides(Residence.MAIN))
    number = settled(application, tmp_path, date(2026, 12, 31))
    old = content(application, number).attributes["zone"]
    code = getattr(old, "code", "")
    with application.writing() as session:
        zones = session.scalars(select(ZoneRow).where(ZoneRow.tenant == application.tenant)).all()
        other = next(one.code for one in zones if one.code != code and one.valid_until is None)
        row = session.get_one(ZoneRow, (application.tenant, code))
        row.valid_until, row.merged_into = date(2026, 11, 1), other
    with browser(application) as client:
        visit(client, application, number)
        assert f"gilt für das Gebiet {other}" in client.get("/p/pass/renew").text
        answer = send(client, "/p/pass/renew", "/p/pass/renew", term="12", unchanged="yes")
        assert answer.headers["location"].startswith("/payments/start/")
    [case] = cases(application, number)
    assert case.facts["zone"] == other
    paid(application, case.id)
    assert getattr(content(application, number).attributes["zone"], "code", "") == other
    with application.reading() as session:
        entry = audit.history(session, application.tenant, subject(PERMIT, number))[-1]
        record = session.get_one(PassRow, (application.tenant, PERMIT, number)).record
    assert entry.action == "renew"
    assert ((entry.before or {})["zone"], (entry.after or {})["zone"]) == (code, other)
    assert record["zone_code"] == other


def test_an_exception_is_looked_at_again(
    application: Application, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registers(monkeypatch, Resides(Residence.MAIN))
    number = settled(application, tmp_path, date(2026, 12, 31))
    row = revisions(application, number)[0]
    with application.writing() as session:
        held = session.merge(row)
        held.attributes = {**held.attributes, "permit_kind": "two_plates"}
    with browser(application) as client:
        visit(client, application, number)
        answer = send(client, "/p/pass/renew", "/p/pass/renew", term="12", unchanged="yes")
        assert answer.headers["location"] == "/apply/case"
    [case] = cases(application, number)
    assert case.state == "documents"
    actor = CaseActor("staff:1", application.now())
    with application.writing() as session:
        rules = CityCaseRules.of(session, application, PERMIT)
        steps.documents_added(session, application.tenant, case.id, actor)
        steps.accept_evidence(
            session, application.tenant, case.id, actor, "justification", "second_vehicle_reason"
        )
        with pytest.raises(Exception, match="SECOND_LOOK_NEEDED"):
            issue.approve(session, application, case.id, actor, rules)


def test_a_card_is_renewed_elsewhere(application: Application) -> None:
    number = running_numbers(application, CARD)[0]
    with browser(application) as client:
        visit(client, application, number, CARD)
        assert "/p/pass/renew" not in client.get("/p/pass").text
        page = client.get("/p/pass/renew")
        assert page.status_code == 200
        assert "nicht auf diesen Seiten verlängert" in page.text
        assert send(client, "/p/pass/renew", term="12", unchanged="yes").status_code == 409


def test_a_reminder_leads_to_the_renewal(city: City, application: Application, tmp_path: Path) -> None:
    number = settled(application, tmp_path, date(2026, 12, 20))
    lives(application, number, email="somebody@example.org")
    with application.reading() as session:
        [due] = [one for one in reminders.due(session, application) if one.number == number]
    with application.writing() as session:
        mail.queue_mail(session, application, mail.REMINDER, PERMIT, number, {"last": due.last.isoformat()})
        [identity] = session.scalars(
            select(MailRow.id).where(MailRow.number == number, MailRow.kind == mail.REMINDER)
        )
    mail.run(application, {"id": identity})
    [file] = (application.workspace.folder / application.config.mail.folder).glob("*.eml")
    link = re.search(r"https://\S+(/p/l/[\w-]{22})", file.read_text("utf-8").replace("=\n", ""))
    assert link is not None
    with browser(application) as client:
        assert client.post(link[1]).headers["location"] == "/p/pass"
        page = client.get("/p/pass").text
    assert "Jetzt verlängern" in page
    assert 'href="/p/pass/renew"' in page
