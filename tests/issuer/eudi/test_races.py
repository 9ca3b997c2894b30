"""What works once works once, also when two ask at the same moment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import select

from issuer.application import Application
from issuer.eudi.offers import TRIES
from issuer.models_eudi import EudiCredentialRow, IssuanceSessionRow
from tests.eudi_issuing_wallet import PRE_AUTHORIZED, Wallet, WalletProvider, error_of, new_key
from tests.issuer.eudi.conftest import SD_JWT, MakeWallet, card, offer_of
from tests.issuer.eudi.test_authorization_code import VERIFIER, agreed
from tests.issuer.eudi.test_one_revocation import revoke
from tests.service import City

AT_ONCE = 6


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """What the calls return that begin at the same moment."""
    barrier = Barrier(len(calls))

    def run(call: Callable[[], Any]) -> Any:
        barrier.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return [one.result() for one in [pool.submit(run, call) for call in calls]]


def statuses(answers: list[Any]) -> Counter[int]:
    return Counter(one.status_code for one in answers)


@pytest.fixture
def wallets(trusting: Application, provider: WalletProvider, new_wallet: MakeWallet) -> list[Wallet]:
    """The same wallet, with a connection for each request."""
    first = new_wallet(trusting, provider=provider, uses_dpop=True)
    first.nonce()
    keys = {"dpop_key": first.dpop_key, "instance_key": first.instance_key}
    others = [new_wallet(trusting, provider=provider, uses_dpop=True, **keys) for _ in range(AT_ONCE - 1)]
    for one in others:
        one.dpop_nonce = first.dpop_nonce
    return [first, *others]


def test_pre_authorized_code(trusting: Application, wallets: list[Wallet]) -> None:
    offer = wallets[0].read_offer(offer_of(trusting).link)
    answers = at_once(*(lambda one=one: one.redeem(offer) for one in wallets))
    assert statuses(answers) == {200: 1, 400: AT_ONCE - 1}
    assert {one.json()["error"] for one in answers if one.status_code == 400} == {"invalid_grant"}


def test_authorization_code(trusting: Application, wallets: list[Wallet]) -> None:
    code = agreed(trusting, wallets[0])
    answers = at_once(*(lambda one=one: one.redeem_code(code, VERIFIER) for one in wallets))
    assert statuses(answers) == {200: 1, 400: AT_ONCE - 1}


def test_refresh_token(trusting: Application, wallets: list[Wallet]) -> None:
    wallets[0].redeem(wallets[0].read_offer(offer_of(trusting).link))
    for one in wallets:
        one.tokens = wallets[0].tokens
    answers = at_once(*(one.refresh for one in wallets))
    assert statuses(answers) == {200: 1, 400: AT_ONCE - 1}
    # No word that would have a wallet give up: it may have asked twice without meaning to.
    assert {one.json()["error"] for one in answers if one.status_code == 400} == {"slow_down"}
    with trusting.reading() as session:
        assert session.scalars(select(IssuanceSessionRow)).one().generation == 1
    # Each stand-in keeps the tokens that it has got itself.
    [winner] = [one for one, answer in zip(wallets, answers, strict=True) if answer.status_code == 200]
    assert winner.ask(SD_JWT, [new_key()]).status_code == 200


def test_refresh_token_and_its_copy(trusting: Application, city: City, wallets: list[Wallet]) -> None:
    """A wallet uses its new tokens while the old token comes again: one of the two, and a copy ends the session."""
    first, second = wallets[:2]
    first.redeem(first.read_offer(offer_of(trusting).link))
    copied = second.tokens = first.tokens
    first.refresh()
    kept = first.tokens["refresh_token"]
    city.clock.forward(minutes=1)
    used, again = at_once(lambda: first.ask(SD_JWT, [new_key()]), second.refresh)
    assert copied["refresh_token"] != kept
    assert (used.status_code, again.status_code) in ((200, 400), (401, 200))
    if used.status_code == 200:
        assert again.json()["error"] == "invalid_grant"
        assert error_of(first.refresh()) == (400, "invalid_grant")
    else:
        assert second.ask(SD_JWT, [new_key()]).status_code == 200
        # The wallet comes with what it has: not used before, of the generation that the copy has used.
        assert first.refresh().status_code == 200


def test_nonce(trusting: Application, wallets: list[Wallet]) -> None:
    wallets[0].redeem(wallets[0].read_offer(offer_of(trusting).link))
    nonce = wallets[0].nonce()
    for one in wallets:
        one.tokens = wallets[0].tokens
    proofs = [{"jwt": [one.proof(new_key(), nonce)]} for one in wallets]
    calls = [partial(one.ask_with, SD_JWT, proof) for one, proof in zip(wallets, proofs, strict=True)]
    answers = at_once(*calls)
    assert statuses(answers) == {200: 1, 400: AT_ONCE - 1}
    assert {one.json()["error"] for one in answers if one.status_code == 400} == {"invalid_nonce"}
    with trusting.reading() as session:
        assert len(session.scalars(select(EudiCredentialRow)).all()) == 1


def test_dpop_proof(trusting: Application, wallets: list[Wallet]) -> None:
    """One proof with many transaction codes: one of them is tried, and that costs one try."""
    made = offer_of(trusting, tx_code=True)
    offer = wallets[0].read_offer(made.link)
    address = wallets[0].server["token_endpoint"]
    proof = wallets[0].dpop_proof(address)
    code = offer["grants"][PRE_AUTHORIZED]["pre-authorized_code"]
    fields = {"grant_type": PRE_AUTHORIZED, "pre-authorized_code": code, "tx_code": "x"}
    answers = at_once(
        *(lambda one=one: one.post(address, fields, headers={"DPoP": proof}) for one in wallets)
    )
    assert Counter(one.json()["error"] for one in answers) == {
        "invalid_grant": 1,
        "invalid_dpop_proof": AT_ONCE - 1,
    }
    with trusting.reading() as session:
        assert session.scalars(select(IssuanceSessionRow)).one().tries_left == TRIES - 1


def test_tries(trusting: Application, wallets: list[Wallet]) -> None:
    """Five tries are five tries, also when six come at once: the right code comes too late."""
    made = offer_of(trusting, tx_code=True)
    offer = wallets[0].read_offer(made.link)
    answers = at_once(*(lambda one=one: one.redeem(offer, "wrong") for one in wallets))
    assert statuses(answers) == {400: AT_ONCE}
    with trusting.reading() as session:
        row = session.scalars(select(IssuanceSessionRow)).one()
        assert (row.tries_left, row.ended_at is not None) == (0, True)
    assert wallets[0].redeem(offer, made.tx_code).status_code == 400


def test_batch(trusting: Application, wallets: list[Wallet]) -> None:
    """No wallet has more than a batch, however it asks."""
    wallets[0].redeem(wallets[0].read_offer(offer_of(trusting).link))
    for one in wallets:
        one.tokens = wallets[0].tokens
    calls = [lambda one=one: one.ask(SD_JWT, [new_key() for _ in range(4)]) for one in wallets]
    at_once(*calls)
    with trusting.reading() as session:
        assert len(session.scalars(select(EudiCredentialRow)).all()) == 10


def test_revoked_while_it_is_renewed(trusting: Application, wallets: list[Wallet]) -> None:
    """Whatever comes first, nothing of a revoked pass is valid afterwards, and no token works."""
    number = card(trusting)
    wallet = wallets[0]
    wallet.redeem(wallet.read_offer(offer_of(trusting, number).link))
    assert wallet.ask(SD_JWT, [new_key()]).status_code == 200

    def renew() -> None:
        if wallet.refresh().status_code == 200:
            wallet.ask(SD_JWT, [new_key(), new_key()])

    def end() -> None:
        with trusting.writing() as session:
            revoke(session, trusting, number)

    at_once(renew, end)
    with trusting.reading() as session:
        assert {one.status_value for one in session.scalars(select(EudiCredentialRow))} == {1}
    assert wallet.refresh().status_code == 400
