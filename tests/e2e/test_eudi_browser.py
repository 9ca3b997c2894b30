# The fixtures of the browsers are this module's as well.
# ruff: noqa: F401, F811
"""The pages on the way into an EUDI Wallet, in a real browser: the offer, the consent, and the way back to it.

Needs Debian's chromium; without it the tests are skipped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from httpx import Client
from playwright.sync_api import Browser

from tests.browsers import DESKTOP, NARROW, SQLITE, Site, check, chromium, context, open_pass, site
from tests.e2e.test_every_page import all_by_tab
from tests.eudi_issuing_wallet import Wallet
from tests.service import CARD, running_numbers
from tests.web_pages import needs_chromium

pytestmark = [
    pytest.mark.slow,
    needs_chromium,
]
BACK = "https://wallet.example/cb"
VERIFIER = "v" * 50


@pytest.fixture(autouse=True)
def switched_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STADTPASS_EUDI_ENABLED", "true")
    monkeypatch.setenv("STADTPASS_EUDI_REDIRECT_URIS", BACK)


@pytest.fixture
def wallet(site: Site) -> Iterator[Wallet]:
    with Client() as client:
        made = Wallet(client, site.application.now, site.url)
        made.discover()
        yield made


@SQLITE
@pytest.mark.parametrize("language", ["de", "en"])
def test_offer(chromium: Browser, site: Site, wallet: Wallet, language: str) -> None:
    number = running_numbers(site.application, CARD)[0]
    with context(chromium, viewport=NARROW, locale=f"{language}-DE") as browser:
        page = browser.new_page()
        open_pass(page, site, number, CARD)
        page.locator("#offer-eudi button").click()
        page.wait_for_url("**/p/pass/eudi")
        check(page, "offer", language)
        all_by_tab(page, "offer")
        link = page.locator("a[href^='openid-credential-offer:']").get_attribute("href")
        assert link is not None
        assert wallet.redeem(wallet.read_offer(link)).status_code == 200


@SQLITE
@pytest.mark.parametrize("language", ["de", "en"])
def test_consent(chromium: Browser, site: Site, wallet: Wallet, language: str) -> None:
    number = running_numbers(site.application, CARD)[0]
    pushed = wallet.push(f"{CARD}.sd-jwt", VERIFIER, redirect_uri=BACK)
    address = wallet.page(pushed.json()["request_uri"])
    with context(chromium, viewport=NARROW, locale=f"{language}-DE") as browser:
        page = browser.new_page()
        page.goto(address)
        check(page, "log in", language)
        all_by_tab(page, "log in")
        open_pass(page, site, number, CARD)
        page.goto(address)
        check(page, "consent", language)
        all_by_tab(page, "consent")
        # The page's policy lets the form lead to the wallet and nowhere else: what it stops is not asked for at all.
        with page.expect_request(re.compile(re.escape(BACK) + r"\?")) as back:
            page.locator("main form[method=post] button[type=submit]").first.click()
        assert "code=" in back.value.url
        page = browser.new_page()
        page.goto(address)
        check(page, "gone", language)
