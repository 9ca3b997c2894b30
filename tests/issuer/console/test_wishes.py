"""Requests about data, and the code of a pass, as the office sees them."""

from __future__ import annotations

from issuer.application import Application
from issuer.staff.accesses import find_accesses
from issuer.staff.permissions import Role
from tests.issuer.console.people import settle
from tests.issuer.pickup.browser import browser, send, visit
from tests.service import PERMIT, City, running_numbers


def test_what_holders_ask_for_is_seen_with_its_day(city: City, application: Application) -> None:
    number = running_numbers(application)[0]
    clerk = settle(application, city.clock, "clerk", Role.CLERK)
    assert "niemand etwas vermerkt" in clerk.client.get("/office/wishes").text
    with browser(application) as client:
        visit(client, application, number)
        send(client, "/p/pass/data/rights/ask", "/p/pass/data/rights", request="objection")
    page = clerk.client.get("/office/wishes").text
    assert f'href="/office/passes/{PERMIT}/{number}"' in page
    assert "Antwort bis 20.12.2026" in page
    assert "Ich widerspreche" in page
    assert "/office/wishes" in clerk.client.get("/office").text
    city.clock.forward(days=93)
    later = settle(application, city.clock, "later", Role.SUPERVISOR)
    assert number not in later.client.get("/office/wishes").text


def test_the_code_is_seen_without_a_name_and_the_look_is_noted(city: City, application: Application) -> None:
    number = running_numbers(application)[0]
    auditor = settle(application, city.clock, "auditor", Role.AUDITOR)
    clerk = settle(application, city.clock, "clerk", Role.CLERK)
    page = auditor.client.get(f"/office/seals?q={number.lower()}").text
    assert "Sie passt zum Schlüssel der Stadt" in page
    assert "d2 84" in page
    assert "keinen Ausweis" in auditor.client.get("/office/seals?q=BPA-0000-000000").text
    assert clerk.client.get("/office/seals").status_code == 403
    with application.reading() as session:
        [look] = find_accesses(session, application, f"{PERMIT}/{number}", most=5)
    assert look.login == "auditor"
