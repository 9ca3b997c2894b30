"""Refresh tokens: one at a time, lost answers lose nothing, and what was copied is noticed (RFC 9700, 4.14.2)."""

from __future__ import annotations

from typing import Any

import pytest
from httpx import Response
from sqlalchemy import select

from issuer.application import Application
from issuer.eudi import making
from issuer.models import AuditEntryRow
from issuer.models_eudi import EudiCredentialRow, IssuanceSessionRow
from keys.errors import KeyRefusal
from passes.errors import PassRefusal
from tests.eudi_issuing_wallet import Wallet, error_of, new_key
from tests.issuer.eudi.conftest import MDOC, SD_JWT, MakeWallet, offer_of
from tests.issuer.eudi.test_one_revocation import more, status
from tests.service import City


@pytest.fixture
def wallet(application: Application, new_wallet: MakeWallet) -> Wallet:
    made = new_wallet(application, uses_dpop=True)
    assert made.redeem(made.read_offer(offer_of(application).link)).status_code == 200
    return made


def refresh_with(wallet: Wallet, token: str) -> Response:
    return wallet.token(grant_type="refresh_token", refresh_token=token)


def replays(application: Application) -> int:
    with application.reading() as session:
        return len(session.scalars(select(AuditEntryRow).where(AuditEntryRow.action == "eudi-replay")).all())


def test_an_answer_that_got_lost(application: Application, city: City, wallet: Wallet) -> None:
    """The wallet has heard nothing, and asks again with the token that it has."""
    places = more(wallet)
    token = wallet.tokens["refresh_token"]
    lost: list[dict[str, Any]] = []
    for _ in range(3):
        assert refresh_with(wallet, token).status_code == 200
        lost.append(wallet.tokens)
        city.clock.forward(seconds=30)
    assert len({one["refresh_token"] for one in lost}) == 3
    fresh = more(wallet)
    assert [status(wallet, *one) for one in places] == [1, 1]
    assert [status(wallet, *one) for one in fresh] == [0, 0]
    with application.reading() as session:
        assert session.scalars(select(IssuanceSessionRow)).one().generation == 1
    assert wallet.refresh().status_code == 200
    assert replays(application) == 0


def test_the_answer_before_the_last_one_works_as_well(city: City, wallet: Wallet) -> None:
    """Two answers to one question arrive in the wrong order: the wallet goes on with whichever it has kept."""
    token = wallet.tokens["refresh_token"]
    refresh_with(wallet, token)
    first = wallet.tokens["refresh_token"]
    city.clock.forward(seconds=5)
    refresh_with(wallet, token)
    assert refresh_with(wallet, first).status_code == 200
    assert wallet.ask(SD_JWT, [new_key()]).status_code == 200
    assert wallet.refresh().status_code == 200


def test_at_the_same_moment_one_counts(application: Application, wallet: Wallet) -> None:
    token = wallet.tokens["refresh_token"]
    assert refresh_with(wallet, token).status_code == 200
    again = refresh_with(wallet, token)
    assert error_of(again) == (400, "slow_down")
    assert again.headers["retry-after"] == "2"
    assert wallet.ask(SD_JWT, [new_key()]).status_code == 200
    assert replays(application) == 0


@pytest.mark.parametrize("used", ["access", "refresh"])
def test_a_copy_is_noticed(application: Application, city: City, wallet: Wallet, used: str) -> None:
    """Once something of the next tokens was used, the answer has arrived: the old one is in other hands as well."""
    token = wallet.tokens["refresh_token"]
    wallet.refresh()
    places = more(wallet) if used == "access" else []
    if used == "refresh":
        wallet.refresh()
    kept = wallet.tokens
    city.clock.forward(minutes=1)
    assert error_of(refresh_with(wallet, token)) == (400, "invalid_grant")
    assert replays(application) == 1
    wallet.tokens = kept
    assert error_of(wallet.refresh()) == (400, "invalid_grant")
    assert error_of(wallet.ask(MDOC, [new_key()])) == (401, "invalid_token")
    # Credentials are bound to other keys, and nobody has revoked the pass.
    assert [status(wallet, *one) for one in places] == [0] * len(places)
    with application.reading() as session:
        row = session.scalars(select(IssuanceSessionRow)).one()
        assert row.ended_at == application.now()
    assert replays(application) == 1


def test_a_copy_that_was_quicker_than_the_wallet(
    application: Application, city: City, wallet: Wallet
) -> None:
    """Whoever comes second with an older token ends the session for both."""
    token = wallet.tokens["refresh_token"]
    refresh_with(wallet, token)
    theirs = wallet.tokens["refresh_token"]
    city.clock.forward(minutes=1)
    refresh_with(wallet, token)
    assert wallet.ask(SD_JWT, [new_key()]).status_code == 200
    wallet.refresh()
    assert wallet.ask(SD_JWT, [new_key()]).status_code == 200
    assert error_of(refresh_with(wallet, theirs)) == (400, "invalid_grant")
    assert replays(application) == 1
    assert error_of(wallet.refresh()) == (400, "invalid_grant")


def test_a_copy_without_the_key_does_nothing(
    application: Application, wallet: Wallet, new_wallet: MakeWallet
) -> None:
    token = wallet.tokens["refresh_token"]
    wallet.refresh()
    assert wallet.ask(SD_JWT, [new_key()]).status_code == 200
    thief = new_wallet(application, uses_dpop=True)
    assert error_of(refresh_with(thief, token)) == (400, "invalid_grant")
    assert replays(application) == 0
    assert wallet.refresh().status_code == 200


def test_a_refresh_brings_no_more_than_a_batch(application: Application, city: City, wallet: Wallet) -> None:
    """Asking again for lost answers is no way to more credentials."""
    token = wallet.tokens["refresh_token"]
    for _ in range(3):
        refresh_with(wallet, token)
        city.clock.forward(seconds=3)
    for _ in range(3):
        wallet.ask(SD_JWT, [new_key() for _ in range(6)])
    with application.reading() as session:
        valid = session.scalars(select(EudiCredentialRow).where(EudiCredentialRow.status_value == 0)).all()
        assert len(valid) == 10


@pytest.mark.parametrize(
    ("refusal", "status_code"),
    [
        (KeyRefusal("KEY_PENDING", kid="00"), 202),
        (PassRefusal("CREDENTIAL_CLAIM_MISSING", type="x", claim="y"), 400),
    ],
)
def test_what_there_is_counts_until_the_new_ones_are_made(
    wallet: Wallet, monkeypatch: pytest.MonkeyPatch, refusal: Exception, status_code: int
) -> None:
    """A key that is silent for an hour must not leave the holder with nothing."""

    def fails(*_: Any) -> list[str]:
        raise refusal

    old = more(wallet)
    wallet.refresh()
    with monkeypatch.context() as context:
        context.setattr(making, "make", fails)
        answer = wallet.ask(SD_JWT, [new_key()])
    assert answer.status_code == status_code
    assert [status(wallet, *one) for one in old] == [0, 0]
    if status_code == 202:
        told = {"transaction_id": answer.json()["transaction_id"]}
        assert wallet.call(wallet.metadata["deferred_credential_endpoint"], told).status_code == 200
    else:
        assert [status(wallet, *one) for one in more(wallet)] == [0, 0]
    assert [status(wallet, *one) for one in old] == [1, 1]
