"""The office's figures, on both databases: what is counted, what never is, and how it is shown."""

from __future__ import annotations

import csv
import io
import re
from datetime import date, datetime, timedelta

import pytest
from sqlalchemy import event, select

from issuer import lifecycle
from issuer.application import Application
from issuer.cases.states import CaseState
from issuer.figures import office
from issuer.figures.office import OPEN_STATES, Carrier
from issuer.lifecycle import Actor
from issuer.models import PassTermRow
from issuer.staff.permissions import Role
from passes.periods import BERLIN
from tests.issuer.console.people import settle
from tests.issuer.figures.samples import (
    STAFF,
    add_cases,
    put_in_eudi_wallet,
    put_on_apple,
    put_on_google,
    set_wallet,
)
from tests.issuer.nightly.samples import far_away, give_period
from tests.service import CARD, PERMIT, City, running_numbers

SQLITE = pytest.mark.parametrize("city", ["sqlite"], indirect=True)


def counts(application: Application, type_id: str = PERMIT) -> dict[Carrier, int]:
    with application.reading() as session:
        return next(
            dict(one.counts) for one in office.adoption(session, application) if one.type_id == type_id
        )


def test_adoption_by_what_passes_have(application: Application) -> None:
    far_away(application)
    numbers = running_numbers(application)
    everybody = counts(application)
    assert everybody[Carrier.PAPER] == sum(everybody.values()) == len(numbers)
    apple, two_phones, google, both, removed, withdrawn, suspended = numbers[:7]
    put_on_apple(application, apple)
    put_on_apple(application, two_phones, devices=3)
    put_on_google(application, google)
    put_on_apple(application, both)
    put_on_google(application, both, "saved")
    put_on_google(application, removed, "removed")
    put_on_apple(application, withdrawn)
    set_wallet(application, withdrawn, withdrawn_at=application.now())
    put_on_apple(application, suspended)
    with application.writing() as session:
        actor = Actor("t", application.now(), "Test")
        lifecycle.suspend(session, application.tenant, PERMIT, suspended, actor=actor)
    assert counts(application) == {
        Carrier.APPLE: 2,
        Carrier.GOOGLE: 1,
        Carrier.BOTH: 1,
        Carrier.EUDI: 0,
        Carrier.PAPER: len(numbers) - 5,
    }
    cards = counts(application, CARD)
    assert cards[Carrier.PAPER] == sum(cards.values()) == len(running_numbers(application, CARD))


def test_an_eudi_wallet_is_no_paper(application: Application, neighbour: Application) -> None:
    far_away(application)
    numbers = running_numbers(application)
    alone, twice, beside_apple, ended, invalid, superseded, theirs = numbers[:7]
    put_in_eudi_wallet(application, alone)
    put_in_eudi_wallet(application, twice)
    put_in_eudi_wallet(application, twice)
    put_on_apple(application, beside_apple)
    put_in_eudi_wallet(application, beside_apple)
    put_in_eudi_wallet(application, ended, days=-1)
    put_in_eudi_wallet(application, invalid, status_value=1)
    put_in_eudi_wallet(application, superseded, superseded_at=application.now())
    # A number of the same name in another city.
    put_in_eudi_wallet(neighbour, theirs)
    assert counts(application) == {
        Carrier.APPLE: 1,
        Carrier.GOOGLE: 0,
        Carrier.BOTH: 0,
        Carrier.EUDI: 2,
        Carrier.PAPER: len(numbers) - 3,
    }


def test_a_phone_with_an_older_serial_has_nothing(application: Application) -> None:
    number = running_numbers(application)[0]
    put_on_apple(application, number)
    assert counts(application)[Carrier.APPLE] == 1
    pass_type = application.pass_types[PERMIT]
    with application.writing() as session:
        lifecycle.reissue(
            session, application.tenant, pass_type, number,
            seal_for=application.sealer(session, pass_type), actor=Actor("t", application.now(), "Test"),
        )  # fmt: skip
    assert counts(application)[Carrier.APPLE] == 0


def zone_of(application: Application, number: str) -> str:
    with application.reading() as session:
        query = select(PassTermRow.value).filter_by(tenant=application.tenant, kind="zone", number=number)
        return session.scalars(query).one()


def test_the_wave_by_week_and_zone(city: City, application: Application) -> None:
    # Friday 20 November 2026: the week began on the 16th.
    far_away(application)
    yesterday, today, sunday, monday, last, beyond = running_numbers(application)[:6]
    first = date(2026, 1, 1)
    for number, ends in (
        (yesterday, date(2026, 11, 19)),
        (today, date(2026, 11, 20)),
        (sunday, date(2026, 11, 22)),
        (monday, date(2026, 11, 23)),
        (last, date(2027, 5, 16)),
        (beyond, date(2027, 5, 17)),
    ):
        give_period(application, number, first, ends)
    with application.writing() as session:
        actor = Actor("t", application.now(), "Test")
        lifecycle.suspend(session, application.tenant, PERMIT, monday, actor=actor)
        lifecycle.revoke(session, application.tenant, PERMIT, last, actor=actor)
    with application.reading() as session:
        wave = office.wave(session, application)
    assert wave.weeks[0] == date(2026, 11, 16)
    assert wave.weeks[-1] == date(2027, 5, 10)
    assert len(wave.weeks) == 26
    found = {week: wave.of_week(week) for week in wave.weeks if wave.of_week(week)}
    assert found == {date(2026, 11, 16): 2, date(2026, 11, 23): 1}
    assert wave.of_week(date(2026, 11, 23), zone_of(application, monday)) == 1
    assert set(wave.zones) == {zone_of(application, one) for one in (today, sunday, monday)}


