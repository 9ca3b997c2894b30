# The fixtures of the browsers are this module's as well.
# ruff: noqa: F401, F811
"""An import in a real browser: upload, progress that moves by itself, table, confirmation, undo; axe on every page.

Needs Debian's chromium; without it the tests are skipped.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from issuer import lifecycle
from issuer.importing import file_check, run_work, runs
from issuer.importing.run_work import run_task
from issuer.lifecycle import Actor
from issuer.staff.permissions import Role
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
from tests.issuer.console.test_imports import fresh_rows
from tests.service import PERMIT, City
from tests.web_pages import needs_chromium

pytestmark = [
    pytest.mark.slow,
    needs_chromium,
]


def register_file(folder: Path) -> Path:
    """60 permits, of which 53 have a zone that the city has not: more than a page of messages."""
    lines = fresh_rows(60).decode().splitlines()
    zone = lines[0].split(";").index("zone_code")
    for place in range(1, 54):
        cells = lines[place].split(";")
        cells[zone] = "XX"
        lines[place] = ";".join(cells)
    file = folder / "altes Register.csv"
    file.write_text("\n".join(lines))
    return file


class Work:
    """The worker of an import, held up between two pieces until the test has looked."""

    def __init__(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        self.site = site
        self.go_on = threading.Semaphore(0)
        monkeypatch.setattr(file_check, "ROWS_AT_ONCE", 20)
        monkeypatch.setattr(run_work, "let_others_write", lambda: self.go_on.acquire(timeout=60))
        self.thread: threading.Thread | None = None

    def start(self) -> None:
        with self.site.application.reading() as session:
            [run_id] = runs.outstanding(session, self.site.application.tenant)
        self.thread = threading.Thread(target=run_task, args=(self.site.application, {"id": run_id}))
        self.thread.start()

    def finish(self) -> None:
        assert self.thread is not None
        self.go_on.release(1000)
        self.thread.join(timeout=60)
        assert not self.thread.is_alive()
        self.go_on = threading.Semaphore(0)


def show(page: Page, name: str, language: str) -> None:
    picture(page, name)
    check(page, name, language)


@pytest.mark.parametrize(("language", "size", "scheme"), [("de", NARROW, "light"), ("en", DESKTOP, "dark")])
@SQLITE
def test_an_import_from_upload_to_undo(
    chromium: Browser,
    site: Site,
    city: City,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    language: str,
    size: dict[str, int],
    scheme: str,
) -> None:
    file, work = register_file(tmp_path), Work(site, monkeypatch)
    locale, name = {"de": "de-DE", "en": "en-GB"}[language], f"imports-{language}-{size['width']}"
    with context(chromium, viewport=size, locale=locale, color_scheme=scheme) as browser:
        page = browser.new_page()
        complaints: list[str] = []
        page.on(
            "console", lambda one: complaints.append(one.text) if "Content Security" in one.text else None
        )
        first_visit(page, site, city, link_for(site, "erika", Role.SUPERVISOR, Role.CLERK))
        page.goto(site.url + "/office/imports")
        show(page, f"{name}-none", language)
        page.goto(site.url + "/office/imports/new")
        page.locator("main button[type=submit]").click()
        expect(page.locator("#errors")).to_be_focused()
        show(page, f"{name}-errors", language)
        page.check(f"#type-{PERMIT}")
        page.set_input_files("#file", file)
        show(page, f"{name}-new", language)
        # The browser brings the keyboard's users through the form as well.
        tab_to(page, "file")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.wait_for_url("**/office/imports/*done=uploaded")
        path = page.url.partition("?")[0]
        bar = page.locator("#progress-bar")
        expect(bar).to_have_attribute("value", "0")
        work.start()
        work.go_on.release()
        # By itself, without a reload.
        expect(bar).not_to_have_attribute("value", "0", timeout=30_000)
        expect(page.locator("#progress-text")).to_contain_text("%")
        show(page, f"{name}-checking", language)
        work.finish()
        expect(page.locator("table")).to_be_visible(timeout=30_000)
        expect(page.locator("tbody tr")).to_have_count(50)
        show(page, f"{name}-checked", language)
        page.locator("nav a[rel=next]").click()
        expect(page.locator("tbody tr")).to_have_count(3)
        page.goto(path)
        page.select_option("#code", "ZONE_UNKNOWN")
        page.locator("form[method=get] button").click()
        expect(page.locator("tbody code").first).to_have_text("ZONE_UNKNOWN")
        with page.expect_download() as download:
            page.locator("a[download]").click()
        assert download.value.path().read_text("utf-8-sig").count("\n") == 54
        page.locator("form[action$='/confirm'] button").click()
        page.wait_for_url("**done=confirmed")
        work.start()
        expect(bar).not_to_have_attribute("value", "0", timeout=30_000)
        show(page, f"{name}-importing", language)
        work.finish()
        expect(page.locator(".kern-badge--success").first).to_be_visible(timeout=30_000)
        show(page, f"{name}-imported", language)
        application = site.application
        with application.writing() as session:
            first = runs.newest(session, application, 1)[0]
            assert first.made == 7
            number = file.read_text().splitlines()[-1].partition(";")[0]
            actor = Actor("test", application.now(), "Test")
            lifecycle.revoke(session, application.tenant, PERMIT, number, actor=actor)
        page.goto(site.url + "/office/imports")
        show(page, f"{name}-list", language)
        page.goto(f"{path}/undo")
        expect(page.get_by_role("link", name=number)).to_be_visible()
        show(page, f"{name}-undo", language)
        tab_to(page, "touched-keep")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.wait_for_url(path)
        work.start()
        work.finish()
        expect(page.locator(".kern-badge--info").first).to_be_visible(timeout=30_000)
        expect(page.locator("#progress")).to_have_count(0, timeout=30_000)
        show(page, f"{name}-undone", language)
        assert complaints == []


@SQLITE
def test_without_javascript(
    chromium: Browser, site: Site, city: City, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, work = register_file(tmp_path), Work(site, monkeypatch)
    with context(chromium, java_script_enabled=False, viewport=DESKTOP) as browser:
        page = browser.new_page()
        first_visit(page, site, city, link_for(site, "erika", Role.SUPERVISOR))
        page.goto(site.url + "/office/imports/new")
        page.check(f"#type-{PERMIT}")
        page.set_input_files("#file", file)
        page.get_by_role("button", name="Hochladen und prüfen").click()
        page.wait_for_url("**done=uploaded")
        work.start()
        work.finish()
        page.get_by_role("link", name="Neu laden").click()
        page.get_by_role("button", name="Neue Zeilen übernehmen: 7").click()
        page.wait_for_url("**done=confirmed")
        page.get_by_role("button", name="Abbrechen").click()
        page.wait_for_url("**done=cancelled")
        expect(page.locator(".kern-badge--warning").first).to_have_text("Abgebrochen")
