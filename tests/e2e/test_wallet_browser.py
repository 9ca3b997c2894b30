# The fixtures of the browsers are this module's as well.
# ruff: noqa: F401, F811
"""Asking a wallet in a real browser: at the counter, in the library, in an application; with a wallet that is strict
about OpenID4VP, with and without JavaScript.

Needs Debian's chromium; without it the tests are skipped.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import zxingcpp
from httpx import Client
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from issuer.cases import access, steps, store
from issuer.cases.facts import CaseKind, Channel, ProofCredential
from issuer.cases.store import CaseActor
from issuer.register import load_contents
from issuer.staff.permissions import Role
from tests.browsers import DESKTOP, NARROW, SQLITE, Site, check, chromium, context, site
from tests.e2e.test_apply_browser import picture
from tests.e2e.test_every_page import all_by_tab
from tests.eudi_presenting_wallet import MDOC, SD_JWT, PresentingWallet, Question
from tests.issuer.cases.office import ERIKA, WANTED
from tests.issuer.console.test_browser import first_visit, link_for
from tests.issuer.presentations.conftest import wallet_of
from tests.issuer.presentations.samples import CARD, RESIDENCE, own
from tests.passes.credential_samples import residence
from tests.service import PERMIT, City, running_numbers
from tests.web_pages import needs_chromium

pytestmark = [pytest.mark.slow, needs_chromium]
SOON = 30_000
# On a phone with scripts, and on a desk without.
WAYS = pytest.mark.parametrize(
    ("language", "options"),
    [
        ("de", {"viewport": NARROW}),
        ("en", {"viewport": DESKTOP, "java_script_enabled": False, "color_scheme": "dark"}),
    ],
)
# Somebody of zone BÖ whom the residents' register does not know.
APPLICANT = replace(
    ERIKA, family_name="Übermut", street="Börsenwiesenweg", house_number="12a", postal_code="40470"
)
LIVES = {
    "family_name": "ÜBERMUT",
    "given_names": "Erika Maria",
    "main_street": "Boersenwiesenweg",
    "main_house_number": "12 A",
    "main_postal_code": "40470",
}


class LocalWallet(PresentingWallet):
    """A wallet that believes this machine without https, and is as strict in all else."""

    def _checked(self, claims: dict[str, Any], host: str | None) -> Question:
        address = str(claims["response_uri"])
        made = super()._checked(claims | {"response_uri": address.replace("http:", "https:", 1)}, host)
        return Question(claims, made.query, made.encryption_key)


@pytest.fixture(autouse=True)
def switched_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STADTPASS_EUDI_ENABLED", "true")


@pytest.fixture
def wallet(site: Site) -> Iterator[LocalWallet]:
    with Client() as client:
        usual = wallet_of(site.application, client)  # type: ignore[arg-type]
        yield LocalWallet(client, usual.now, usual.root)


def scanned(page: Page) -> str:
    """What a camera reads from the screen."""
    source = page.locator(".code img").get_attribute("src")
    assert source is not None
    picture = Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2])))
    [code] = zxingcpp.read_barcodes(picture)
    return code.text


def looked(page: Page, name: str, language: str, options: dict[str, Any]) -> None:
    """With scripts axe looks as well."""
    picture(page, f"wallet-{name}-{language}")
    if options.get("java_script_enabled", True):
        check(page, name, language)
        all_by_tab(page, name)


def state(page: Page, text: str) -> None:
    expect(page.locator("#wallet h2").first).to_contain_text(text, timeout=SOON)


@SQLITE
@WAYS
def test_at_the_counter(
    chromium: Browser, site: Site, city: City, wallet: LocalWallet, language: str, options: dict[str, Any]
) -> None:
    words = {
        "de": ("Wartet", "gelesen", "Der Nachweis gilt", "Müller-Đặng", "Es wurde nichts gezeigt"),
        "en": ("Waiting", "has read", "credential is valid", "Müller-Đặng", "Nothing was shown"),
    }[language]
    wallet.held = [own(site.application, RESIDENCE, MDOC)]
    with context(chromium, locale=f"{language}-DE", **options) as browser:
        page = browser.new_page()
        first_visit(page, site, city, link_for(site, "erika", Role.CLERK))
        page.goto(f"{site.url}/office/wallet")
        looked(page, "ask", language, options)
        page.locator("main form button").click()
        state(page, words[0])
        looked(page, "waiting", language, options)
        question = wallet.read(scanned(page))
        state(page, words[1])
        looked(page, "opened", language, options)
        assert wallet.answer(question).status_code == 200
        state(page, words[2])
        looked(page, "holds", language, options)
        assert words[3] not in page.content()
        page.locator("#wallet form button").click()
        expect(page.locator("main dl")).to_contain_text(words[3])
        looked(page, "shown", language, options)
        page.locator("main form button").last.click()
        state(page, words[0])
        wallet.decline(wallet.read(scanned(page)))
        state(page, words[4])
        looked(page, "declined", language, options)
        # Gone with the page: neither here nor by the way back.
        page.goto(f"{site.url}/office")
        page.go_back()
        assert words[3] not in page.content()


@SQLITE
def test_in_the_library_on_its_own_tablet(
    chromium: Browser, site: Site, city: City, wallet: LocalWallet
) -> None:
    application = site.application
    number = running_numbers(application, CARD)[0]
    with application.reading() as session:
        [content] = load_contents(session, application.tenant, application.pass_types[CARD], [number])
    wallet.held = [own(application, CARD, SD_JWT, content=content)]
    with context(chromium, viewport=NARROW) as browser:
        page = browser.new_page()
        first_visit(page, site, city, link_for(site, "lena", Role.LIBRARIAN))
        page.goto(f"{site.url}/office/library")
        page.get_by_role("link", name="EUDI-Wallet anfragen").click()
        page.locator("main form button").click()
        state(page, "Wartet")
        link = page.locator("a[href^='openid4vp:']").get_attribute("href")
        assert link is not None
        told = wallet.answer(wallet.read(link)).json()
        # The wallet opens the browser: a new page of it, which nothing of ours has led to.
        page = browser.new_page()
        page.goto(told["redirect_uri"])
        state(page, "Der Nachweis gilt")
        page.locator("#wallet form button").click()
        expect(page.get_by_role("heading", name="Der Ausweis steht im Register.")).to_be_visible()
        looked(page, "member", "de", {})
        page.get_by_role("link", name="Zum Mitglied").click()
        page.wait_for_url(f"**/office/library/members/{CARD}/{number}")


@SQLITE
@WAYS
def test_in_an_application(
    chromium: Browser, site: Site, wallet: LocalWallet, language: str, options: dict[str, Any]
) -> None:
    words = {
        "de": ("Wartet", "hat geantwortet", "nachgewiesen", "andere Anschrift", "gelesen"),
        "en": ("Waiting", "has answered", "proven", "another address", "has read"),
    }[language]
    application = site.application
    with application.writing() as session:
        by = CaseActor("holder", application.now())
        begun = store.begin(session, application.tenant, CaseKind.NEW, PERMIT, Channel.ONLINE, by)
        steps.save_draft(session, application.tenant, begun.id, by, WANTED, APPLICANT)
        link = access.create_link(session, application, begun.id)
    is_phone = options["viewport"] is NARROW
    with context(chromium, locale=f"{language}-DE", **options) as browser:
        page = browser.new_page()
        page.goto(link)
        page.locator("main form button").click()
        page.goto(f"{site.url}/apply/documents")
        looked(page, "documents", language, options)
        page.locator("form[action='/apply/wallet'] button").click()
        state(page, words[0])
        looked(page, "apply-waiting", language, options)
        # First the wallet of somebody who has moved.
        wallet.held = [
            own(application, RESIDENCE, SD_JWT, content=residence(LIVES | {"main_house_number": "14"}))
        ]
        question = wallet.read(scanned(page))
        state(page, words[4])
        assert wallet.answer(question).status_code == 200
        state(page, words[1])
        looked(page, "apply-holds", language, options)
        page.locator("#wallet form button").click()
        expect(page.get_by_role("status")).to_contain_text(words[3])
        looked(page, "apply-differs", language, options)
        wallet.held = [own(application, RESIDENCE, SD_JWT, content=residence(LIVES))]
        page.locator("form[action='/apply/wallet'] button").click()
        state(page, words[0])
        if is_phone:
            # On the phone itself the wallet leads back to the page, with its code.
            here = page.locator("a[href^='openid4vp:']").get_attribute("href")
            assert here is not None
            page.goto(wallet.answer(wallet.read(here)).json()["redirect_uri"])
        else:
            assert wallet.answer(wallet.read(scanned(page))).status_code == 200
        state(page, words[1])
        page.locator("#wallet form button").click()
        expect(page.get_by_role("status")).to_contain_text(words[2])
        looked(page, "apply-proven", language, options)
    with application.reading() as session:
        proof = store.find(session, application.tenant, begun.id).facts.residence_proof
    assert proof is not None
    assert proof.credential is ProofCredential.RESIDENCE_CERTIFICATE
