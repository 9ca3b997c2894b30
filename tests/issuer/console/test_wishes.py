"""Requests about data as the office sees them."""

from __future__ import annotations

from issuer.application import Application
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
