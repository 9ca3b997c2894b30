# The fixtures of the browsers are this module's as well.
# ruff: noqa: F401, F811
"""Every page of the office and of holders, as the tables of routes have them: axe finds nothing, and whatever can be
used is reached with the Tab key alone.

Needs Debian's chromium; without it the tests are skipped.
"""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

import pytest
from playwright.sync_api import Browser, Page

from issuer.cases import access, steps, store
from issuer.cases.facts import CaseKind, Channel
from issuer.cases.store import CaseActor
from issuer.staff.permissions import PERMISSIONS, Role
from issuer.web.app import routed
from tests.browsers import (
    DESKTOP,
    NARROW,
    SQLITE,
    Site,
    check,
    chromium,
    context,
    open_pass,
    site,
)
from tests.issuer.cases.office import ERIKA, WANTED
from tests.issuer.console.permit_office import PermitOffice
from tests.issuer.console.test_browser import first_visit, link_for
from tests.issuer.residence.registry import ERIKA as ERIKA_OF_THE_REGISTER
from tests.issuer.residence.registry import HOME, issued, write_register
from tests.service import CARD, PERMIT, City, running_numbers
from tests.web_pages import needs_chromium

pytestmark = [
    pytest.mark.slow,
    needs_chromium,
]
# No pages: files, and answers that lead on.
FILE = re.compile(r"\.(csv|json|jsonld|pdf|pkpass|pkpasses|html)$|/file$|/dpia$|/evidence/|/letters/|/oidc/")
# Pages that only exist for a moment on the way somewhere; each has its own test in a browser.
ELSEWHERE = {
    "/office/login": "test_browser", "/office/login/code": "test_browser", "/office/factor": "test_browser",
    "/office/welcome/{token}": "test_browser",
    "/office/imports/{run_id}": "test_imports_browser", "/office/imports/{run_id}/undo": "test_imports_browser",
    "/office/library/print/{run_id}": "test_library_browser",
    "/office/print/{run_id}": "test_admin_browser", "/office/devices/{device_id}": "test_admin_browser",
    "/office/wallet/{asked_id}": "test_wallet_browser", "/office/wallet/{asked_id}/back": "test_wallet_browser",
    "/office/library/wallet/{asked_id}": "test_wallet_browser",
    "/office/library/wallet/{asked_id}/back": "test_wallet_browser",
    "/apply/wallet/{asked_id}": "test_wallet_browser",
    "/p/l/{token}": "test_pickup_browser", "/p/l/{token}/new": "test_pickup_browser",
    "/p/family": "test_family_browser", "/p/family/phone": "test_family_browser",
    "/p/pass/show": "test_library_codes",
    "/p/family/card/{number}/show": "test_family_browser",
    "/p/pass/plate/confirm": "test_holder_browser", "/p/pass/wallets": "test_pickup_browser",
    "/payments/start/{payment_id}": "test_permit_life", "/payments/return/{payment_id}": "test_permit_life",
    "/payments/demo/{transaction_id}": "test_permit_life",
}  # fmt: skip
MARK = """() => {
  let count = 0;
  const all = 'a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex="0"]';
  for (const one of document.querySelectorAll(all)) {
    // What lies in a closed part comes when that is opened.
    const unseen = one.disabled || !one.checkVisibility({visibilityProperty: true});
    // The arrows go from one radio button to the next: a group is one stop.
    if (!unseen) one.dataset.stop = one.type === 'radio' ? `radio ${one.name}` : String(count++);
  }
  globalThis.stops = new Set();
  document.addEventListener('focusin', (event) => stops.add(event.target.dataset.stop ?? ''));
  return [...document.querySelectorAll('[data-stop]')].map((one) => one.dataset.stop);
}"""
# How many keys are pressed until the browser is asked where they have led.
PRESSED_AT_ONCE = 8


