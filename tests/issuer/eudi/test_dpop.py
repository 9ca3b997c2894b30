"""DPoP: proofs that hold once, for one request, with a nonce; and nothing is used up before they are checked."""

from __future__ import annotations

import time
from typing import Any

import pytest

from issuer.application import Application
from issuer.eudi.dpop import is_same_address
from tests.eudi_issuing_wallet import PRE_AUTHORIZED, error_of, new_key, public, signed
from tests.issuer.eudi.conftest import SD_JWT, MakeWallet, offer_of
from tests.service import City


def test_nonce_retry_burns_nothing(application: Application, new_wallet: MakeWallet) -> None:
    """Code, transaction code, key proofs and refresh token survive being sent back for a nonce."""
    wallet = new_wallet(application, uses_dpop=True)
    made = offer_of(application, tx_code=True)
    code = wallet.read_offer(made.link)["grants"][PRE_AUTHORIZED]["pre-authorized_code"]
    address = wallet.server["token_endpoint"]
    fields = {"grant_type": PRE_AUTHORIZED, "pre-authorized_code": code, "tx_code": made.tx_code}
    for _ in range(7):
        told = wallet.client.post(
            address, data=fields, headers={"DPoP": wallet.dpop_proof(address, nonce=None)}
        )
        assert error_of(told) == (400, "use_dpop_nonce")
        wrong = {**fields, "tx_code": "0"}
        told = wallet.client.post(
            address, data=wrong, headers={"DPoP": wallet.dpop_proof(address, nonce="x")}
        )
        assert error_of(told) == (400, "use_dpop_nonce")
        assert told.headers["dpop-nonce"]
    assert wallet.token(**fields).status_code == 200
    nonce = wallet.nonce()
    content = {"credential_configuration_id": SD_JWT, "proofs": {"jwt": [wallet.proof(new_key(), nonce)]}}
    credential = wallet.metadata["credential_endpoint"]
    token = wallet.tokens["access_token"]
    stale = {"Authorization": f"DPoP {token}", "DPoP": wallet.dpop_proof(credential, token, nonce=None)}
    told = wallet.client.post(credential, json=content, headers=stale)
    assert error_of(told) == (401, "use_dpop_nonce")
    assert 'error="use_dpop_nonce"' in told.headers["www-authenticate"]
    assert wallet.call(credential, content).status_code == 200
    refresh = {"grant_type": "refresh_token", "refresh_token": wallet.tokens["refresh_token"]}
    told = wallet.client.post(address, data=refresh, headers={"DPoP": wallet.dpop_proof(address, nonce=None)})
    assert error_of(told) == (400, "use_dpop_nonce")
    assert wallet.refresh().status_code == 200


def _bad(wallet: Any, address: str, token: str | None) -> dict[str, str]:
    """Proofs that must not hold, each with one fault."""
    key, other = wallet.dpop_key, new_key()
    fresh = {"typ": "dpop+jwt", "jwk": public(key)}
    private = {**fresh, "jwk": key.as_dict(private=True)}
    now = int(wallet.now().timestamp())
    claims = {"jti": "one", "htm": "POST", "htu": address, "iat": now, "nonce": wallet.dpop_nonce}
    good = wallet.dpop_proof(address, token)
    return {
        "method": wallet.dpop_proof(address, token, htm="GET"),
        "address": wallet.dpop_proof(address + "x", token),
        "other host": wallet.dpop_proof(address.replace("stadtpass", "evil"), token),
        "old": wallet.dpop_proof(address, token, iat=now - 3600),
        "future": wallet.dpop_proof(address, token, iat=now + 3600),
        "no jti": wallet.dpop_proof(address, token, jti=None),
        "no iat": wallet.dpop_proof(address, token, iat=None),
        "time as text": wallet.dpop_proof(address, token, iat="now"),
        "time beyond all": wallet.dpop_proof(address, token, iat=1e300),
        "type": signed(key, {**fresh, "typ": "jwt"}, claims),
        "private key": signed(key, private, claims),
        "other key": signed(other, fresh, claims),
        "no key": signed(key, {"typ": "dpop+jwt"}, claims),
        "critical": signed(key, {**fresh, "crit": ["x"], "x": 1}, claims),
        "cut": good[:-10],
        "none": ".".join(["eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6Im5vbmUifQ", *good.split(".")[1:]]),
        "not a token": "x",
        "four parts": good + ".x",
        "empty": "..",
        "huge": good + "A" * 9000,
    }


def test_bad_proofs_at_the_token_endpoint(application: Application, new_wallet: MakeWallet) -> None:
    wallet = new_wallet(application, uses_dpop=True)
    offer = wallet.read_offer(offer_of(application).link)
    wallet.nonce()
    address = wallet.server["token_endpoint"]
    code = offer["grants"][PRE_AUTHORIZED]["pre-authorized_code"]
    fields = {"grant_type": PRE_AUTHORIZED, "pre-authorized_code": code}
    for name, proof in _bad(wallet, address, None).items():
        told = wallet.client.post(address, data=fields, headers={"DPoP": proof})
        assert error_of(told) == (400, "invalid_dpop_proof"), name
    twice = [("DPoP", wallet.dpop_proof(address)), ("DPoP", wallet.dpop_proof(address))]
    told = wallet.client.post(address, data=fields, headers=twice)
    assert error_of(told) == (400, "invalid_dpop_proof")
    assert wallet.redeem(offer).status_code == 200


