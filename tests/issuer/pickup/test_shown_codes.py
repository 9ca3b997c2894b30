"""Both codes of a library card on its holder's page, and one of them alone, as pictures that need nothing else."""

from __future__ import annotations

import base64
import re

import pytest

from issuer import lifecycle
from issuer.application import Application
from passes.card_codes import shown_symbology
from passes.card_numbers import CardNumber, Symbology
from passes.model import MainCode
from tests.issuer.pickup.browser import browser, visit
from tests.issuer.pickup.holders import shows_first, with_card
from tests.passes.code_readers import SAMPLES, any_code, drawn, read
from tests.service import CARD, PERMIT, running_numbers


def pictures(page: str) -> list[str]:
    """The pictures of a page, in order, as SVG."""
    found = re.findall(r'(?:src|srcset)="data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)"', page)
    return [base64.b64decode(one).decode() for one in found]


@pytest.mark.parametrize("card", SAMPLES.values(), ids=str)
def test_both_codes_are_on_the_page(application: Application, card: CardNumber) -> None:
    number = with_card(application, card)
    for first in MainCode:
        shows_first(application, first)
        with browser(application) as client:
            visit(client, application, number, CARD)
            page = client.get("/p/pass").text
        names = re.findall(r'id="code-(seal|number)"', page)
        assert names == [first, *(one for one in MainCode if one is not first)]
        shown = dict(zip(names, pictures(page), strict=True))
        assert read(drawn(shown["number"], 80, 300), shown_symbology(card)) == card.text
        (seal,) = any_code(drawn(shown["seal"], 45, 300)).values()
        assert seal.startswith("SP1:")


def test_a_code_alone_lies_and_stands(application: Application) -> None:
    card = SAMPLES[Symbology.CODABAR]
    number = with_card(application, card)
    with browser(application) as client:
        visit(client, application, number, CARD)
        upright, lying = pictures(client.get("/p/pass/show?code=number").text)
        for svg, width in ((upright, 20), (lying, 80)):
            assert read(drawn(svg, width, 600), Symbology.CODABAR) == card.text
        (seal,) = pictures(client.get("/p/pass/show?code=seal").text)
        # Without a word, and for any other, it is the main one.
        for address in ("/p/pass/show", "/p/pass/show?code=nonsense"):
            assert pictures(client.get(address).text) == [seal]
        shows_first(application, MainCode.NUMBER)
        assert pictures(client.get("/p/pass/show").text) == [upright, lying]


def test_the_number_is_large_and_copied_without_gaps(application: Application) -> None:
    number = with_card(application, SAMPLES[Symbology.CODABAR])
    with browser(application) as client:
        visit(client, application, number, CARD)
        for page in ("/p/pass", "/p/pass/show"):
            (shown,) = re.findall(r'<p class="card-number"[^>]*>(.*?)</p>', client.get(page).text)
            assert re.sub(r"<[^>]+>", "", shown) == "24711390000101"
            assert re.findall(r"<span>(\w+)</span>", shown) == ["2471", "1390", "000", "101"]


def test_permits_have_no_code_on_the_page(application: Application) -> None:
    with browser(application) as client:
        visit(client, application, running_numbers(application)[0], PERMIT)
        assert 'id="codes"' not in client.get("/p/pass").text
        assert client.get("/p/pass/show").status_code == 409


def test_a_card_that_does_not_hold_shows_none(application: Application) -> None:
    number = with_card(application, SAMPLES[Symbology.CODE_39])
    with browser(application) as client:
        visit(client, application, number, CARD)
        suspend(application, number)
        page = client.get("/p/pass").text
        assert pictures(page) == []
        # Who helps is the library, not the city.
        assert "an der Theke der Bibliothek" in page
        assert "bei der Stadt" not in page
        assert client.get("/p/pass/show?code=number").status_code == 409


def suspend(application: Application, number: str) -> None:
    with application.writing() as session:
        lifecycle.suspend(
            session,
            application.tenant,
            CARD,
            number,
            actor=lifecycle.Actor("t", application.now(), "verloren"),
        )