def test_cases_by_state_and_days_in_berlin(city: City, application: Application) -> None:
    city.clock.at = datetime(2027, 4, 1, 0, 30, tzinfo=BERLIN)
    noon = datetime(2027, 4, 1, 12, 0, tzinfo=BERLIN)
    for days, count in ((0, 1), (7, 2), (8, 3), (14, 4), (15, 5), (28, 6), (29, 7), (300, 8)):
        add_cases(application, CaseState.SUBMITTED, noon - timedelta(days=days), count)
    # The seventh day before began with winter time: 0:15 belongs to it, 23:45 does not.
    add_cases(application, CaseState.DOCUMENTS, datetime(2027, 3, 25, 0, 15, tzinfo=BERLIN))
    add_cases(application, CaseState.DOCUMENTS, datetime(2027, 3, 24, 23, 45, tzinfo=BERLIN))
    for state in (CaseState.DRAFT, CaseState.ISSUED, CaseState.REFUSED, CaseState.LAPSED):
        add_cases(application, state, None)
    with application.reading() as session:
        cases = office.open_cases(session, application)
    assert cases.of_state(CaseState.SUBMITTED) == [3, 7, 11, 15]
    assert cases.of_state(CaseState.DOCUMENTS) == [1, 1, 0, 0]
    assert {state for state, _ in cases.counts} == {CaseState.SUBMITTED, CaseState.DOCUMENTS}
    assert {CaseState.DRAFT, CaseState.ISSUED}.isdisjoint(OPEN_STATES)


def test_no_query_and_no_page_knows_of_staff_or_persons(city: City, application: Application) -> None:
    """Whatever is asked of the register for the figures names no column about a person of the office or outside."""
    add_cases(application, CaseState.SECOND_LOOK, application.now(), 3)
    person = settle(application, city.clock, "zacharias", Role.SUPERVISOR)
    statements: list[str] = []

    def note(_: object, __: object, statement: str, parameters: object, *___: object) -> None:
        statements.append(f"{statement} {parameters}")

    event.listen(application.engine, "before_cursor_execute", note)
    with application.reading() as session:
        office.adoption(session, application)
        office.wave(session, application)
        office.open_cases(session, application)
    event.remove(application.engine, "before_cursor_execute", note)
    asked = [one for one in statements if "SELECT" in one]
    assert len(asked) == 3
    forbidden = re.compile(
        r"staff|proposed_by|decided_by|actor|audit|holder|family|name\b|person|attributes|record|facts|plate",
        re.I,
    )
    for one in asked:
        assert not forbidden.search(one.replace("resident-parking-permit", "")), one
    page = person.client.get("/office/figures")
    files = [person.client.get(f"/office/figures/{name}.csv") for name in ("adoption", "ending", "cases")]
    # The page's head names the person who is logged in, and nothing else does.
    main = page.text.partition("<main")[2]
    for text in (main, *(one.text for one in files)):
        assert STAFF.partition(":")[2].lower() not in text.lower()
        assert not any(number in text for number in running_numbers(application))
    assert "/office/passes/" not in main


@SQLITE
def test_the_page_and_its_files(city: City, application: Application) -> None:
    number = running_numbers(application)[0]
    put_on_apple(application, number)
    add_cases(application, CaseState.SUBMITTED, application.now() - timedelta(days=20), 4)
    person = settle(application, city.clock, "anna", Role.AUDITOR)
    page = person.client.get("/office/figures")
    assert page.status_code == 200
    assert page.text.count('<svg class="chart"') == 4
    assert page.text.count("<caption") == page.text.count("</table>") == 3
    assert page.text.count('role="img"') == page.text.count("<desc id=") == 4
    assert "style=" not in page.text.partition("<main")[2]
    assert "Nur Apple Wallet: 1 (" in page.text
    ids = re.findall(r'\bid="([^"]+)"', page.text)
    assert sorted(ids) == sorted(set(ids))
    for one in re.findall(r'aria-labelledby="([^"]+)"|url\(#([^)]+)\)', page.text):
        assert set((one[0] or one[1]).split()) <= set(ids)
    zone = zone_of(application, number)
    assert f"Zone {zone}" in person.client.get(f"/office/figures?zone={zone}").text
    assert "Zone <" not in person.client.get("/office/figures?zone=%3Cb%3E").text
    answer = person.client.get("/office/figures/cases.csv?lang=en")
    assert answer.headers["content-disposition"].startswith('attachment; filename="cases-2026-11-')
    assert answer.headers["cache-control"] == "no-store"
    rows = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig")), delimiter=";"))
    assert rows[0] == ["State", "0 to 7 days", "8 to 14 days", "15 to 28 days", "29 days and more", "Total"]
    assert rows[1] == ["To be checked", "0", "0", "4", "0", "4"]
    assert len(rows) == 1 + len(OPEN_STATES)


@SQLITE
def test_an_empty_register(city: City, application: Application, neighbour: Application) -> None:
    city.clock.at += timedelta(days=3650)
    person = settle(application, city.clock, "anna", Role.ADMIN)
    page = person.client.get("/office/figures?lang=en")
    assert page.status_code == 200
    assert "No pass is valid today." in page.text
