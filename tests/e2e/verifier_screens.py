"""The verifier app's screens: getting to them, and what must hold on every one of them."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.axe import faults

NARROW = {"width": 320, "height": 640}
LOOKS = {  # colour: word, border, outline of the sign
    "GREEN": ("GÜLTIG", "solid"), "AMBER": ("GENAUER PRÜFEN", "dashed"),
    "RED": ("UNGÜLTIG", "double"), "GREY": ("KEINE AUSSAGE", "dotted"),
}  # fmt: skip


def ready(page: Page) -> None:
    """The device says that it can go out: app and lists are kept."""
    for check in ("cache", "lists", "clock", "decoder", "selftest"):
        expect(page.locator(f'[data-check="{check}"]')).to_have_attribute("data-ok", "yes", timeout=15_000)


def too_wide(page: Page) -> bool:
    return bool(
        page.evaluate(
            """() => [document.documentElement, document.querySelector('main')]
            .some((one) => one.scrollWidth > one.clientWidth)"""
        )
    )


def small_targets(page: Page) -> list[str]:
    """What is smaller than 44 by 44 CSS pixels, the enhanced size of WCAG 2.5.5: thumbs hit it in the rain."""
    return list(
        page.evaluate(
            """() => [...document.querySelectorAll('button, select, summary, input:not([type=file])')]
            .map((one) => one.closest('label') ?? one)
            .map((one) => [one, one.getBoundingClientRect()])
            .filter(([one, box]) => one.checkVisibility() && Math.min(box.width, box.height) < 43.9)
            .map(([one, box]) => `${one.textContent} ${box.width} x ${box.height}`)"""
        )
    )


def check(page: Page, what: str) -> None:
    """What axe finds, and what it does not: sideways scrolling, small targets, the heading, the focus."""
    assert faults(page) == [], what
    assert not too_wide(page), what
    assert small_targets(page) == [], what
    assert page.locator("h1").count() == 1, what


def choose_zone(page: Page, code: str) -> None:
    page.get_by_role("button", name="Schicht", exact=True).click()
    page.locator("#zone").select_option(code)
    page.get_by_role("button", name="Scannen", exact=True).click()


def show(page: Page, text: str) -> None:
    """Type a code into the field below the camera."""
    page.locator("#typed").fill(text)
    page.locator(".typein button").click()
