# The fixtures of the browsers are this module's as well.
# ruff: noqa: F401, F811
"""The figures in a real browser: axe, 320 px and desktop, light and dark, both languages, by keyboard.

Needs Debian's chromium; without it the test is skipped.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import update

from issuer.cases.states import CaseState
from issuer.figures.months import NAME, run
from issuer.models import PassRow
from issuer.nightly.reports import Report
from issuer.staff.permissions import Role
from passes.periods import BERLIN, berlin_day
from tests.browsers import (
    DESKTOP,
    NARROW,
    SQLITE,
    Site,
    check,
    chromium,
    context,
    site,
    tab_to,
)
from tests.issuer.console.test_browser import first_visit, link_for, picture
from tests.issuer.figures.samples import add_cases, put_on_apple, put_on_google
from tests.issuer.figures.test_months import switch_on
from tests.service import PERMIT, City, running_numbers
from tests.web_pages import needs_chromium

pytestmark = [
    pytest.mark.slow,
    needs_chromium,
]


def letters(page: Page) -> list[float]:
    """The sizes of all letters in charts, in CSS pixels as they are on the screen."""
    found: list[float] = page.eval_on_selector_all(
        "svg.chart text",
        "all => all.filter(one => one.getBoundingClientRect().width)"
        ".map(one => parseFloat(getComputedStyle(one).fontSize) * one.getScreenCTM().a)",
    )
    return found


def overlapping(page: Page) -> list[str]:
    """Texts of a chart that lie on one another."""
    found: list[str] = page.evaluate(
        """() => [...document.querySelectorAll("svg.chart")].flatMap(chart => {
            const texts = [...chart.querySelectorAll("text")]
                .map(one => [one.textContent, one.getBoundingClientRect()]).filter(([, box]) => box.width);
            return texts.flatMap(([name, a], n) => texts.slice(n + 1)
                .filter(([, b]) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom)
                .map(([other]) => `${name} / ${other}`));
        })"""
    )
    return found


def fill(site: Site, city: City) -> None:
    """Permits that end over half a year, some in wallets, cases of all ages, and three months of open data."""
    numbers = running_numbers(site.application)
    today = city.clock.at.date()
    with site.application.writing() as session:
        for place, number in enumerate(numbers):
            last = today + timedelta(days=(place * place * 7) % 181)
            session.execute(
                update(PassRow)
                .filter_by(tenant=site.application.tenant, type_id=PERMIT, number=number)
                .values(period_first=date(2026, 1, 1), period_last=last)
            )
    for number in numbers[:15]:
        put_on_apple(site.application, number)
    for number in numbers[12:20]:
        put_on_google(site.application, number)
    for state, many in (
        (CaseState.SUBMITTED, (14, 6, 3, 1)),
        (CaseState.DOCUMENTS, (2, 5, 4, 0)),
        (CaseState.SECOND_LOOK, (1, 0, 0, 0)),
        (CaseState.AWAITING_PAYMENT, (3, 2, 2, 4)),
    ):
        for days, count in zip((2, 10, 20, 60), many, strict=True):
            if count:
                add_cases(site.application, state, city.clock.at - timedelta(days=days), count)


@pytest.mark.parametrize(("language", "size", "scheme"), [("de", NARROW, "light"), ("en", DESKTOP, "dark")])
@SQLITE
def test_figures_and_open_data(
    chromium: Browser, site: Site, city: City, language: str, size: dict[str, int], scheme: str
) -> None:
    fill(site, city)
    switch_on(
        site.application,
        open_data_threshold=3,
        open_data_contributor="http://dcat-ap.de/def/contributors/openNRW",
        open_data_geocoding="http://dcat-ap.de/def/politicalGeocoding/municipalityKey/05111000",
    )
    locale = {"de": "de-DE", "en": "en-GB"}[language]
    name = f"{language}-{size['width']}-figures"
    with context(chromium, viewport=size, locale=locale, color_scheme=scheme) as browser:
        page = browser.new_page()
        complaints: list[str] = []
        page.on(
            "console", lambda one: complaints.append(one.text) if "Content Security" in one.text else None
        )
        first_visit(page, site, city, link_for(site, "erika", Role.SUPERVISOR))
        page.goto(site.url + "/office/figures")
        picture(page, name)
        check(page, "figures", language)
        assert min(letters(page)) >= 15
        assert overlapping(page) == []
        with page.expect_download() as told:
            page.locator('a[href$="/ending.csv"]').click()
        assert told.value.suggested_filename.startswith("ending-2026-11-")
        # By keyboard: a zone is chosen, shown, and the table can be scrolled.
        page.locator("#zone").focus()
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.wait_for_url("**zone=*")
        zone = page.locator("#zone").input_value()
        expect(page.locator("#ending-chart-title")).to_contain_text(zone)
        assert overlapping(page) == []
        region = page.get_by_role("region").nth(1)
        region.focus()
        page.keyboard.press("PageDown")
        scrolled = "document.querySelector('.figures-scroll').scrollTop"
        for _ in range(100):
            if page.evaluate(scrolled):
                break
            page.wait_for_timeout(50)
        assert page.evaluate(scrolled) > 0
        city.clock.at = datetime(2027, 1, 2, 3, 0, tzinfo=BERLIN)
        run(site.application, Report(site.application, berlin_day(city.clock.at), NAME))
        page.goto(site.url + "/open-data")
        picture(page, f"{name}-open")
        check(page, "open data", language)
        expect(page.get_by_role("link", name="catalogue.jsonld")).to_be_visible()
        expect(page.locator("thead th")).to_have_count(3)
        assert complaints == []
