"""What auditors see: who looked at what, for a reason where it is about a person, and whether the chain is whole."""

from __future__ import annotations

import json
from datetime import timedelta

from sqlalchemy import select, update

from issuer import audit
from issuer.application import Application
from issuer.audit import AuditEvent
from issuer.models import AuditEntryRow
from issuer.models_staff import CaseAccessRow, StaffAccountRow
from issuer.nightly.run import run_night
from issuer.staff.accesses import EXPORT
from issuer.staff.permissions import Role
from tests.issuer.console.people import settle
from tests.service import PERMIT, City, running_numbers
from tests.web_app import create_app

LOG = "/office/accesses"


def test_of_one_person_only_with_a_reason(city: City, application: Application) -> None:
    app = create_app(application)
    number, other = running_numbers(application)[:2]
    clerk = settle(application, city.clock, "erika", Role.CLERK, app=app)
    second = settle(application, city.clock, "emil", Role.CLERK, app=app)
    auditor = settle(application, city.clock, "otto", Role.AUDITOR, app=app)
    clerk.client.get(f"/office/passes/{PERMIT}/{number}")
    second.client.get(f"/office/passes/{PERMIT}/{other}")
    for fields, said in (
        ({"login": "erika", "reason": ""}, "Geben Sie einen Grund an"),
        ({"login": "erika", "reason": "x"}, "Geben Sie einen Grund an"),
        ({"login": "nobody", "reason": "Hinweis 12/26"}, "kein Konto"),
        ({"login": "a\x00b", "reason": "Hinweis 12/26"}, "kein Konto"),
    ):
        answer = auditor.send(f"{LOG}/person", page=LOG, **fields)
        assert answer.status_code == 422
        assert said in answer.text
        assert number not in answer.text
    found = auditor.send(f"{LOG}/person", page=LOG, login="Erika", reason="Hinweis 12/26")
    assert number in found.text
    assert other not in found.text
    with application.reading() as session:
        [noted] = audit.history(session, application.tenant, f"account/{clerk.account_id}")[-1:]
    assert (noted.action, noted.reason, noted.actor) == (
        "search-accesses",
        "Hinweis 12/26",
        f"staff:{auditor.account_id}",
    )
    # Without a reason there is no way to ask by person.
    assert number not in auditor.client.get(LOG, params={"q": "erika"}).text
    assert number in auditor.client.get(LOG, params={"q": number}).text


def test_whose_history_was_seen_is_noted(city: City, application: Application) -> None:
    number = running_numbers(application)[0]
    auditor = settle(application, city.clock, "otto", Role.AUDITOR)
    path = "/office/histories"
    auditor.client.get(path)
    auditor.client.get(path, params={"q": "NONE-1"})
    with application.reading() as session:
        assert session.scalars(select(CaseAccessRow)).all() == []
    assert "Ausweis eingetragen" in auditor.client.get(path, params={"q": number}).text
    with application.reading() as session:
        [noted] = session.scalars(select(CaseAccessRow)).all()
    assert (noted.account_id, noted.subject, noted.kind) == (
        auditor.account_id,
        f"{PERMIT}/{number}",
        "opened",
    )


def test_a_bare_id_finds_whatever_has_it(city: City, application: Application) -> None:
    kinds = ("import", "print", "payment", "open-data", "staff", "webhook", "device", PERMIT)
    with application.writing() as session:
        events = [AuditEvent("made", f"{one}/2026-12") for one in kinds]
        audit.append(session, application.tenant, events, city.clock(), "t")
    auditor = settle(application, city.clock, "otto", Role.AUDITOR)
    found = auditor.client.get("/office/audit", params={"q": "2026-12"}).text
    assert [one for one in kinds if f"{one}/2026-12" not in found] == []


def test_the_file_is_bounded_safe_and_noted(city: City, application: Application) -> None:
    app = create_app(application)
    number = running_numbers(application)[0]
    clerk = settle(application, city.clock, "erika", Role.CLERK, app=app)
    with application.writing() as session:
        session.execute(
            update(StaffAccountRow)
            .where(StaffAccountRow.id == clerk.account_id)
            .values(display_name="=cmd()")
        )
    auditor = settle(application, city.clock, "otto", Role.AUDITOR, app=app)
    clerk.client.get(f"/office/passes/{PERMIT}/{number}")
    for first, last, why in (
        ("1.1.2026", "20.11.2026", "Prüfung 4"),
        ("21.11.2026", "20.11.2026", "Prüfung 4"),
        ("20.11.2026", "gestern", "Prüfung 4"),
        ("20.11.2026", "20.11.2026", ""),
    ):
        answer = auditor.send(f"{LOG}/export", page=LOG, first=first, last=last, why=why, form="csv")
        assert answer.status_code == 422, (first, last, why)
    days = {"first": "1.11.2026", "last": "20.11.2026", "why": "Prüfung 4"}
    file = auditor.send(f"{LOG}/export", page=LOG, form="csv", **days)
    assert file.headers["content-disposition"].startswith("attachment")
    lines = file.content.decode("utf-8-sig").splitlines()
    assert lines[0] == "at;login;name;subject;kind"
    assert len(lines) == 2
    assert ";'=cmd();" in lines[1]
    assert lines[1].endswith(f"{PERMIT}/{number};opened")
    told = json.loads(auditor.send(f"{LOG}/export", page=LOG, form="json", **days).content)
    # Within ten minutes the second export is the same look.
    assert sorted(one["kind"] for one in told["entries"]) == ["exported", "opened"]
    assert "als Datei geladen" in auditor.client.get(LOG).text
    with application.reading() as session:
        noted = audit.history(session, application.tenant, EXPORT)
    assert [one.after["entries"] for one in noted if one.after] == [1, 2]
    assert {one.reason for one in noted} == {"Prüfung 4"}
    before = city.clock() - timedelta(days=30)
    day = f"{before:%d.%m.%Y}"
    empty = auditor.send(f"{LOG}/export", page=LOG, form="csv", first=day, last=day, why="Prüfung 4")
    assert len(empty.content.splitlines()) == 1


def test_the_chain_and_its_entries(city: City, application: Application) -> None:
    app = create_app(application)
    number = running_numbers(application)[0]
    auditor = settle(application, city.clock, "otto", Role.AUDITOR, app=app)
    path = "/office/audit"
    assert "Noch nicht geprüft" in auditor.client.get(path).text
    run_night(application)
    page = auditor.client.get(path).text
    assert "Die Kette ist unversehrt" in page
    found = auditor.client.get(path, params={"q": number})
    assert "Ausweis eingetragen" in found.text
    assert "valid_to" in found.text
    assert number in auditor.client.get(LOG, params={"q": number}).text
    assert "Keine Einträge" in auditor.client.get(path, params={"q": "NONE-1"}).text
    assert "eingetragen" not in auditor.client.get(path, params={"q": "a\x00b"}).text
    with application.writing() as session:
        newest = session.scalars(
            select(AuditEntryRow.sequence).where(AuditEntryRow.subject == f"{PERMIT}/{number}")
        ).first()
        session.execute(
            update(AuditEntryRow)
            .where(AuditEntryRow.tenant == application.tenant, AuditEntryRow.sequence == newest)
            .values(actor="somebody else")
        )
    assert auditor.send(f"{path}/check", page=path).headers["location"] == path
    assert f"bei Eintrag {newest} gerissen" in auditor.client.get(path).text
