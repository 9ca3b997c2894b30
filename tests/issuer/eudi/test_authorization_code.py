"""The authorization code flow: pushed request, the holder's agreement on a visit, code, tokens."""

from __future__ import annotations

import html
import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from litestar.testing import TestClient

from issuer.application import Application
from issuer.pickup.codes import create_letter_code
from issuer.pickup.standing import held_pass
from passes.credentials import pseudonym
from tests.eudi_issuing_wallet import CLIENT, REDIRECT, Wallet, WalletProvider, error_of, new_key
from tests.issuer.eudi.conftest import ISSUER, MDOC, SD_JWT, MakeWallet, card, offer_of
from tests.issuer.pickup.browser import browser, last_day, visit
from tests.service import CARD, City, running_numbers

VERIFIER = "v" * 50


def pushed(wallet: Wallet, scope: str = SD_JWT, **fields: str) -> str:
    """The address of the page for a request that was pushed."""
    answer = wallet.push(scope, VERIFIER, **fields)
    assert answer.status_code == 201, answer.text
    told = answer.json()
    assert told["expires_in"] > 0
    return wallet.page(told["request_uri"])


def choose(client: TestClient[Any], page: str, choice: str = "allow") -> Any:
    """Press a button of the consent page at the address ``page``."""
    shown = client.get(page, follow_redirects=True)
    assert shown.status_code == 200, shown.text
    fields = {name: hidden(shown.text, name) for name in ("form_token", "request")}
    assert f"form-action 'self' {urlsplit(REDIRECT).scheme}:" in shown.headers["content-security-policy"]
    return client.post("/eudi/authorize/answer", data={**fields, "answer": choice})


def hidden(text: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', text)
    assert found is not None, text
    return html.unescape(found.group(1))


def returned(answer: Any) -> dict[str, str]:
    """What the redirect to the wallet says."""
    assert answer.status_code == 303, answer.text
    address, _, query = answer.headers["location"].partition("?")
    assert address == REDIRECT
    told = {name: value for name, [value] in parse_qs(query, strict_parsing=True).items()}
    # RFC 9207.
    assert told.pop("iss") == ISSUER
    assert told.pop("state") == "a state"
    return told


@pytest.fixture
def wallet(trusting: Application, provider: WalletProvider, new_wallet: MakeWallet) -> Wallet:
    return new_wallet(trusting, provider=provider, uses_dpop=True)


def agreed(trusting: Application, wallet: Wallet, scope: str = SD_JWT, **fields: str) -> str:
    """A code that a holder has agreed to."""
    client = browser(trusting)
    visit(client, trusting, card(trusting), CARD)
    told = returned(choose(client, pushed(wallet, scope, **fields)))
    assert set(told) == {"code"}
    return told["code"]


def test_whole_flow(trusting: Application, wallet: Wallet) -> None:
    code = agreed(trusting, wallet, f"{SD_JWT} {MDOC}")
    assert wallet.redeem_code(code, VERIFIER).status_code == 200
    for one in (SD_JWT, MDOC):
        assert wallet.ask(one, [new_key(), new_key()]).status_code == 200


def test_the_page_says_everything_that_the_wallet_gets(trusting: Application, wallet: Wallet) -> None:
    client, number = browser(trusting), card(trusting)
    visit(client, trusting, number, CARD)
    page = html.unescape(client.get(pushed(wallet), follow_redirects=True).text)
    with trusting.reading() as session:
        held = held_pass(session, trusting, CARD, number)
    assert held is not None
    # Not on the card itself, but in the credential.
    for said in ("Pseudonym", pseudonym(held.city, held.content), "Ausgestellt am", "Ausstellende Behörde"):
        assert said in page, said
    group = held.pass_type.words("de").choices["category"][str(held.content.attributes["category"])]
    assert "Gruppe" in page
    assert group in page


def test_deny(trusting: Application, wallet: Wallet) -> None:
    client = browser(trusting)
    visit(client, trusting, card(trusting), CARD)
    page = pushed(wallet)
    assert returned(choose(client, page, "deny")) == {"error": "access_denied"}
    assert client.get(page).status_code == 410


def test_code_once_and_what_came_of_it_ends(trusting: Application, wallet: Wallet) -> None:
    code = agreed(trusting, wallet)
    assert wallet.redeem_code(code, VERIFIER).status_code == 200
    assert error_of(wallet.redeem_code(code, VERIFIER)) == (400, "invalid_grant")
    # RFC 6749, 4.1.2: the tokens of the first time work no longer.
    answer = wallet.call(wallet.metadata["credential_endpoint"], {})
    assert error_of(answer) == (401, "invalid_token")


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"code_verifier": "w" * 50}, "invalid_grant"),
        ({"code_verifier": "short"}, "invalid_request"),
        ({"redirect_uri": "eu.other.example:/cb"}, "invalid_grant"),
        ({"code": "x" * 43}, "invalid_grant"),
    ],
)
def test_code_of_somebody_else(
    trusting: Application, wallet: Wallet, fields: dict[str, str], error: str
) -> None:
    code = agreed(trusting, wallet)
    told = {"code_verifier": VERIFIER, **fields}
    assert error_of(wallet.redeem_code(told.pop("code", code), told.pop("code_verifier"), **told)) == (
        400,
        error,
    )
    # A refusal uses nothing up.
    assert wallet.redeem_code(code, VERIFIER).status_code == 200


