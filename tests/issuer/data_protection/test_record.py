"""The record of processing follows the configuration, and no table with personal data is missing in it."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import select

import issuer.backup  # noqa: F401 - all tables join the metadata
from issuer.api.scopes import Scope
from issuer.application import Application
from issuer.cli import main
from issuer.data_protection.deletions import coming
from issuer.data_protection.record import as_json, make_record
from issuer.data_protection.tables import FIXED, IMPERSONAL, PERSONAL, Activity
from issuer.models import Base, HolderRow, PassRow
from issuer.models_delivery import WalletPassRow
from issuer.nightly import retention
from issuer.nightly.retention_rules import FIRST, LAST
from issuer.nightly.run import run_night
from issuer.outgoing import google_switched
from issuer.settings import load_settings, save_settings
from issuer.staff.permissions import Role
from keys.texts import texts
from passes.base45 import decode
from tests.issuer.api.conftest import new_client
from tests.issuer.console.people import settle
from tests.service import PERMIT, TODAY, City, running_numbers
from tests.web_app import create_app

SQLITE = pytest.mark.parametrize("city", ["sqlite"], indirect=True)
ROOT = Path(__file__).parents[3]


def record(application: Application, language: str = "de") -> dict[str, Any]:
    with application.reading() as session:
        return as_json(make_record(session, application), texts("issuer", language))


def activities(application: Application) -> dict[str, Any]:
    return {one["id"]: one for one in record(application)["activities"]}


def change(application: Application, **values: object) -> None:
    with application.writing() as session:
        settings = msgspec.structs.replace(load_settings(session, application.tenant), **values)
        save_settings(session, application.tenant, settings)


def test_every_table_is_decided_on() -> None:
    tables = {table.name for table in Base.metadata.sorted_tables}
    assert PERSONAL.keys() | IMPERSONAL == tables
    assert not PERSONAL.keys() & IMPERSONAL


def test_names_and_addresses_are_never_called_impersonal() -> None:
    """What holds one of these fields holds personal data, whatever somebody has written down."""
    telling = {
        "family_name", "given_name", "street", "house_number", "email", "login", "display_name", "holder_ref",
        "serial", "push_token", "reply_to", "account_id", "person",
    }  # fmt: skip
    for name in IMPERSONAL - {"street_entries"}:
        assert not telling & {one.name for one in Base.metadata.tables[name].columns}, name


@SQLITE
def test_every_personal_table_is_in_the_record(
    city: City, monkeypatch: pytest.MonkeyPatch, application: Application
) -> None:
    monkeypatch.setenv("STADTPASS_GOOGLE_ENABLED", "true")
    monkeypatch.setenv("STADTPASS_PAYMENTS_PROVIDER", "demo")
    everything = city.open()
    found = {table["name"] for one in record(everything)["activities"] for table in one["tables"]}
    assert found == PERSONAL.keys()
    assert {one["id"] for one in record(everything)["activities"]} == set(Activity)
    for one in record(everything, "en")["activities"]:
        assert all(table["deleted"] and table["fields"] for table in one["tables"])
        assert all(one[name] for name in ("purpose", "legal_basis", "people", "recipients"))


def test_it_follows_the_configuration(
    city: City, application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "google" not in activities(application)
    assert "payments" not in activities(application)
    monkeypatch.setenv("STADTPASS_GOOGLE_ENABLED", "true")
    monkeypatch.setenv("STADTPASS_MAIL_HOST", "mail.musterstadt.example")
    monkeypatch.setenv("STADTPASS_RETENTION_PASSES_AFTER_END", "77")
    monkeypatch.setenv("STADTPASS_OIDC_ISSUER", "https://login.musterstadt.example")
    monkeypatch.setenv("STADTPASS_OIDC_CLIENT_ID", "stadtpass")
    with_google = city.open()
    found = activities(with_google)
    assert "Google (Drittland USA)" in found["google"]["recipients"][0]
    assert found["pickup"]["recipients"] == [
        "Mailserver mail.musterstadt.example: Adresse und Text der E-Mails"
    ]
    assert "login.musterstadt.example" in found["staff"]["recipients"][0]
    assert {one["name"]: one["deleted"] for one in found["passes"]["tables"]}["holders"].startswith("77 Tage")
    assert "google_wanted" in found["wallets"]["tables"][0]["fields"]
    assert any("kein Name" in one or "nur das Push-Token" in one for one in found["apple"]["recipients"])
    change(with_google, google_offered=False)
    gone = activities(with_google)
    assert "google" not in gone
    assert "Google" not in json.dumps(gone)
    assert "google" not in json.dumps(gone)
    # An object that is still there is still told of.
    with application.writing() as session:
        session.scalars(
            select(WalletPassRow).where(WalletPassRow.tenant == application.tenant)
        ).first().google_wanted = True  # type: ignore[union-attr]
    assert "google" in activities(with_google)


def test_systems_that_may_ask_are_recipients(application: Application, neighbour: Application) -> None:
    new_client(application, Scope.CHECKS_READ, Scope.STATEMENTS_READ, name="owi")
    new_client(neighbour, Scope.PASSES_READ, name="stranger")
    told = activities(application)["interfaces"]["recipients"]
    assert told == ["Bußgeldstelle, als owi: checks:read, statements:read"]


@SQLITE
def test_measures_are_those_that_are_really_on(
    city: City, application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    def in_force(of: Application) -> set[str]:
        return {one["measure"] for one in record(of)["measures"] if one["in_force"]}

    assert "DELETION" not in in_force(application)
    assert "REAL" not in in_force(application)
    assert "TLS" in in_force(application)
    assert "LIMITS" in in_force(application)
    run_night(application)
    assert {"DELETION", "CHAIN"} <= in_force(application)
    monkeypatch.setenv("STADTPASS_SERVICE_REQUESTS_PER_MINUTE", "0")
    monkeypatch.setenv("STADTPASS_MAIL_HOST", "mail")
    monkeypatch.setenv("STADTPASS_MAIL_SECURITY", "none")
    assert not {"LIMITS", "MAIL"} & in_force(city.open())
    assert "ROOT_AWAY" not in in_force(application)
    (city.folder / "root").rename(city.folder.parent / "away")
    assert "ROOT_AWAY" in in_force(application)


def test_every_text_is_there_in_both_languages() -> None:
    german, english = texts("issuer", "de").sentences, texts("issuer", "en").sentences
    for prefix in ("RECORD_", "STATEMENT_", "SEAL_", "ACCESS_", "OFFICE_", "BARRIER_", "DELETION_"):
        ours = {code for code in german if code.startswith(prefix)}
        assert ours == {code for code in english if code.startswith(prefix)}, prefix
    for stored in PERSONAL.values():
        assert f"RECORD_PERIOD_{stored.period.upper()}" in german
    assert {f"RECORD_PERIOD_{one.upper()}" for one in FIXED} <= german.keys()
    for rule in (*FIRST, *LAST):
        assert f"DELETION_{rule.name.upper()}" in german, rule.name


@SQLITE
def test_on_the_command_line(
    city: City, application: Application, capsys: pytest.CaptureFixture[str]
) -> None:
    common = ["--data", str(city.folder), "--at", TODAY.isoformat()]
    assert main(["data-protection", "record", "--json", *common]) == 0
    assert json.loads(capsys.readouterr().out)["controller"] == "Musterstadt"
    assert main(["data-protection", "record", "--lang", "en", *common]) == 0
    assert "Record of processing activities: Musterstadt" in capsys.readouterr().out
    assert main(["data-protection", "dpia", *common]) == 0
    draft = capsys.readouterr().out
    assert "Musterstadt, Stand 20.11.2026" in draft
    assert "{" not in draft
    assert main(["data-protection", "deletions", *common]) == 0
    assert "noch keinen Löschlauf" in capsys.readouterr().out


@SQLITE
def test_the_draft_names_the_threats_of_the_manual(
    city: City, application: Application, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["data-protection", "dpia", "--data", str(city.folder), "--at", TODAY.isoformat()])
    draft = capsys.readouterr().out.partition("## 4 ")[2].partition("## 5 ")[0]
    manual = (ROOT / "docs" / "security.md").read_text().partition("## Threats")[2].partition("\n## ")[0]
    numbers = re.findall(r"^\| (\d+) \|", manual, re.MULTILINE)
    assert len(numbers) > 20
    assert re.findall(r"^\| (\d+) \|", draft, re.MULTILINE) == numbers


def test_preview_and_proof_of_a_deletion(
    city: City, application: Application, neighbour: Application
) -> None:
    city.clock.forward(days=300)
    with application.reading() as session:
        due = {one.name: one for one in coming(session, application)}
        assert {name: one.count for name, one in due.items()} == retention.preview(application, session)
        limit = city.clock().date() - timedelta(days=application.config.retention.passes_after_end)
        ended = session.scalars(
            select(PassRow.period_last).where(
                PassRow.tenant == application.tenant, PassRow.period_last <= limit
            )
        ).all()
    assert (due["passes"].count, due["passes"].oldest) == (len(ended), min(ended))
    run_night(application)
    with application.reading() as session:
        assert not {one.name for one in coming(session, application)} & {"passes", "holders"}
    app = create_app(application)
    auditor = settle(application, city.clock, "otto", Role.AUDITOR, app=app)
    page = auditor.client.get("/office/data-protection/deletions")
    assert f"Ausweise: {len(ended)}" in page.text
    with neighbour.reading() as session:
        assert {one.name for one in coming(session, neighbour)} >= {"passes"}


def test_the_pages(city: City, application: Application) -> None:
    app = create_app(application)
    auditor = settle(application, city.clock, "otto", Role.AUDITOR, app=app)
    admin = settle(application, city.clock, "anna", Role.ADMIN, app=app)
    number = running_numbers(application)[0]
    for person in (auditor, admin):
        assert "Google ist ausgeschaltet" in person.client.get("/office/data-protection").text
        page = person.client.get("/office/data-protection/record")
        assert "holders" in page.text
        assert "RECORD_" not in page.text
        assert person.client.get("/office/data-protection/record.json").json()["activities"]
        assert "Folgenabschätzung" in person.client.get("/office/data-protection/dpia").text
    assert "Siegel ansehen" in auditor.client.get("/office/data-protection").text
    assert "Siegel ansehen" not in admin.client.get("/office/data-protection").text
    path = "/office/seal"
    found = auditor.send(path, page=path, seal=number)
    assert found.status_code == 200
    text = re.search(r">(SP1:[^<]+)<", found.text)
    assert text is not None
    assert number in auditor.client.get("/office/accesses", params={"q": number}).text
    import html

    seal = html.unescape(text[1])
    token = decode(seal.removeprefix("SP1:"))
    shown = re.search(r"<pre[^>]*>([0-9a-f \n]+)</pre>", found.text)
    assert shown is not None
    assert bytes.fromhex(shown[1]) == token
    assert re.search(rf"<strong[^>]*>{number}</strong>", found.text)
    with application.reading() as session:
        row = session.get_one(PassRow, (application.tenant, PERMIT, number))
        holder = session.get_one(HolderRow, (application.tenant, row.holder_ref))
    for name in (holder.family_name, holder.street, holder.email):
        assert name not in found.text
        assert name.encode() not in token
    again = auditor.send(path, page=path, seal=seal)
    assert again.text.partition("<pre")[2] == found.text.partition("<pre")[2]
    for wrong in ("", "NONE-1", "SP1:", "SP1:" + "A" * 300, "SP1R:1:x:y", "<script>", "a\x00b"):
        answer = auditor.send(path, page=path, seal=wrong)
        assert answer.status_code == 422, wrong
        assert "<script>" not in answer.text


def test_switching_google_off_reaches_every_object(city: City, application: Application) -> None:
    with application.writing() as session:
        rows = session.scalars(
            select(WalletPassRow).where(WalletPassRow.tenant == application.tenant).limit(2)
        ).all()
        for row in rows:
            row.google_wanted, row.google_tag = True, row.update_tag
        tags = {row.serial: row.update_tag for row in rows}
    with application.writing() as session:
        assert google_switched(session, application.tenant, datetime.now(TODAY.tzinfo)) == 2
    with application.reading() as session:
        for serial, tag in tags.items():
            assert session.get_one(WalletPassRow, (application.tenant, serial)).update_tag > tag
