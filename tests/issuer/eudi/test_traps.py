"""What issuers and wallets of others have stumbled over when they met; a reading of the specifications does not tell.

Those not here stand where their subject is:

- metadata refused as a whole for an SVG logo in a data URI: `test_node_wallets`, `test_metadata`
- a notification_id in a deferred answer: `test_node_wallets`, `test_credential`
- a wallet that is sent back for a DPoP nonce finds its code burnt: `test_dpop`
- an encrypted answer to a plain request: `test_credential`
- list and credential by two certificates: `test_document_signers`
- revoked while it is renewed: `test_races`, and below
"""

from __future__ import annotations

import base64
import tracemalloc
from datetime import timedelta
from typing import Any

import cbor2
import pytest
from cryptography import x509
from joserfc import jwe
from joserfc.jwk import ECKey

from issuer.application import Application
from issuer.eudi import making
from issuer.eudi.encryption import LONGEST
from issuer.setup import DEMO_EUDI_ROOT
from keys.demo_ca import BACKDATED, LIFETIME
from passes.credential_status import CWT_MEDIA_TYPE
from tests.eudi_issuing_wallet import (
    PRE_AUTHORIZED,
    Wallet,
    WalletProvider,
    error_of,
    new_key,
    unsigned_parts,
)
from tests.issuer.eudi.conftest import MDOC, SD_JWT, MakeWallet, card, offer_of
from tests.issuer.eudi.test_document_signers import new_signer
from tests.issuer.eudi.test_one_revocation import reissue, revoke, status, suspend

pytestmark = pytest.mark.parametrize("city", ["sqlite"], indirect=True)


@pytest.fixture
def wallet(application: Application, new_wallet: MakeWallet) -> Wallet:
    made = new_wallet(application, uses_dpop=True)
    made.redeem(made.read_offer(offer_of(application).link))
    return made


def credentials(wallet: Wallet, configuration: str, count: int = 1) -> list[str]:
    answer = wallet.ask(configuration, [new_key() for _ in range(count)])
    assert answer.status_code == 200, answer.text
    return [one["credential"] for one in answer.json()["credentials"]]


def issuer_signed(credential: str) -> dict[str, Any]:
    told: dict[str, Any] = cbor2.loads(base64.urlsafe_b64decode(credential + "=="))
    return told


def test_nothing_is_signed_before_its_certificate_begins(application: Application, wallet: Wallet) -> None:
    """Issue times rounded to the day would lie before a certificate of this morning; @owf/mdoc refuses that."""
    new_signer(application, life=LIFETIME + BACKDATED - timedelta(hours=1))
    begins = application.now() - timedelta(hours=1)
    security = cbor2.loads(cbor2.loads(issuer_signed(credentials(wallet, MDOC)[0])["issuerAuth"][2]).value)
    assert security["validityInfo"]["signed"] == begins
    assert security["validityInfo"]["validFrom"] >= begins
    _, claims = unsigned_parts(credentials(wallet, SD_JWT)[0].split("~")[0])
    assert claims["iat"] == begins.timestamp() <= claims["nbf"]


def test_the_second_configuration_has_its_nonce_in_the_first_answer(wallet: Wallet) -> None:
    """Credo up to 0.6.3 looks for it there, and never in the token response, where others refuse it."""
    assert "c_nonce" not in wallet.tokens
    nonce = wallet.ask(SD_JWT, [new_key()]).json()["c_nonce"]
    proofs = {"jwt": [wallet.proof(new_key(), nonce)]}
    assert wallet.ask_with(MDOC, proofs).status_code == 200
    assert error_of(wallet.ask_with(MDOC, proofs)) == (400, "invalid_nonce")


def test_wallets_want_more_of_the_metadata_than_their_flow_needs(wallet: Wallet) -> None:
    """SPRIND's wallet wants an authorization endpoint for pre-authorized codes too, and proof types always."""
    assert wallet.server["authorization_endpoint"].startswith("https://")
    for one in wallet.metadata["credential_configurations_supported"].values():
        assert one["proof_types_supported"]["jwt"]["proof_signing_alg_values_supported"] == ["ES256"]


def test_everything_leads_to_the_certificate_that_wallets_were_given(
    application: Application, wallet: Wallet
) -> None:
    """Wallets block an issuer whose certificate leads to no anchor they know: one anchor is behind all we sign."""
    pem = (application.workspace.folder / DEMO_EUDI_ROOT).read_bytes()
    anchor = x509.load_pem_x509_certificate(pem)
    sd_jwt, mdoc = credentials(wallet, SD_JWT)[0], credentials(wallet, MDOC)[0]
    header, claims = unsigned_parts(sd_jwt.split("~")[0])
    uri = claims["status"]["status_list"]["uri"]
    metadata = wallet.client.get(
        "/.well-known/openid-credential-issuer", headers={"Accept": "application/jwt"}
    ).text
    listed, list_as_cwt = wallet.client.get(uri), wallet.client.get(uri, headers={"Accept": CWT_MEDIA_TYPE})
    chains = [
        header["x5c"],
        issuer_signed(mdoc)["issuerAuth"][1][33],
        unsigned_parts(metadata)[0]["x5c"],
        unsigned_parts(listed.text)[0]["x5c"],
        cbor2.loads(list_as_cwt.content).value[1][33],
    ]
    for chain in chains:
        # COSE has a single certificate by itself, JOSE in base64.
        told = [chain] if isinstance(chain, bytes) else chain
        ders = [one if isinstance(one, bytes) else base64.b64decode(one) for one in told]
        certificates = [x509.load_der_x509_certificate(one) for one in ders]
        assert anchor not in certificates
        assert certificates[0].issuer != certificates[0].subject
        for below, above in zip(certificates, [*certificates[1:], anchor], strict=True):
            below.verify_directly_issued_by(above)