def test_code_is_bound_to_keys(
    trusting: Application, wallet: Wallet, provider: WalletProvider, new_wallet: MakeWallet
) -> None:
    code = agreed(trusting, wallet)
    other = new_wallet(trusting, provider=provider, uses_dpop=True, instance_key=wallet.instance_key)
    assert error_of(other.redeem_code(code, VERIFIER)) == (400, "invalid_grant")
    stranger = new_wallet(trusting, provider=provider, uses_dpop=True, dpop_key=wallet.dpop_key)
    assert error_of(stranger.redeem_code(code, VERIFIER)) == (400, "invalid_grant")
    assert wallet.redeem_code(code, VERIFIER).status_code == 200


def test_code_grows_old(trusting: Application, city: City, wallet: Wallet) -> None:
    code = agreed(trusting, wallet)
    city.clock.forward(seconds=61)
    assert error_of(wallet.redeem_code(code, VERIFIER)) == (400, "invalid_grant")


def test_a_new_request_for_every_answer(trusting: Application, wallet: Wallet) -> None:
    client = browser(trusting)
    visit(client, trusting, card(trusting), CARD)
    page = pushed(wallet)
    returned(choose(client, page))
    assert client.get(page).status_code == 410


def test_request_grows_old(trusting: Application, city: City, wallet: Wallet) -> None:
    """To be opened within nine minutes (FAPI 2.0: less than ten); then the holder has fifteen, once."""
    page, other = pushed(wallet), pushed(wallet)
    client = browser(trusting)
    city.clock.forward(minutes=8)
    shown = client.get(page).headers["location"]
    city.clock.forward(minutes=2)
    assert client.get(other).status_code == 410
    assert client.get(page).status_code == 303
    city.clock.forward(minutes=12)
    assert client.get(shown).status_code == 200
    city.clock.forward(minutes=3)
    assert client.get(page).status_code == 410
    assert client.get(shown).status_code == 410


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge": ""}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"scope": "openid"}, "invalid_scope"),
        ({"scope": f"{SD_JWT} resident-parking-permit.sd-jwt"}, "invalid_scope"),
        ({"redirect_uri": "http://wallet.example/cb"}, "invalid_request"),
        ({"redirect_uri": "javascript:alert(1)"}, "invalid_request"),
        ({"redirect_uri": "https://wallet.example:99999/cb"}, "invalid_request"),
        ({"redirect_uri": "https://wallet.example/cb?x=1"}, "invalid_request"),
        ({"request_uri": "urn:x"}, "invalid_request"),
        ({"client_id": "https://other.example"}, "invalid_client"),
        ({"client_id": ""}, "invalid_request"),
        ({"authorization_details": "{}"}, "invalid_authorization_details"),
        ({"dpop_jkt": "x" * 43}, "invalid_request"),
        ({"state": "s" * 2001}, "invalid_request"),
        ({"response_mode": "fragment"}, "invalid_request"),
    ],
)
def test_refused_requests(trusting: Application, wallet: Wallet, fields: dict[str, str], error: str) -> None:
    told = {"scope": SD_JWT, **fields}
    answer = wallet.push(told.pop("scope"), VERIFIER, **told)
    assert answer.json()["error"] == error
    assert answer.status_code == (401 if error == "invalid_client" else 400)


def test_unknown_wallets_go_only_where_the_operator_says(
    trusting: Application, new_wallet: MakeWallet
) -> None:
    plain = new_wallet(trusting, uses_dpop=True)
    assert error_of(plain.push(SD_JWT, VERIFIER)) == (400, "invalid_request")


