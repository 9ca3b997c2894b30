"""The verifier app on new devices in one Chromium, beside a city's running service: fixtures and ways through it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.e2e.verifier_city import VerifierCity, browser_arguments
from tests.e2e.verifier_screens import NARROW, check, ready
from tests.web_pages import CHROMIUM

PIN = "135790"


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VerifierCity]:
    made = VerifierCity(tmp_path_factory.mktemp("city")).set_up()
    made.start()
    yield made
    made.kill()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=str(CHROMIUM), args=browser_arguments(None))


@pytest.fixture
def phone(chromium: Browser, city: VerifierCity) -> Iterator[Callable[..., Page]]:
    """Opens the app on a new device; what the browser complains of fails the test."""
    complaints: list[str] = []
    contexts = []

    def note(message: Any) -> None:
        # With the network gone, or an answer that refuses, a browser says so itself.
        told = any(
            one in message.text for one in ("net::ERR_", "status of 401", "status of 429", "status of 503")
        )
        if message.type in ("error", "warning") and not told:
            complaints.append(message.text)

    def opened(**options: Any) -> Page:
        context = chromium.new_context(**{"viewport": NARROW, "locale": "de-DE", **options})
        context.set_default_timeout(60_000)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda fault: complaints.append(str(fault)))
        page.on("console", note)
        page.goto(f"{city.url}/check/")
        ready(page)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


def way(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def in_both_schemes(page: Page, what: str) -> None:
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        check(page, f"{what}, {scheme}")


def invite(city: VerifierCity, page: Page, *zones: str, role: str = "warden") -> str:
    """Open an invitation, for ``zones`` or for all; its id."""
    bound = [part for zone in zones for part in ("--zone", zone)]
    invited = json.loads(city.command("devices", "invite", "Streife", "--role", role, *bound, "--json"))
    page.goto(f"{city.url}/check/#enrol={invited['code']}.{city.root_kid()}")
    page.get_by_role("button", name="Dieses Gerät anmelden").wait_for()
    return str(invited["id"])


def enrol(city: VerifierCity, page: Page, device: str) -> None:
    way(page, "Dieses Gerät anmelden")
    city.command("devices", "confirm", device, page.locator(".check-code").inner_text())
    refresh(page)
    page.locator("#pin-again").wait_for()


def enrol_desk(city: VerifierCity, page: Page) -> str:
    """Enrol a librarian's device and go to the desk; its id."""
    device = invite(city, page, role="librarian")
    way(page, "Dieses Gerät anmelden")
    city.command("devices", "confirm", device, page.locator(".check-code").inner_text())
    refresh(page)
    page.get_by_text("(Bibliothek)").wait_for()
    way(page, "Mehr")
    page.get_by_label("Thekenbetrieb").check()
    way(page, "Scannen")
    page.get_by_role("heading", name="Bibliotheksausweis").wait_for()
    return device


def refresh(page: Page) -> None:
    """Have the app ask the service now, as when the network comes back."""
    page.evaluate("dispatchEvent(new Event('online'))")


def begin_shift(page: Page) -> None:
    page.locator("#pin").fill(PIN)
    page.locator("#pin-again").fill(PIN)
    page.get_by_role("button", name="Schicht beginnen").click()
    page.locator('[data-vault="open"]').wait_for()
