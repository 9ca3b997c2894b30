"""Short retention: what is kept of a certificate while it holds, what is shown of it, and what is left: nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, datetime, time
from typing import Any

import pytest
from sqlalchemy import func, select

from issuer import lifecycle
from issuer.application import Application
from issuer.data_protection.deletions import coming
from issuer.data_protection.dpia import make_dpia
from issuer.data_protection.record import as_json, make_record
from issuer.eudi import status_lists
from issuer.lifecycle import Actor
from issuer.models import Base, HolderRow, PassRow
from issuer.models_eudi import EudiCredentialRow, EudiStatusListRow
from issuer.nightly import retention
from issuer.nightly.reports import Report
from issuer.pickup.stored_data import stored_data
from issuer.residence.issuing import look_up
from issuer.staff.permissions import Role
from issuer.status_allocation import status_entries
from issuer.workspace import CONFIG
from keys.texts import texts
from passes.periods import BERLIN, berlin_day
from passes.seal import read_seal
from tests.eudi_issuing_wallet import new_key
from tests.issuer.console.conftest import cheap_hashes
from tests.issuer.console.people import settle
from tests.issuer.eudi.conftest import MakeWallet, new_wallet, offer_of
from tests.issuer.pickup.browser import browser, send, visit
from tests.issuer.residence.registry import (
    ASKED,
    ERIKA,
    NEW_HOME,
    RESIDENCE,
    SECRETS,
    issued,
    named,
    registry,
    write_register,
)
from tests.service import CARD, City, running_numbers

__all__ = ["cheap_hashes", "new_wallet"]
SQLITE = pytest.mark.parametrize("city", ["sqlite"], indirect=True)


@pytest.fixture
def application(city: City) -> Application:
    return registry(city)


def night(application: Application) -> dict[str, int]:
    with application.reading() as session:
        previewed = retention.preview(application, session)
    retention.run(application, Report(application, berlin_day(application.now()), retention.NAME))
    return previewed


def everything(application: Application) -> str:
    """All that the register holds, of every table, as text."""
    told = []
    with application.reading() as session:
        for table in Base.metadata.sorted_tables:
            told += [f"{table.name}: {tuple(row)}" for row in session.execute(select(table))]
    return "\n".join(told)


def at_noon(city: City, day: date) -> None:
    city.clock.at = datetime.combine(day, time(12), BERLIN)


def there(application: Application) -> list[str]:
    with application.reading() as session:
        return sorted(session.scalars(select(PassRow.number).where(PassRow.type_id == RESIDENCE)))


def status_of(application: Application, seal: str) -> int:
    """What the published lists say of a seal."""
    content = read_seal(seal).content
    with application.reading() as session:
        lists = {one.number: dict(one.entries) for one in status_entries(session, application.tenant)}
    return lists[content.status_list].get(content.status_index, 0)


def seal_of(application: Application, number: str) -> str:
    from issuer.register import load_contents

    with application.reading() as session:
        [content] = load_contents(session, application.tenant, application.pass_types[RESIDENCE], [number])
    return content.seal


def test_nothing_is_left_but_the_places_in_the_lists(
    city: City, application: Application, new_wallet: MakeWallet
) -> None:
    number, revoked = issued(application, email="marie@example.org"), issued(application)
    wallet = new_wallet(application, uses_dpop=True)
    wallet.redeem(wallet.read_offer(offer_of(application, revoked, type_id=RESIDENCE).link))
    assert wallet.ask(f"{RESIDENCE}.sd-jwt", [new_key()]).status_code == 200
    client = browser(application)
    visit(client, application, number, RESIDENCE)
    assert "Übermühlgasse" in client.get("/p/pass/data").text
    with application.reading() as session:
        told = json.dumps(stored_data(session, application, RESIDENCE, number), ensure_ascii=False)
    assert [one for one in SECRETS if one not in told] == []
    assert '"deleted_on": "2027-03-19"' in told
    seal = seal_of(application, revoked)
    at_noon(city, date(2026, 11, 23))
    with application.writing() as session:
        by = Actor("test", application.now(), "Test")
        lifecycle.revoke(session, application.tenant, RESIDENCE, revoked, actor=by)
    with application.reading() as session:
        told = stored_data(session, application, RESIDENCE, revoked)["deleted_on"]
    assert told == "2026-12-24"
    # Thirty days after the revocation the one, and thirty after its last day the other.
    for day, previewed, left in (
        (date(2026, 12, 22), 0, [number, revoked]),
        (date(2026, 12, 24), 1, [number]),
        (date(2027, 3, 18), 0, [number]),
        (date(2027, 3, 19), 1, []),
    ):
        at_noon(city, day)
        assert night(application).get("certificates", 0) == previewed, day
        assert there(application) == left, day
    register = everything(application)
    assert named(register, "marie@example.org") == []
    assert running_numbers(application, CARD) != []
    # What signed lists need is there: a paper that somebody still shows is not valid, nor is the credential.
    assert status_of(application, seal) == 1
    with application.reading() as session:
        credential = session.scalars(select(EudiCredentialRow)).one()
        [known] = session.scalars(select(EudiStatusListRow))
        assert status_lists.entries(session, known) == [(credential.list_index, 1)]
        assert (credential.number, credential.status_value) == ("", 1)


@SQLITE
def test_a_superseded_one_does_not_wait_for_its_last_day(city: City, application: Application) -> None:
    old = issued(application)
    seal = seal_of(application, old)
    write_register(city.folder, ERIKA + NEW_HOME)
    new = issued(application, replace(ASKED, street="Pastorswiesenring", house_number="31"))
    city.clock.forward(days=31)
    with application.reading() as session:
        [due] = [one for one in coming(session, application) if one.name == "certificates"]
    assert (due.count, due.oldest) == (1, date(2026, 11, 20))
    night(application)
    assert there(application) == [new]
    assert status_of(application, seal) == 3
    with application.reading() as session:
        # The person has another certificate, so they stay; with that they go.
        assert session.scalar(select(func.count()).where(HolderRow.ref.startswith("R-"))) == 1


@SQLITE
def test_the_city_sets_how_long(city: City) -> None:
    config = city.folder / CONFIG
    config.write_text(config.read_text() + "\n[retention]\ncertificates = 3\n")
    application = registry(city)
    issued(application)
    at_noon(city, date(2027, 2, 20))
    night(application)
    assert there(application) == []


@SQLITE
def test_asking_leaves_nothing(application: Application) -> None:
    """Who was looked up and given nothing is nowhere."""
    look_up(application, ASKED)
    register = everything(application)
    assert named(register) == []


def activity(application: Application) -> dict[str, Any]:
    with application.reading() as session:
        record = as_json(make_record(session, application), texts("issuer", "de"))
        assert "Meldewesen" in make_dpia(session, application)
    return next(one for one in record["activities"] if one["id"] == "residence")


@SQLITE
def test_record_and_deletion_page_say_so(city: City, application: Application) -> None:
    told = activity(application)
    assert {one["name"] for one in told["tables"]} == {"holders", "passes", "revisions"}
    assert all(one["deleted"].startswith("30 Tage nach") for one in told["tables"])
    assert "Melderegister" in told["recipients"][0]
    issued(application)
    at_noon(city, date(2027, 3, 20))
    admin = settle(application, city.clock, "admin", Role.ADMIN)
    assert "Meldebescheinigungen" in admin.client.get("/office/data-protection/deletions").text


@SQLITE
def test_the_holder_reads_until_when_it_is_kept(application: Application) -> None:
    number = issued(application, email="marie@example.org")
    client = browser(application)
    visit(client, application, number, RESIDENCE)
    rights = client.get("/p/pass/data/rights").text
    assert "Bescheinigung, Name und Anschriften bis zum 19.03.2027" in rights
    assert "Verwarnungsgeld" not in rights
    assert send(client, "/p/pass/data/rights/erase", page="/p/pass/data/rights").status_code == 422