def test_a_wallet_asks_for_more_or_fewer_than_a_batch(wallet: Wallet) -> None:
    """More proofs than the cap are refused as a whole and burn no nonce; fewer are as good as many."""
    most = wallet.metadata["batch_credential_issuance"]["batch_size"]
    nonce = wallet.nonce()
    keys = [new_key() for _ in range(most + 1)]
    too_many = {"jwt": [wallet.proof(one, nonce) for one in keys]}
    assert error_of(wallet.ask_with(SD_JWT, too_many)) == (400, "invalid_proof")
    answer = wallet.ask_with(SD_JWT, {"jwt": too_many["jwt"][:-1]})
    assert len(answer.json()["credentials"]) == most
    assert error_of(wallet.ask(SD_JWT, [new_key()])) == (400, "credential_request_denied")
    assert len(credentials(wallet, MDOC)) == 1


def test_the_small_things_about_cose(wallet: Wallet) -> None:
    """No docType around IssuerSigned, issuerAuth without its tag, the chain unprotected, no key id that is text."""
    told = issuer_signed(credentials(wallet, MDOC)[0])
    assert set(told) == {"nameSpaces", "issuerAuth"}
    assert isinstance(told["issuerAuth"], list)
    protected, unprotected, payload, _ = told["issuerAuth"]
    assert cbor2.loads(protected) == {1: -7}
    assert set(unprotected) == {33}
    device_key = cbor2.loads(cbor2.loads(payload).value)["deviceKeyInfo"]["deviceKey"]
    assert isinstance(device_key.get(2, b""), bytes)


@pytest.mark.parametrize(("step", "value"), [(revoke, 1), (reissue, 1), (suspend, 2)])
def test_revoked_between_the_order_and_the_signature(
    application: Application, wallet: Wallet, monkeypatch: pytest.MonkeyPatch, step: Any, value: int
) -> None:
    """The pass ends while its credentials are being signed: what the wallet gets does not count."""
    make, number = making.make, card(application)
    before = unsigned_parts(credentials(wallet, SD_JWT)[0].split("~")[0])[1]["status"]["status_list"]
    assert wallet.refresh().status_code == 200

    def late(*given: Any) -> list[str]:
        with application.writing() as session:
            step(session, application, number)
        return make(*given)

    monkeypatch.setattr(making, "make", late)
    fresh = unsigned_parts(credentials(wallet, SD_JWT)[0].split("~")[0])[1]["status"]["status_list"]
    assert status(wallet, fresh["uri"], fresh["idx"]) == value
    # What a newer one has replaced is invalid for good, whatever comes after.
    assert status(wallet, before["uri"], before["idx"]) == 1
    assert error_of(wallet.refresh()) == (400, "invalid_grant")


def test_an_attestation_for_another_key(
    trusting: Application, provider: WalletProvider, new_wallet: MakeWallet
) -> None:
    """A genuine attestation helps only whoever holds the key in it: of the wallet, and of each credential."""
    owner = new_wallet(trusting, provider=provider, uses_dpop=True)
    thief = new_wallet(trusting, provider=provider, uses_dpop=True)
    stolen = owner.authentication()["OAuth-Client-Attestation"]
    offer = owner.read_offer(offer_of(trusting).link)
    code = offer["grants"][PRE_AUTHORIZED]["pre-authorized_code"]
    fields = {"grant_type": PRE_AUTHORIZED, "pre-authorized_code": code}
    headers = {**thief.authentication(), "OAuth-Client-Attestation": stolen}
    assert error_of(thief.post(thief.server["token_endpoint"], fields, headers=headers)) == (
        401,
        "invalid_client",
    )
    assert owner.redeem(offer).status_code == 200
    # A refresh token is of the wallet that has got it, whichever others the provider vouches for.
    thief.tokens, thief.dpop_key = owner.tokens, owner.dpop_key
    assert error_of(thief.refresh()) == (400, "invalid_grant")
    mine, nonce = new_key(), owner.nonce()
    attestation = provider.attest_keys([new_key()], nonce)
    proof = owner.proof(mine, nonce, {"key_attestation": attestation})
    assert error_of(owner.ask_with(SD_JWT, {"jwt": [proof]})) == (400, "invalid_proof")


def test_a_request_that_unpacks_to_a_thousandfold(wallet: Wallet) -> None:
    """An encrypted request may say that it is compressed; it is refused before anything is unpacked."""
    [jwk] = wallet.metadata["credential_request_encryption"]["jwks"]["keys"]
    header = {"alg": "ECDH-ES", "enc": "A256GCM", "kid": jwk["kid"], "zip": "DEF"}
    algorithms = ["ECDH-ES", "A256GCM", "DEF"]
    unpacked = bytes(64 << 20)
    bomb = jwe.encrypt_compact(header, unpacked, ECKey.import_key(dict(jwk)), algorithms=algorithms).encode()
    assert len(bomb) < LONGEST
    address = wallet.metadata["credential_endpoint"]
    headers = {**wallet.bearing(address, wallet.tokens["access_token"]), "Content-Type": "application/jwt"}
    tracemalloc.start()
    answer = wallet.client.post(address, content=bomb, headers=headers)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert error_of(answer) == (400, "invalid_encryption_parameters")
    assert peak < 8 << 20