def test_bad_proofs_at_the_credential_endpoint(application: Application, new_wallet: MakeWallet) -> None:
    wallet = new_wallet(application, uses_dpop=True)
    wallet.redeem(wallet.read_offer(offer_of(application).link))
    nonce = wallet.nonce()
    address, token = wallet.metadata["credential_endpoint"], wallet.tokens["access_token"]
    content = {"credential_configuration_id": SD_JWT, "proofs": {"jwt": [wallet.proof(new_key(), nonce)]}}
    bad = _bad(wallet, address, token)
    bad["token"] = wallet.dpop_proof(address, token + "x")
    bad["no token"] = wallet.dpop_proof(address)
    for name, proof in bad.items():
        headers = {"Authorization": f"DPoP {token}", "DPoP": proof}
        told = wallet.client.post(address, json=content, headers=headers)
        assert error_of(told) == (401, "invalid_dpop_proof"), name
    assert wallet.call(address, content).status_code == 200


def test_a_bound_token_is_worth_nothing_without_its_key(
    application: Application, new_wallet: MakeWallet
) -> None:
    wallet = new_wallet(application, uses_dpop=True)
    wallet.redeem(wallet.read_offer(offer_of(application).link))
    wallet.nonce()
    address, token = wallet.metadata["credential_endpoint"], wallet.tokens["access_token"]
    told = wallet.client.post(address, json={}, headers={"Authorization": f"Bearer {token}"})
    assert error_of(told) == (401, "invalid_token")
    headers = {"Authorization": f"DPoP {token}", "DPoP": wallet.dpop_proof(address, token, key=new_key())}
    assert error_of(wallet.client.post(address, json={}, headers=headers)) == (401, "invalid_token")
    headers = {"Authorization": f"DPoP {token}"}
    assert error_of(wallet.client.post(address, json={}, headers=headers)) == (401, "invalid_dpop_proof")


def test_a_proof_works_once(application: Application, new_wallet: MakeWallet) -> None:
    wallet = new_wallet(application, uses_dpop=True)
    wallet.redeem(wallet.read_offer(offer_of(application).link))
    address, token = wallet.metadata["notification_endpoint"], wallet.tokens["access_token"]
    told = {"notification_id": "x", "event": "credential_accepted"}
    headers = {"Authorization": f"DPoP {token}", "DPoP": wallet.dpop_proof(address, token)}
    first = wallet.client.post(address, json=told, headers=headers)
    assert error_of(first) == (400, "invalid_notification_id")
    assert error_of(wallet.client.post(address, json=told, headers=headers)) == (401, "invalid_dpop_proof")


def test_nonces_grow_old(application: Application, city: City, new_wallet: MakeWallet) -> None:
    wallet = new_wallet(application, uses_dpop=True)
    wallet.redeem(wallet.read_offer(offer_of(application).link))
    kept = wallet.dpop_nonce
    city.clock.forward(minutes=6)
    address, token = wallet.metadata["credential_endpoint"], wallet.tokens["access_token"]
    headers = {"Authorization": f"DPoP {token}", "DPoP": wallet.dpop_proof(address, token, nonce=kept)}
    assert error_of(wallet.client.post(address, json={}, headers=headers)) == (401, "use_dpop_nonce")


def test_nonces_of_another_kind_or_city(application: Application, city: City, new_wallet: MakeWallet) -> None:
    wallet = new_wallet(application, uses_dpop=True)
    wallet.redeem(wallet.read_offer(offer_of(application).link))
    address, token = wallet.metadata["credential_endpoint"], wallet.tokens["access_token"]
    headers = {
        "Authorization": f"DPoP {token}",
        "DPoP": wallet.dpop_proof(address, token, nonce=wallet.nonce()),
    }
    assert error_of(wallet.client.post(address, json={}, headers=headers)) == (401, "use_dpop_nonce")


@pytest.mark.parametrize(
    ("told", "same"),
    [
        ("https://stadtpass.example/eudi/token", True),
        ("HTTPS://Stadtpass.Example:443/eudi/token", True),
        ("https://stadtpass.example/eudi/token?x=1#y", True),
        ("http://stadtpass.example/eudi/token", False),
        ("https://stadtpass.example:444/eudi/token", False),
        ("https://stadtpass.example/eudi/token/", False),
        ("https://stadtpass.example:port/eudi/token", False),
        ("", False),
    ],
)
def test_addresses(told: str, same: bool) -> None:
    assert is_same_address(told, "https://stadtpass.example/eudi/token") == same


def test_reading_what_is_hostile_is_quick(application: Application, new_wallet: MakeWallet) -> None:
    wallet = new_wallet(application, uses_dpop=True)
    address = wallet.server["token_endpoint"]
    began = time.monotonic()
    deep = "A" * 8000
    for text in (f"{deep}.{deep}.{deep}", "." * 8000, "e30.e30.e30"):
        wallet.client.post(address, data={"grant_type": PRE_AUTHORIZED}, headers={"DPoP": text})
    assert time.monotonic() - began < 5
