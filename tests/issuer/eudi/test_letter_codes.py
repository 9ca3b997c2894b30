"""A transaction code that went out by letter: from then on the holder's pages give nothing away without one."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest
from litestar.testing import TestClient

from issuer.application import Application
from issuer.eudi.offers import draw_letter_code, keep_letter_code
from issuer.nightly import retention
from issuer.nightly.reports import Report
from passes.periods import berlin_day
from tests.eudi_issuing_wallet import PRE_AUTHORIZED, Wallet, WalletProvider, error_of
from tests.issuer.eudi.conftest import SD_JWT, MakeWallet, card, offer_of
from tests.issuer.eudi.test_authorization_code import VERIFIER, choose, hidden, pushed, returned
from tests.issuer.pickup.browser import browser, send, visit
from tests.service import CARD, City

PAGE = "/p/pass/eudi"
LINK = r'href="(openid-credential-offer:[^"]+)"'


@pytest.fixture
def wallet(trusting: Application, provider: WalletProvider, new_wallet: MakeWallet) -> Wallet:
    return new_wallet(trusting, provider=provider, uses_dpop=True)


@pytest.fixture
def holder(trusting: Application) -> TestClient[Any]:
    """A browser on a visit to the pass, as whoever has its link."""
    client = browser(trusting)
    visit(client, trusting, card(trusting), CARD)
    return client


def letter(application: Application) -> str:
    """The code of a new letter."""
    with application.writing() as session:
        keep_letter_code(session, application, CARD, card(application), code := draw_letter_code())
    return code


def offered(holder: TestClient[Any], wallet: Wallet) -> Any:
    """The offer of a fresh code on the page."""
    shown = send(holder, PAGE)
    assert shown.status_code == 200
    found = re.search(LINK, shown.text)
    assert found is not None, shown.text
    return wallet.read_offer(html.unescape(found[1]))


def refused(holder: TestClient[Any]) -> bool:
    """Whether the page says that it takes another letter, and has no button."""
    token = hidden(holder.get("/p/pass").text, "form_token")
    answer = holder.post(PAGE, data={"form_token": token})
    shown = holder.get(PAGE)
    title = "Ihr Transaktionscode gilt nicht mehr"
    says_so = answer.status_code == 409 and title in answer.text and "openid-credential" not in answer.text
    return says_so and title in shown.text and f'action="{PAGE}"' not in shown.text


def test_too_many_tries(trusting: Application, wallet: Wallet, holder: TestClient[Any]) -> None:
    code = letter(trusting)
    offer = offered(holder, wallet)
    assert set(offer["grants"]) == {PRE_AUTHORIZED}
    assert error_of(wallet.redeem(offer)) == (400, "invalid_request")
    for _ in range(5):
        assert error_of(wallet.redeem(offer, "0")) == (400, "invalid_grant")
    assert error_of(wallet.redeem(offer, code)) == (400, "invalid_grant")
    assert refused(holder)


def test_used(trusting: Application, wallet: Wallet, holder: TestClient[Any]) -> None:
    code = letter(trusting)
    assert wallet.redeem(offered(holder, wallet), code).status_code == 200
    assert refused(holder)


def test_too_old(trusting: Application, city: City, holder: TestClient[Any]) -> None:
    letter(trusting)
    city.clock.forward(days=31)
    retention.run(trusting, Report(trusting, berlin_day(trusting.now()), retention.NAME))
    visit(holder, trusting, card(trusting), CARD)
    assert refused(holder)


def test_another_letter_or_the_desk(trusting: Application, wallet: Wallet, holder: TestClient[Any]) -> None:
    assert wallet.redeem(offered(holder, wallet)).status_code == 200
    used = letter(trusting)
    assert wallet.redeem(offered(holder, wallet), used).status_code == 200
    made = offer_of(trusting, tx_code=True)
    assert made.tx_code is not None
    offer = wallet.read_offer(made.link)
    assert offer["grants"][PRE_AUTHORIZED]["tx_code"]["length"] == 6
    assert refused(holder)
    assert wallet.redeem(offer, made.tx_code).status_code == 200
    assert refused(holder)
    code = letter(trusting)
    assert wallet.redeem(offered(holder, wallet), code).status_code == 200


@pytest.mark.parametrize("is_used", [False, True])
def test_a_wallet_that_begins_by_itself(
    trusting: Application, wallet: Wallet, holder: TestClient[Any], is_used: bool
) -> None:
    """The consent page asks for no transaction code, so it is no way around it."""
    page = pushed(wallet)
    allowed = holder.get(page, follow_redirects=True)
    assert allowed.status_code == 200
    code = letter(trusting)
    if is_used:
        wallet.redeem(offered(holder, wallet), code)
    shown = holder.get(page, follow_redirects=True)
    assert shown.status_code == 409
    assert "Transaktionscode aus unserem Brief" in shown.text
    assert 'value="allow"' not in shown.text
    fields = {name: hidden(allowed.text, name) for name in ("form_token", "request")}
    answer = holder.post("/eudi/authorize/answer", data={**fields, "answer": "allow"})
    assert (answer.status_code, "location" in answer.headers) == (409, False)
    denied = holder.post("/eudi/authorize/answer", data={**fields, "answer": "deny"})
    assert returned(denied) == {"error": "access_denied"}


def test_agreed_a_moment_before(trusting: Application, wallet: Wallet, holder: TestClient[Any]) -> None:
    told = returned(choose(holder, pushed(wallet, SD_JWT)))
    letter(trusting)
    assert error_of(wallet.redeem_code(told["code"], VERIFIER)) == (400, "invalid_grant")
