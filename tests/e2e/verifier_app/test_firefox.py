"""The verifier web app in Firefox, which has another engine: seals by photo, with and without the server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.verifier_city import REVOKED, VALID, VerifierCity, code_picture, forged
from tests.firefox import Firefox, firefox, needs_firefox

pytestmark = [pytest.mark.slow, needs_firefox]
READY = ("cache", "lists", "clock", "decoder", "selftest")


@pytest.fixture
def city(tmp_path: Path) -> Iterator[VerifierCity]:
    made = VerifierCity(tmp_path).set_up()
    made.start()
    yield made
    made.kill()


def press(browser: Firefox, selector: str) -> None:
    browser.wait_for(f"document.querySelector({selector!r}) !== null")
    browser.evaluate(f"document.querySelector({selector!r}).click()")


def reason_of(browser: Firefox, photo: Path, seal: str) -> str:
    """What the app says to a photo of ``seal``."""
    code_picture(seal).save(photo)
    browser.wait_for("document.querySelector('#photo') !== null")
    browser.choose_file("#photo", photo)
    return str(browser.wait_for("document.querySelector('.verdict')?.dataset.reason"))


def test_photos_with_the_server_and_without(city: VerifierCity, tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    with firefox(tmp_path / "profile") as browser:
        browser.open(f"{city.url}/check/")
        for check in READY:
            browser.wait_for(f"document.querySelector('[data-check={check}][data-ok=yes]') !== null")
        press(browser, ".actions .primary")
        assert reason_of(browser, photo, city.seals[VALID]) == "VALID"
        city.kill()
        browser.reload()
        assert reason_of(browser, photo, city.seals[REVOKED]) == "REVOKED"
        press(browser, ".next")
        assert reason_of(browser, photo, forged(city.seals[VALID])) == "FORGED"
    # The lists are kept on the disk, not only in the browser that runs.
    with firefox(tmp_path / "profile") as browser:
        browser.open(f"{city.url}/check/")
        assert reason_of(browser, photo, city.seals[VALID]) == "VALID"
