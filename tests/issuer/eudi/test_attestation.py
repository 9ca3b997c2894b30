"""Wallet attestations and the High Assurance Interoperability Profile: who asks must be vouched for."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from issuer.application import Application
from tests.eudi_issuing_wallet import (
    CLIENT,
    PRE_AUTHORIZED,
    Wallet,
    WalletProvider,
    error_of,
    new_key,
    signed,
)
from tests.issuer.eudi.conftest import SD_JWT, MakeWallet, offer_of
from tests.issuer.eudi.test_authorization_code import VERIFIER, agreed
from tests.service import City

HEADER, POP = "OAuth-Client-Attestation", "OAuth-Client-Attestation-PoP"


@pytest.fixture
def wallet(haip: Application, provider: WalletProvider, new_wallet: MakeWallet) -> Wallet:
    return new_wallet(haip, provider=provider, uses_dpop=True)


def test_metadata(wallet: Wallet) -> None:
    server = wallet.server
    assert server["token_endpoint_auth_methods_supported"] == ["attest_jwt_client_auth"]
    assert server["pre-authorized_grant_anonymous_access_supported"] is False
    assert server["require_pushed_authorization_requests"] is True
    assert server["authorization_response_iss_parameter_supported"] is True
    for name, one in wallet.metadata["credential_configurations_supported"].items():
        assert one["scope"] == name
        for kind in ("jwt", "attestation"):
            assert "key_attestations_required" in one["proof_types_supported"][kind]


@pytest.mark.parametrize("kind", ["jwt", "attestation"])
def test_whole_flow(haip: Application, wallet: Wallet, provider: WalletProvider, kind: str) -> None:
    code = agreed(haip, wallet)
    assert wallet.redeem_code(code, VERIFIER).status_code == 200
    keys = [new_key() for _ in range(4)]
    nonce = wallet.nonce()
    attestation = provider.attest_keys(keys, nonce)
    proofs: dict[str, Any] = {"attestation": [attestation]}
    if kind == "jwt":
        header = {"key_attestation": attestation}
        proofs = {"jwt": [wallet.proof(keys[0], nonce, header, iss=CLIENT)]}
    answer = wallet.ask_with(SD_JWT, proofs)
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["credentials"]) == 4


def test_pre_authorized_needs_the_wallet_too(
    haip: Application, wallet: Wallet, new_wallet: MakeWallet
) -> None:
    offer = wallet.read_offer(offer_of(haip).link)
    plain = new_wallet(haip, uses_dpop=True)
    assert error_of(plain.redeem(offer)) == (401, "invalid_client")
    assert error_of(plain.push(SD_JWT, VERIFIER)) == (401, "invalid_client")
    without_dpop = new_wallet(haip, provider=wallet.provider)
    assert error_of(without_dpop.redeem(offer)) == (400, "invalid_dpop_proof")
    assert wallet.redeem(offer).status_code == 200


def test_clocks_that_are_ahead(haip: Application, wallet: Wallet, provider: WalletProvider) -> None:
    """Under HAIP a minute at most (FAPI 2.0, 5.3.2.1), and the ten seconds that everybody must take."""
    offer = wallet.read_offer(offer_of(haip).link)
    wallet.nonce()
    address, at = wallet.server["token_endpoint"], int(provider.at.timestamp())
    fields = {
        "grant_type": PRE_AUTHORIZED,
        "pre-authorized_code": offer["grants"][PRE_AUTHORIZED]["pre-authorized_code"],
    }
    late = {"DPoP": wallet.dpop_proof(address, iat=at + 90)}
    assert error_of(wallet.post(address, fields, headers=late)) == (400, "invalid_dpop_proof")
    for headers in (
        wallet.authentication(iat=at + 90),
        {**wallet.authentication(), HEADER: provider.attest_wallet(wallet.instance_key, nbf=at + 90)},
    ):
        assert error_of(wallet.post(address, fields, headers=headers)) == (401, "invalid_client")
    headers = {**wallet.authentication(iat=at + 10), "DPoP": wallet.dpop_proof(address, iat=at + 10)}
    assert wallet.post(address, fields, headers=headers).status_code == 200


def test_key_attestation_is_needed(haip: Application, wallet: Wallet) -> None:
    wallet.redeem(wallet.read_offer(offer_of(haip).link))
    assert error_of(wallet.ask(SD_JWT, [new_key()])) == (400, "invalid_proof")


def _bad(wallet: Wallet, provider: WalletProvider) -> dict[str, dict[str, str]]:
    """Attestation headers that must not hold, each with one fault."""
    good = wallet.authentication()
    other = WalletProvider(provider.at)
    at = int(provider.at.timestamp())
    key = wallet.instance_key

    def attested(**claims: Any) -> dict[str, str]:
        return {**wallet.authentication(), HEADER: provider.attest_wallet(key, **claims)}

    foreign = {**wallet.authentication(), HEADER: other.attest_wallet(key)}
    anchor = {"typ": "oauth-client-attestation+jwt", "x5c": [*provider.x5c, *_anchor(provider)]}
    claims = {"sub": CLIENT, "exp": at + 3600, "cnf": {"jwk": wallet.instance_key.as_dict(private=False)}}
    return {
        "expired": attested(exp=at - 3600),
        "no end": attested(exp="never"),
        "not yet": attested(nbf=at + 3600),
        "no key": attested(cnf={}),
        "key as text": attested(cnf="x"),
        "another key": attested(cnf={"jwk": new_key().as_dict(private=False)}),
        "private key": attested(cnf={"jwk": key.as_dict(private=True)}),
        "no subject": attested(sub=None),
        "a provider nobody trusts": foreign,
        "anchor in the chain": {**wallet.authentication(), HEADER: signed(provider._own(), anchor, claims)},
        "no certificate": {
            **wallet.authentication(),
            HEADER: signed(provider._own(), {"typ": "oauth-client-attestation+jwt"}, claims),
        },
        "another type": {
            **wallet.authentication(),
            HEADER: signed(provider._own(), {"typ": "jwt", "x5c": provider.x5c}, claims),
        },
        "for another server": wallet.authentication(aud="https://other.example"),
        "for nobody": wallet.authentication(aud=None),
        "old proof": wallet.authentication(iat=at - 3600),
        "no jti": wallet.authentication(jti=None),
        "another issuer": wallet.authentication(iss="https://other.example"),
        "proof alone": {POP: good[POP]},
        "attestation alone": {HEADER: good[HEADER]},
        "no tokens": {HEADER: "x", POP: "x"},
    }


def _anchor(provider: WalletProvider) -> list[str]:
    import base64

    from cryptography.hazmat.primitives.serialization import Encoding

    return [base64.b64encode(provider.anchor.public_bytes(Encoding.DER)).decode()]


def test_bad_attestations(trusting: Application, provider: WalletProvider, new_wallet: MakeWallet) -> None:
    wallet = new_wallet(trusting, provider=provider, uses_dpop=True)
    offer = wallet.read_offer(offer_of(trusting).link)
    wallet.nonce()
    code = offer["grants"][PRE_AUTHORIZED]["pre-authorized_code"]
    fields = {"grant_type": PRE_AUTHORIZED, "pre-authorized_code": code}
    address = wallet.server["token_endpoint"]
    for name, headers in _bad(wallet, provider).items():
        told = wallet.client.post(
            address, data=fields, headers={**headers, "DPoP": wallet.dpop_proof(address)}
        )
        assert error_of(told) == (401, "invalid_client"), name
    again = wallet.authentication()
    for expected in (200, 401):
        told = wallet.client.post(address, data=fields, headers={**again, "DPoP": wallet.dpop_proof(address)})
        assert told.status_code == expected


def test_wallet_in_the_form_is_the_wallet_attested(
    trusting: Application, provider: WalletProvider, new_wallet: MakeWallet
) -> None:
    wallet = new_wallet(trusting, provider=provider)
    offer = wallet.read_offer(offer_of(trusting).link)
    assert error_of(wallet.redeem(offer, client_id="https://other.example")) == (401, "invalid_client")
    assert wallet.redeem(offer, client_id=CLIENT).status_code == 200


def test_certificates_end(haip: Application, city: City, wallet: Wallet, provider: WalletProvider) -> None:
    offer_of(haip)
    city.clock.forward(days=301)
    provider.at += timedelta(days=301)
    assert error_of(wallet.push(SD_JWT, VERIFIER)) == (401, "invalid_client")


def _bad_keys(wallet: Wallet, provider: WalletProvider, nonce: str) -> dict[str, Any]:
    key, other = new_key(), new_key()
    at = int(provider.at.timestamp())
    stranger = WalletProvider(provider.at)

    def jwt(attestation: Any, proof_key: Any = key, **header: Any) -> dict[str, Any]:
        return {"jwt": [wallet.proof(proof_key, nonce, {"key_attestation": attestation, **header})]}

    good = provider.attest_keys([key], nonce)
    return {
        "key of nobody": jwt(good, other),
        "another provider": jwt(stranger.attest_keys([key], nonce)),
        "expired": jwt(provider.attest_keys([key], nonce, exp=at - 3600)),
        "no end with a proof": jwt(provider.attest_keys([key], nonce, exp=None)),
        "no keys": jwt(provider.attest_keys([], nonce)),
        "no nonce": jwt(provider.attest_keys([key], None)),
        "other type": jwt(provider.attest_keys([key], nonce, typ="jwt")),
        "no token": jwt("x"),
        "no text": jwt({"x": 1}),
        "key twice": jwt(provider.attest_keys([key, key], nonce)),
        "place beyond": jwt(good, key, jwk=None, kid="1"),
        "place negative": jwt(good, key, jwk=None, kid="-1"),
        "place huge": jwt(good, key, jwk=None, kid="9" * 5000),
        "private keys": jwt(provider.attest_keys([key], nonce, attested_keys=[key.as_dict(private=True)])),
        "two attestations": {"attestation": [good, good]},
        "attestation is no list": {"attestation": good},
        "attestation without nonce": {"attestation": [provider.attest_keys([key], None)]},
    }


def test_bad_key_attestations(haip: Application, wallet: Wallet, provider: WalletProvider) -> None:
    wallet.redeem(wallet.read_offer(offer_of(haip).link))
    nonce = wallet.nonce()
    for name, proofs in _bad_keys(wallet, provider, nonce).items():
        assert error_of(wallet.ask_with(SD_JWT, proofs)) == (400, "invalid_proof"), name
    stale = {"attestation": [provider.attest_keys([new_key()], "x" * 50)]}
    assert error_of(wallet.ask_with(SD_JWT, stale)) == (400, "invalid_nonce")
    # None of the refusals has used the nonce up; the type of drafts before the final text counts as well.
    legacy = {"attestation": [provider.attest_keys([new_key()], nonce, typ="keyattestation+jwt", exp=None)]}
    assert wallet.ask_with(SD_JWT, legacy).status_code == 200


def test_place_among_the_attested_keys(haip: Application, wallet: Wallet, provider: WalletProvider) -> None:
    wallet.redeem(wallet.read_offer(offer_of(haip).link))
    keys, nonce = [new_key(), new_key()], wallet.nonce()
    header = {"jwk": None, "kid": "1", "key_attestation": provider.attest_keys(keys, nonce)}
    answer = wallet.ask_with(SD_JWT, {"jwt": [wallet.proof(keys[1], nonce, header)]})
    assert len(answer.json()["credentials"]) == 2


def test_more_attested_keys_than_a_batch_has(
    haip: Application, wallet: Wallet, provider: WalletProvider
) -> None:
    wallet.redeem(wallet.read_offer(offer_of(haip).link))
    nonce = wallet.nonce()
    proofs = {"attestation": [provider.attest_keys([new_key() for _ in range(12)], nonce)]}
    assert len(wallet.ask_with(SD_JWT, proofs).json()["credentials"]) == 10


def test_attestations_mean_nothing_without_a_provider(
    city: City, provider: WalletProvider, new_wallet: MakeWallet
) -> None:
    """Where nobody is trusted, one who attests keys of others gets credentials for their own key alone."""
    from tests.issuer.eudi.conftest import set_up

    application = set_up(city)
    wallet = new_wallet(application)
    assert (
        "attestation"
        not in wallet.metadata["credential_configurations_supported"][SD_JWT]["proof_types_supported"]
    )
    wallet.redeem(wallet.read_offer(offer_of(application).link))
    key, nonce = new_key(), wallet.nonce()
    attestation = provider.attest_keys([key, new_key(), new_key()], nonce)
    assert error_of(wallet.ask_with(SD_JWT, {"attestation": [attestation]})) == (400, "invalid_proof")
    answer = wallet.ask_with(SD_JWT, {"jwt": [wallet.proof(key, nonce, {"key_attestation": attestation})]})
    assert len(answer.json()["credentials"]) == 1