def test_parameters_outside_the_pushed_request_do_nothing(trusting: Application, wallet: Wallet) -> None:
    page = pushed(wallet)
    client = browser(trusting)
    assert (
        client.get(f"/eudi/authorize?client_id={CLIENT}&redirect_uri=https://evil.example").status_code == 410
    )
    assert client.get(page.replace("wallet.example", "evil.example", 1)).status_code == 410


def test_letter_code_on_the_way(trusting: Application, wallet: Wallet) -> None:
    number = card(trusting)
    with trusting.writing() as session:
        code = create_letter_code(session, trusting, CARD, number)
    client = browser(trusting)
    page = pushed(wallet)
    shown = client.get(page, follow_redirects=True)
    assert "Example Wallet" in shown.text
    fields = {"request": hidden(shown.text, "request"), **last_day(trusting, number, CARD)}
    wrong = client.post("/eudi/authorize/code", data={**fields, "code": "ABCD-EFGH-JKMN"})
    assert wrong.status_code == 422
    right = client.post("/eudi/authorize/code", data={**fields, "code": code})
    assert right.status_code == 303
    told = returned(choose(client, right.headers["location"]))
    assert wallet.redeem_code(told["code"], VERIFIER).status_code == 200


def test_another_kind_of_pass_does_not_fit(trusting: Application, wallet: Wallet) -> None:
    client = browser(trusting)
    visit(client, trusting, running_numbers(trusting)[0])
    page = pushed(wallet)
    shown = client.get(page, follow_redirects=True)
    assert shown.status_code == 409
    fields = {name: hidden(shown.text, name) for name in ("form_token", "request")}
    assert client.post("/eudi/authorize/answer", data={**fields, "answer": "allow"}).status_code == 409


def test_the_other_language(trusting: Application, wallet: Wallet) -> None:
    client = browser(trusting)
    shown = client.get(pushed(wallet), follow_redirects=True)
    assert client.get(f"{shown.url}?lang=en").status_code == 200


def test_form_of_somebody_else(trusting: Application, wallet: Wallet) -> None:
    client = browser(trusting)
    visit(client, trusting, card(trusting), CARD)
    shown = client.get(pushed(wallet), follow_redirects=True)
    fields = {"request": hidden(shown.text, "request"), "answer": "allow"}
    forged = client.post("/eudi/authorize/answer", data={**fields, "form_token": "0" * 32})
    assert forged.status_code == 403
    right = {**fields, "form_token": hidden(shown.text, "form_token")}
    foreign = client.post("/eudi/authorize/answer", data=right, headers={"Origin": "https://evil.example"})
    assert foreign.status_code == 403
    assert browser(trusting).post("/eudi/authorize/answer", data=right).status_code == 403


def test_issuer_state_opens_nothing(trusting: Application, wallet: Wallet) -> None:
    """An offer's issuer_state may come from anybody: the visit decides whose pass it is."""
    first, second = running_numbers(trusting, CARD)[:2]
    offer = wallet.read_offer(offer_of(trusting, second).link)
    state = offer["grants"]["authorization_code"]["issuer_state"]
    page = pushed(wallet, issuer_state=state)
    client = browser(trusting)
    assert "Code" in client.get(page, follow_redirects=True).text
    visit(client, trusting, first, CARD)
    told = returned(choose(client, page))
    assert wallet.redeem_code(told["code"], VERIFIER).status_code == 200
    credential = wallet.ask(SD_JWT, [new_key()])
    assert credential.status_code == 200
    # The offer of the other pass was not touched.
    assert wallet.redeem(offer).status_code == 200


def test_offer_ends_with_the_code_that_came_of_it(trusting: Application, wallet: Wallet) -> None:
    offer = wallet.read_offer(offer_of(trusting).link)
    state = offer["grants"]["authorization_code"]["issuer_state"]
    agreed(trusting, wallet, issuer_state=state)
    assert error_of(wallet.redeem(offer)) == (400, "invalid_grant")


def test_details_come_back_as_identifiers(trusting: Application, wallet: Wallet) -> None:
    details = f'[{{"type": "openid_credential", "credential_configuration_id": "{SD_JWT}"}}]'
    code = agreed(trusting, wallet, "", authorization_details=details)
    assert wallet.redeem_code(code, VERIFIER).status_code == 200
    assert wallet.tokens["authorization_details"][0]["credential_identifiers"]
    assert wallet.ask(SD_JWT, [new_key()]).status_code == 200
