"""The office's tables of zones and fees by HTTP: looking, previewing, confirming, undoing, on both databases."""

from __future__ import annotations

import re
from datetime import date
from html import unescape
from typing import Any

import pytest
from httpx import Response
from sqlalchemy import insert

from issuer.application import Application
from issuer.console.euros import cents_of, shown, typed
from issuer.errors import IssuerRefusal
from issuer.models_cases import CaseRow
from issuer.rules.changes import made_changes
from issuer.rules.city_rules import CityRules, load_rules
from issuer.rules.quotes import Quote
from issuer.staff.permissions import Role
from tests.issuer.console.people import Colleague, form_token, settle
from tests.service import PERMIT, City

DAY = date(2027, 6, 1)


@pytest.fixture
def chief(city: City, application: Application) -> Colleague:
    return settle(application, city.clock, "chief", Role.SUPERVISOR)


def rules(application: Application) -> CityRules:
    with application.reading() as session:
        return load_rules(session, application.tenant, PERMIT)


def look(person: Colleague, path: str, **fields: Any) -> Response:
    return person.client.get(path, params={"valid_from": DAY.isoformat(), **fields})


def confirm(person: Colleague, page: Response, path: str) -> Response:
    """Send the form below the preview as a browser does."""
    assert page.status_code == 200, page.text
    form = re.search(rf'<form class="form" method="post" action="{path}">(.*?)</form>', page.text, re.S)
    assert form is not None, page.text
    fields = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', form[1])
    return person.client.post(path, data={name: unescape(value) for name, value in fields})


@pytest.mark.parametrize(
    ("text", "cents"),
    [
        ("30,70", 3070),
        ("30", 3000),
        ("0", 0),
        ("30,00 €", 3000),
        ("1.234,50", 123450),
        ("EUR 30,-", 3000),
        ("30,70\xa0€", 3070),
    ],
)
def test_amounts_as_germans_type_them(text: str, cents: int) -> None:
    assert cents_of(text) == cents
    assert cents_of(typed(cents)) == cents


@pytest.mark.parametrize(
    "text",
    ["", "30.70", "30,7", "30,705", "-1", "1e3", "1.23,00", "30,70,10", "３０", "9" * 30, "nan", "12.3456"],
)
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(IssuerRefusal, match="EURO_FORMAT"):
        cents_of(text)


def test_amounts_as_they_are_read() -> None:
    assert (shown(3070, "de"), shown(3005, "en"), shown(0, "de")) == ("30,70\xa0€", "€30.05", "0,00\xa0€")


def test_a_fee_is_looked_at_confirmed_and_taken_back(
    city: City, application: Application, chief: Colleague
) -> None:
    fields = {
        "tariff_class": "",
        "channel": "online",
        "term_months": "12",
        "offer": "yes",
        "reason": "Beschluss 7",
    }
    empty = chief.client.get("/office/fees/change", params=fields)
    assert 'name="euros" type="text" value="25,00"' in empty.text
    wrong = look(chief, "/office/fees/change", **fields, euros="30.70")
    assert wrong.status_code == 422
    assert 'href="#euros"' in wrong.text
    page = look(chief, "/office/fees/change", **fields, euros="30,70")
    assert "bisher 25,00\xa0€, dann 30,70\xa0€" in page.text
    assert "Laufende Ausweise:" in page.text
    with application.reading() as session:
        assert made_changes(session, application.tenant) == []
    answer = confirm(chief, page, "/office/fees")
    assert (answer.status_code, answer.headers["location"]) == (303, "/office/fees?done=changed"), answer.text
    found = rules(application).quote("BÖ", "online", 12, DAY)
    assert isinstance(found, Quote)
    assert found.cents == 3070
    listed = chief.client.get("/office/fees")
    assert "alle Klassen, online, 12 Monate: 30,70\xa0€" in listed.text
    assert "ab 01.06.2027: 30,70\xa0€" in listed.text
    then = chief.client.get("/office/fees", params={"day": "01.06.2027"})
    assert "<strong>30,70\xa0€</strong>" in then.text
    # The same once more is refused with a remedy.
    again = confirm(chief, page, "/office/fees")
    assert again.status_code == 409
    assert "So ist die Regel an diesem Tag schon" in again.text
    change = re.search(r'name="change" value="([0-9a-f]{32})"', listed.text)
    assert change is not None
    clerk = settle(application, city.clock, "clerk", Role.CLERK)
    seen = clerk.client.get("/office/fees")
    assert seen.status_code == 200
    assert "/office/rules/undo" not in seen.text
    assert "/office/fees/change" not in seen.text
    undone = chief.send("/office/rules/undo", change=change[1], back="fees")
    assert undone.headers["location"] == "/office/fees?done=undone"
    after = chief.client.get("/office/fees?done=undone")
    assert "zurückgenommen 20.11.2026" in after.text
    assert "Es ist nichts vorgesehen" in after.text


def test_fees_of_today_that_were_paid_stay(application: Application, chief: Colleague) -> None:
    page = look(
        chief, "/office/fees/change", channel="online", term_months="12", offer="yes", euros="40,00",
        valid_from="2026-11-20",
    )  # fmt: skip
    assert "So geht es nicht" in page.text
    assert "Möglich ab 21.11.2026" in page.text
    assert 'method="post" action="/office/fees"' not in page.text