def all_by_tab(page: Page, what: str) -> None:
    """Whatever can be used is reached by Tab, from the top of the page."""
    wanted = set(page.evaluate(MARK))
    seen: set[str] = set()
    # A field for a day has a stop for each of its parts.
    for _ in range((4 * len(wanted) + 10) // PRESSED_AT_ONCE + 1):
        if wanted <= seen:
            return
        for _ in range(PRESSED_AT_ONCE):
            page.keyboard.press("Tab")
        seen |= set(page.evaluate("[...stops]"))
    if wanted <= seen:
        return
    left = wanted - seen
    html = [
        page.locator(f'[data-stop="{one}"]').first.evaluate("(one) => one.outerHTML") for one in sorted(left)
    ]
    raise AssertionError(f"{what}: not by Tab: {html}")


def look(page: Page, address: str, language: str = "de") -> None:
    answer = page.goto(address)
    assert answer is not None
    assert answer.status == 200, (address, answer.status)
    # Where a page leads on because there is nothing to show, it is no test of that page.
    assert unquote(page.url.partition("?")[0]) == address, page.url
    check(page, address, language)
    all_by_tab(page, address)


@SQLITE
def test_every_page_of_the_office(chromium: Browser, site: Site, city: City, tmp_path: Path) -> None:
    application = site.application
    case = PermitOffice.of(city, application, tmp_path).submitted()
    revoked, number = running_numbers(application)[:2]
    member = running_numbers(application, CARD)[0]
    with application.writing() as session:
        by = CaseActor("staff:x", application.now())
        draft = store.begin(session, application.tenant, CaseKind.NEW, PERMIT, Channel.COUNTER, by)
        steps.save_draft(session, application.tenant, draft.id, by, WANTED, ERIKA)
    write_register(city.folder, ERIKA_OF_THE_REGISTER + HOME)
    certificate = issued(application)
    values = {"type_id": PERMIT, "number": number, "case_id": case.id, "zone": "BÖ", "step": "revoke"}
    pages = [name.removeprefix("GET ") for name in PERMISSIONS if name.startswith("GET ")]
    with context(chromium, viewport=DESKTOP) as browser:
        page = browser.new_page()
        first_visit(page, site, city, link_for(site, "erika", *Role))
        page.goto(f"{site.url}/office/accounts")
        account = page.get_by_role("link", name="Erika Muster").last.get_attribute("href")
        values["account_id"] = str(account).rpartition("/")[2]
        page.goto(f"{site.url}/office/passes/{PERMIT}/{revoked}/steps/revoke")
        page.locator("main input[type=radio]").first.check()
        page.locator("main form[method=post] button[type=submit]").click()
        page.wait_for_load_state("load")
        for path in pages:
            if FILE.search(path) or path in ELSEWHERE:
                continue
            given = dict(values)
            if "/counter/" in path:
                given["case_id"] = draft.id
            if "/library/members/" in path:
                given |= {"type_id": CARD, "number": member, "step": "block"}
            if "/office/residence/" in path:
                given["number"] = certificate
            if path.endswith("/reinstate"):
                given["number"] = revoked
            if path.endswith("/finish"):
                # There is nothing to finish before the case was handed in.
                continue
            look(page, site.url + path.format(**given))


@SQLITE
def test_every_page_of_a_holder(chromium: Browser, site: Site) -> None:
    application = site.application
    number = running_numbers(application)[0]
    with application.writing() as session:
        by = CaseActor("holder", application.now())
        begun = store.begin(session, application.tenant, CaseKind.NEW, PERMIT, Channel.ONLINE, by)
        steps.save_draft(session, application.tenant, begun.id, by, WANTED, ERIKA)
        link = access.create_link(session, application, begun.id)
    paths = sorted(
        {
            route.path_format
            for route in routed().routes
            if route.path_format.startswith(("/p", "/apply", "/accessibility"))
            and "GET" in getattr(route, "methods", ())
        }
    )
    assert len(paths) > 30
    with context(chromium, viewport=NARROW) as browser:
        page = browser.new_page()
        page.goto(link)
        page.locator("main form button[type=submit]").click()
        page.wait_for_url(re.compile("/apply/"))
        open_pass(page, site, number)
        # A draft that is filled in has no page that says how it stands, and nobody has to keep a link twice.
        for path in ["/", *paths]:
            if FILE.search(path) or path in ELSEWHERE or path in ("/apply/case", "/apply/l/{token}"):
                continue
            look(page, site.url + path)
