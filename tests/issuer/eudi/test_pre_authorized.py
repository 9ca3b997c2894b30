"""From the offer to credentials in the wallet by a pre-authorized code, and everything that refuses it."""

from __future__ import annotations

import json

import pytest

from issuer.application import Application
from tests.eudi_issuing_wallet import PRE_AUTHORIZED, error_of, new_key, unsigned_parts
from tests.issuer.eudi.conftest import ISSUER, MDOC, SD_JWT, MakeWallet, offer_of


@pytest.mark.parametrize("uses_dpop", [False, True])
def test_both_formats(application: Application, new_wallet: MakeWallet, uses_dpop: bool) -> None:
    wallet = new_wallet(application, uses_dpop=uses_dpop)
    offer = wallet.read_offer(offer_of(application).link)
    assert offer["credential_configuration_ids"] == [SD_JWT, MDOC]
    assert wallet.redeem(offer).status_code == 200
    assert ("refresh_token" in wallet.tokens) == uses_dpop
    keys = [new_key() for _ in range(3)]
    answer = wallet.ask(SD_JWT, keys)
    assert answer.status_code == 200, answer.text
    made = [one["credential"] for one in answer.json()["credentials"]]
    assert len(made) == 3
    indexes = set()
    for one, key in zip(made, keys, strict=True):
        assert one.endswith("~")
        header, claims = unsigned_parts(one.split("~")[0])
        assert header["typ"] == "dc+sd-jwt"
        assert claims["cnf"]["jwk"]["x"] == key.as_dict(private=False)["x"]
        assert claims["iss"] == ISSUER
        indexes.add(claims["status"]["status_list"]["idx"])
    assert len(indexes) == 3
    mdocs = wallet.ask(MDOC, [new_key()])
    assert mdocs.status_code == 200
    # Credo up to 0.6.3 takes the nonce of its next request from here.
    assert answer.json()["c_nonce"]
    told = {"notification_id": answer.json()["notification_id"], "event": "credential_accepted"}
    for _ in range(2):
        assert wallet.call(wallet.metadata["notification_endpoint"], told).status_code == 204


def test_transaction_code(application: Application, new_wallet: MakeWallet) -> None:
    wallet = new_wallet(application)
    made = offer_of(application, tx_code=True)
    offer = wallet.read_offer(made.link)
    assert offer["grants"][PRE_AUTHORIZED]["tx_code"] == {"input_mode": "numeric", "length": 6}
    assert error_of(wallet.redeem(offer)) == (400, "invalid_request")
    assert error_of(wallet.redeem(offer, "abc")) == (400, "invalid_grant")
    assert wallet.redeem(offer, made.tx_code).status_code == 200
    assert error_of(wallet.redeem(offer, made.tx_code)) == (400, "invalid_grant")


def test_tries_end(application: Application, new_wallet: MakeWallet) -> None:
    wallet = new_wallet(application)
    made = offer_of(application, tx_code=True)
    offer = wallet.read_offer(made.link)
    for _ in range(5):
        assert error_of(wallet.redeem(offer, "999999999")) == (400, "invalid_grant")
    assert error_of(wallet.redeem(offer, made.tx_code)) == (400, "invalid_grant")


def test_unexpected_transaction_code(application: Application, new_wallet: MakeWallet) -> None:
    wallet = new_wallet(application)
    offer = wallet.read_offer(offer_of(application).link)
    assert error_of(wallet.redeem(offer, "123456")) == (400, "invalid_request")
    assert wallet.redeem(offer).status_code == 200


def test_by_identifier(application: Application, new_wallet: MakeWallet) -> None:
    wallet = new_wallet(application)
    offer = wallet.read_offer(offer_of(application).link)
    details = json.dumps([{"type": "openid_credential", "credential_configuration_id": SD_JWT}])
    assert wallet.redeem(offer, authorization_details=details).status_code == 200
    assert wallet.ask(SD_JWT, [new_key()]).status_code == 200
    by_id = {
        "credential_configuration_id": SD_JWT,
        "proofs": {"jwt": [wallet.proof(new_key(), wallet.nonce())]},
    }
    refused = wallet.call(wallet.metadata["credential_endpoint"], by_id)
    assert error_of(refused) == (400, "invalid_credential_request")