def test_a_term_is_no_longer_offered(application: Application, chief: Colleague) -> None:
    page = look(chief, "/office/fees/change", channel="online", term_months="24", offer="no", euros="")
    assert "bisher 50,00\xa0€, dann nicht angeboten" in page.text
    assert confirm(chief, page, "/office/fees").status_code == 303
    assert rules(application).terms("standard", "BÖ", "online", DAY) == (12,)


def test_zones_are_merged_with_all_that_hangs_on_them(
    city: City, application: Application, chief: Colleague
) -> None:
    with application.writing() as session:
        session.execute(insert(CaseRow), [_case(application, "A-1", "GÄ"), _case(application, "A-2", "MÜ")])
    path = "/office/zones/G%C3%84"
    assert chief.client.get(f"{path}/change", params={"what": "merge"}).status_code == 200
    page = look(chief, f"{path}/change", what="merge", merged_into="MÜ")
    assert "A-1" in page.text
    assert "A-2" not in page.text
    assert "im Gebiet GÄ" in page.text
    answer = confirm(chief, page, "/office/zones")
    assert (answer.status_code, answer.headers["location"]) == (303, f"{path}?done=changed")
    one = chief.client.get(answer.headers["location"])
    assert "GÄ geht in MÜ auf" in one.text
    merged = rules(application).zone_on("GÄ", DAY)
    assert merged is not None
    assert merged.zone.code == "MÜ"
    # Once it has begun there is no way back but a new change.
    change = re.search(r'name="change" value="([0-9a-f]{32})"', one.text)
    assert change is not None
    city.clock.forward(days=200)
    chief.log_in()
    late = chief.send("/office/rules/undo", change=change[1], back="zones")
    assert late.status_code == 409
    assert "gilt schon" in late.text
    successor = chief.client.get("/office/zones/MÜ")
    assert "Aufgenommen" in successor.text
    assert "GÄ" in successor.text


def test_a_new_zone_with_an_umlaut_and_another_name_later(application: Application, chief: Colleague) -> None:
    page = look(chief, "/office/new-zone", code="NU\u0308", name="Nüsslein<b>hof", tariff_class="B")
    assert page.status_code == 422 or "<b>hof" not in page.text
    page = look(chief, "/office/new-zone", code="NU\u0308", name="Nüssleinhof", tariff_class="B")
    assert "bisher nicht angeboten, dann 25,00\xa0€" in page.text
    answer = confirm(chief, page, "/office/zones")
    assert answer.headers["location"] == "/office/zones/N%C3%9C?done=changed"
    assert rules(application).zones["NÜ"].zone.name == "Nüssleinhof"
    again = look(chief, "/office/new-zone", code="NÜ", name="x")
    assert (again.status_code, "gibt es schon" in again.text) == (422, True)
    same = look(chief, "/office/zones/NÜ/change", what="edit", name="Nüssleinhof", tariff_class="B")
    assert same.status_code == 422
    later = look(
        chief, "/office/zones/NÜ/change", what="edit", name="Nüssleinhof", tariff_class="C",
        valid_from="2027-07-01",
    )  # fmt: skip
    assert confirm(chief, later, "/office/zones").status_code == 303
    assert rules(application).zones["NÜ"].on(date(2027, 7, 1)).tariff_class == "C"
    past = look(chief, "/office/zones/NÜ/change", what="end", valid_from="2026-01-01")
    assert (past.status_code, "nicht rückwirkend" in past.text) == (422, True)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"street": "neumarktgaesschen", "number": "1", "postal_code": "40223"}, "NM"),
        ({"street": "Drakenhofstr", "number": "1"}, "Meinen Sie:"),
        ({"street": "<script>alert(1)</script>", "number": "1"}, "steht nicht im Straßenverzeichnis"),
    ],
)
def test_addresses(application: Application, chief: Colleague, query: dict[str, str], said: str) -> None:
    page = chief.client.get("/office/streets", params=query)
    assert page.status_code == 200
    assert said in page.text
    assert "<script>alert" not in page.text


def test_kinds_in_plain_words(application: Application, chief: Colleague) -> None:
    page = chief.client.get("/office/kinds")
    assert "ab 60 Tage vor dem letzten Tag" in page.text
    assert "zwei Personen" in page.text
    assert "Meldebescheinigung" in page.text


def test_what_is_not_there(application: Application, chief: Colleague) -> None:
    for path in ("/office/zones/QQ", "/office/zones/%3Cx%3E", "/office/zones/QQ/change"):
        assert chief.client.get(path).status_code == 404, path
    assert chief.client.get("/office/zones", params={"day": "31.02.2027"}).status_code == 422
    token = form_token(chief.client.get("/office/account"))
    foreign = chief.client.post("/office/fees", data={"channel": "online"})
    assert foreign.status_code == 403
    nothing = chief.client.post("/office/zones", data={"form_token": token, "what": "explode", "code": "MÜ"})
    assert nothing.status_code == 404
    nowhere = chief.client.post("/office/zones", data={"form_token": token, "what": "end", "code": "QQ"})
    assert nowhere.status_code == 404
    assert chief.send("/office/rules/undo", change="0" * 32).status_code == 409


def _case(application: Application, number: str, zone: str) -> dict[str, Any]:
    at = application.now()
    return {
        "tenant": application.tenant, "id": number.ljust(22, "x"), "number": number, "kind": "new",
        "type_id": PERMIT, "channel": "online", "state": "submitted", "version": 1,
        "facts": {"zone": zone, "term_months": 12}, "checks": [], "fee_cents": None, "person": None,
        "pass_number": None, "created_at": at, "state_since": at, "deadline": at,
    }  # fmt: skip
