"""The credential endpoint: proofs, batches, encryption, deferred answers, notifications."""

from __future__ import annotations

import json
import zlib
from typing import Any

import pytest
from joserfc import jwe
from joserfc.jwk import ECKey

from issuer.application import Application
from issuer.eudi import making
from issuer.eudi.encryption import LONGEST
from keys.errors import KeyRefusal
from passes.errors import PassRefusal
from tests.eudi_issuing_wallet import (
    Wallet,
    b64,
    check_credential_answer,
    error_of,
    new_key,
    public,
    signed,
)
from tests.issuer.eudi.conftest import MDOC, SD_JWT, MakeWallet, offer_of
from tests.service import City


@pytest.fixture
def wallet(application: Application, new_wallet: MakeWallet) -> Wallet:
    made = new_wallet(application, uses_dpop=True)
    assert made.redeem(made.read_offer(offer_of(application).link)).status_code == 200
    return made


def _bad_proofs(wallet: Wallet, nonce: str) -> dict[str, Any]:
    key = new_key()
    now = int(wallet.now().timestamp())
    good = wallet.proof(key, nonce)

    def jwt(*proofs: Any) -> dict[str, Any]:
        return {"jwt": list(proofs)}

    return {
        "none": None,
        "empty": {},
        "no list": {"jwt": good},
        "empty list": jwt(),
        "two kinds": {"jwt": [good], "attestation": [good]},
        "unknown kind": {"ldp_vp": [good]},
        "no text": jwt(1),
        "null": jwt(None),
        "no token": jwt("x"),
        "type": jwt(wallet.proof(key, nonce, {"typ": "jwt"})),
        "audience": jwt(wallet.proof(key, nonce, aud="https://other.example")),
        "audience missing": jwt(wallet.proof(key, nonce, aud=None)),
        "audience list": jwt(wallet.proof(key, nonce, aud=[wallet.issuer])),
        "issuer of an anonymous wallet": jwt(wallet.proof(key, nonce, iss="me")),
        "no nonce": jwt(wallet.proof(key, None)),
        "no iat": jwt(wallet.proof(key, nonce, iat=None)),
        "old": jwt(wallet.proof(key, nonce, iat=now - 3600)),
        "future": jwt(wallet.proof(key, nonce, iat=now + 3600)),
        "no key": jwt(wallet.proof(key, nonce, {"jwk": None})),
        "two keys": jwt(wallet.proof(key, nonce, {"kid": "1"})),
        "kid alone": jwt(wallet.proof(key, nonce, {"jwk": None, "kid": "0"})),
        "private": jwt(wallet.proof(key, nonce, {"jwk": key.as_dict(private=True)})),
        "symmetric": jwt(wallet.proof(key, nonce, {"jwk": {"kty": "oct", "k": "AAAA"}})),
        "other curve": jwt(wallet.proof(key, nonce, {"jwk": {**public(key), "crv": "P-384"}})),
        "off the curve": jwt(wallet.proof(key, nonce, {"jwk": {**public(key), "x": "A" * 43}})),
        "key of somebody else": jwt(wallet.proof(key, nonce, {"jwk": public(new_key())})),
        "cut": jwt(good[:-6]),
        "certificate": jwt(wallet.proof(key, nonce, {"jwk": None, "x5c": ["AAAA"]})),
        "the same key twice": jwt(good, wallet.proof(key, nonce)),
        "too many": jwt(*(wallet.proof(new_key(), nonce) for _ in range(11))),
        "members twice": jwt(_twice(key, nonce, wallet)),
    }


def _twice(key: ECKey, nonce: str, wallet: Wallet) -> str:
    token = signed(key, {"typ": "openid4vci-proof+jwt", "jwk": public(key)}, {"aud": wallet.issuer})
    header = b64(b'{"alg":"ES256","alg":"none","typ":"openid4vci-proof+jwt"}')
    return ".".join([header, *token.split(".")[1:]])


def test_bad_proofs_use_nothing_up(wallet: Wallet) -> None:
    nonce = wallet.nonce()
    for name, proofs in _bad_proofs(wallet, nonce).items():
        assert error_of(wallet.ask_with(SD_JWT, proofs)) == (400, "invalid_proof"), name
    assert wallet.ask_with(SD_JWT, {"jwt": [wallet.proof(new_key(), nonce)]}).status_code == 200


def test_draft_request_with_one_proof(wallet: Wallet) -> None:
    content = {
        "format": "dc+sd-jwt",
        "proof": {"proof_type": "jwt", "jwt": wallet.proof(new_key(), wallet.nonce())},
    }
    answer = wallet.call(wallet.metadata["credential_endpoint"], content)
    assert error_of(answer) == (400, "invalid_credential_request")
    answer = wallet.call(wallet.metadata["credential_endpoint"], {**content, **wallet.named(SD_JWT)})
    assert error_of(answer) == (400, "invalid_proof")


def test_nonces(wallet: Wallet, city: City) -> None:
    nonce = wallet.nonce()
    proofs = {"jwt": [wallet.proof(new_key(), nonce)]}
    assert wallet.ask_with(SD_JWT, proofs).status_code == 200
    assert error_of(wallet.ask_with(MDOC, {"jwt": [wallet.proof(new_key(), nonce)]})) == (
        400,
        "invalid_nonce",
    )
    # Another spelling of the same bits is another text, and no nonce of ours.
    last = nonce[-1]
    for other in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_":
        if other != last:
            spelt = {"jwt": [wallet.proof(new_key(), nonce[:-1] + other)]}
            assert error_of(wallet.ask_with(MDOC, spelt)) == (400, "invalid_nonce")
    wallet.refresh()
    late = wallet.nonce()
    city.clock.forward(minutes=6)
    assert error_of(wallet.ask_with(MDOC, {"jwt": [wallet.proof(new_key(), late)]})) == (400, "invalid_nonce")
    assert wallet.dpop_nonce is not None
    as_proof = {"jwt": [wallet.proof(new_key(), wallet.dpop_nonce)]}
    assert error_of(wallet.ask_with(MDOC, as_proof)) == (400, "invalid_nonce")


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ({}, "invalid_credential_request"),
        ({"credential_configuration_id": 1}, "invalid_credential_request"),
        ({"credential_configuration_id": "x"}, "unknown_credential_configuration"),
        ({"credential_configuration_id": "resident-parking-permit.mdoc"}, "unknown_credential_configuration"),
        ({"credential_identifier": SD_JWT}, "invalid_credential_request"),
        ({"credential_configuration_id": SD_JWT, "credential_identifier": "x"}, "invalid_credential_request"),
        ({"credential_configuration_id": SD_JWT}, "invalid_proof"),
    ],
)
def test_what_is_asked_for(wallet: Wallet, content: dict[str, Any], error: str) -> None:
    answer = wallet.call(wallet.metadata["credential_endpoint"], content)
    assert error_of(answer) == (400, error)
    check_credential_answer(answer)


def test_unknown_identifier(application: Application, new_wallet: MakeWallet) -> None:
    wallet = new_wallet(application)
    details = json.dumps([{"type": "openid_credential", "credential_configuration_id": SD_JWT}])
    wallet.redeem(wallet.read_offer(offer_of(application).link), authorization_details=details)
    answer = wallet.call(wallet.metadata["credential_endpoint"], {"credential_identifier": "x"})
    assert error_of(answer) == (400, "unknown_credential_identifier")
    other = [
        one["credential_identifiers"][0].replace("sd-jwt", "mdoc")
        for one in wallet.tokens["authorization_details"]
    ]
    answer = wallet.call(wallet.metadata["credential_endpoint"], {"credential_identifier": other[0]})
    assert error_of(answer) == (400, "unknown_credential_identifier")


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b'{"a":1,"a":2}', b"[" * 5000, b'{"a":NaN}'])
def test_bodies(wallet: Wallet, body: bytes) -> None:
    address = wallet.metadata["credential_endpoint"]
    for kind in ("application/json", "text/plain", "application/jwt"):
        headers = {**wallet.bearing(address, wallet.tokens["access_token"]), "Content-Type": kind}
        answer = wallet.client.post(address, content=body, headers=headers)
        wallet._keep_nonce(answer)
        wanted = (
            "invalid_encryption_parameters" if kind == "application/jwt" else "invalid_credential_request"
        )
        assert error_of(answer) == (400, wanted)
        check_credential_answer(answer)


def test_a_wallet_has_no_more_than_a_batch(wallet: Wallet) -> None:
    assert len(wallet.ask(SD_JWT, [new_key() for _ in range(6)]).json()["credentials"]) == 6
    # Of the rest that it asks for it gets what is left.
    assert len(wallet.ask(SD_JWT, [new_key() for _ in range(6)]).json()["credentials"]) == 4
    assert error_of(wallet.ask(SD_JWT, [new_key()])) == (400, "credential_request_denied")
    assert wallet.ask(MDOC, [new_key()]).status_code == 200


# Encryption.


def _encryption(wallet: Wallet, key: ECKey, enc: str = "A256GCM") -> dict[str, Any]:
    return {"jwk": {**public(key), "alg": "ECDH-ES", "use": "enc", "kid": "mine"}, "enc": enc}


@pytest.mark.parametrize("enc", ["A128GCM", "A256GCM"])
def test_encrypted_both_ways(wallet: Wallet, enc: str) -> None:
    told = wallet.metadata["credential_request_encryption"]
    [jwk] = told["jwks"]["keys"]
    assert enc in told["enc_values_supported"]
    assert "zip_values_supported" not in told
    key = new_key()
    content = {
        **wallet.named(SD_JWT),
        "proofs": {"jwt": [wallet.proof(new_key(), wallet.nonce()) for _ in range(1)]},
        "credential_response_encryption": _encryption(wallet, key, enc),
    }
    answer = wallet.call(wallet.metadata["credential_endpoint"], content, encrypt_for=jwk, enc=enc)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/jwt"), answer.text
    opened = jwe.decrypt_compact(answer.text, key, algorithms=["ECDH-ES", enc])
    assert opened.protected["enc"] == enc
    assert opened.protected["kid"] == "mine"
    assert json.loads(opened.plaintext or b"")["credentials"]


def test_errors_are_never_encrypted(wallet: Wallet) -> None:
    [jwk] = wallet.metadata["credential_request_encryption"]["jwks"]["keys"]
    content = {**wallet.named(SD_JWT), "credential_response_encryption": _encryption(wallet, new_key())}
    answer = wallet.call(wallet.metadata["credential_endpoint"], content, encrypt_for=jwk)
    assert error_of(answer) == (400, "invalid_proof")


def test_response_encryption_needs_an_encrypted_request(wallet: Wallet) -> None:
    """A plain request that wants an encrypted answer is refused, and the metadata have a key for requests."""
    assert wallet.metadata["credential_request_encryption"]["jwks"]["keys"]
    content = {**wallet.named(SD_JWT), "credential_response_encryption": _encryption(wallet, new_key())}
    answer = wallet.call(wallet.metadata["credential_endpoint"], content)
    assert error_of(answer) == (400, "invalid_encryption_parameters")


@pytest.mark.parametrize(
    "change",
    [
        {"enc": "A128CBC-HS256"},
        {"enc": 1},
        {"zip": "DEF"},
        {"jwk": {"kty": "RSA", "n": "AQAB", "e": "AQAB", "alg": "RSA-OAEP"}},
        {"jwk": None},
        {"jwk": "x"},
    ],
)
def test_response_encryption_parameters(wallet: Wallet, change: dict[str, Any]) -> None:
    [jwk] = wallet.metadata["credential_request_encryption"]["jwks"]["keys"]
    asked = {**_encryption(wallet, new_key()), **change}
    for wanted in (asked, [], "x", {**asked, "jwk": {**public(new_key()), "alg": "none"}}):
        content = {**wallet.named(SD_JWT), "credential_response_encryption": wanted}
        answer = wallet.call(wallet.metadata["credential_endpoint"], content, encrypt_for=jwk)
        assert error_of(answer) == (400, "invalid_encryption_parameters")


def test_bad_encrypted_requests(wallet: Wallet) -> None:
    [jwk] = wallet.metadata["credential_request_encryption"]["jwks"]["keys"]
    address = wallet.metadata["credential_endpoint"]
    key, algorithms = (
        ECKey.import_key(dict(jwk)),
        ["ECDH-ES", "ECDH-ES+A128KW", "A128GCM", "A128CBC-HS256", "DEF"],
    )

    def sealed(header: dict[str, Any], content: bytes = b"{}", to: ECKey = key) -> str:
        return jwe.encrypt_compact(header, content, to, algorithms=algorithms)

    head = {"alg": "ECDH-ES", "enc": "A128GCM", "kid": jwk["kid"]}
    good = sealed(head)
    bomb = zlib.compress(b'{"a":"' + b" " * 50_000_000 + b'"}')
    parts = good.split(".")
    bad_epk = json.dumps(
        {**head, "epk": {"kty": "EC", "crv": "P-256", "x": "A" * 43, "y": "A" * 43}}
    ).encode()
    for name, body in {
        "compressed": sealed({**head, "zip": "DEF"}),
        "bomb": sealed({**head, "zip": "DEF"}, b"{" + b" " * 200_000),
        "bomb without a header": sealed(head, bomb[:100]),
        "another key": sealed(head, to=new_key()),
        "another kid": sealed({**head, "kid": "x"}),
        "no kid": sealed({"alg": "ECDH-ES", "enc": "A128GCM"}),
        "key wrap": sealed({**head, "alg": "ECDH-ES+A128KW"}),
        "another method": sealed({**head, "enc": "A128CBC-HS256"}),
        "changed": ".".join(
            [*parts[:3], "A" + parts[3][1:] if parts[3][0] != "A" else "B" + parts[3][1:], parts[4]]
        ),
        "point off the curve": ".".join([b64(bad_epk), *parts[1:]]),
        "four parts": ".".join(parts[:4]),
        "no parts": "....",
    }.items():
        headers = {
            **wallet.bearing(address, wallet.tokens["access_token"]),
            "Content-Type": "application/jwt",
        }
        answer = wallet.client.post(address, content=body.encode(), headers=headers)
        wallet._keep_nonce(answer)
        assert answer.status_code == 400, name
        assert answer.json()["error"] in ("invalid_encryption_parameters", "invalid_credential_request"), name
    headers = {**wallet.bearing(address, wallet.tokens["access_token"]), "Content-Type": "application/jwt"}
    large = wallet.client.post(address, content=b"A" * (LONGEST + 1), headers=headers)
    assert large.status_code == 413


def test_request_key_of_last_month(wallet: Wallet, city: City) -> None:
    [jwk] = wallet.metadata["credential_request_encryption"]["jwks"]["keys"]
    city.clock.forward(days=30)
    wallet.discover()
    [next_one] = wallet.metadata["credential_request_encryption"]["jwks"]["keys"]
    assert next_one["kid"] != jwk["kid"]
    wallet.refresh()
    content = {**wallet.named(SD_JWT), "proofs": {"jwt": [wallet.proof(new_key(), wallet.nonce())]}}
    assert wallet.call(wallet.metadata["credential_endpoint"], content, encrypt_for=jwk).status_code == 200


# Deferred.


def _failing(monkeypatch: pytest.MonkeyPatch, refusal: Exception) -> None:
    def fails(*_: Any, **__: Any) -> list[str]:
        raise refusal

    monkeypatch.setattr(making, "make", fails)


def test_deferred(wallet: Wallet, monkeypatch: pytest.MonkeyPatch) -> None:
    address = wallet.metadata["deferred_credential_endpoint"]
    with monkeypatch.context() as context:
        _failing(context, KeyRefusal("KEY_PENDING", kid="00"))
        promised = wallet.ask(SD_JWT, [new_key(), new_key()])
        assert promised.status_code == 202
        told = {"transaction_id": promised.json()["transaction_id"]}
        again = wallet.call(address, told)
        assert again.status_code == 202
        assert again.json()["transaction_id"] == told["transaction_id"]
    answer = wallet.call(address, told)
    check_credential_answer(answer)
    assert len(answer.json()["credentials"]) == 2
    # oid4vc-ts 0.4 refuses a deferred answer with one.
    assert "notification_id" not in answer.json()
    assert error_of(wallet.call(address, told)) == (400, "invalid_transaction_id")


def test_deferred_is_of_one_wallet(
    application: Application, wallet: Wallet, new_wallet: MakeWallet, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as context:
        _failing(context, KeyRefusal("KEY_PENDING", kid="00"))
        told = {"transaction_id": wallet.ask(SD_JWT, [new_key()]).json()["transaction_id"]}
    other = new_wallet(application)
    other.redeem(other.read_offer(offer_of(application).link))
    address = wallet.metadata["deferred_credential_endpoint"]
    assert error_of(other.call(address, told)) == (400, "invalid_transaction_id")
    for wrong in ({}, {"transaction_id": 1}, {"transaction_id": ""}):
        assert error_of(wallet.call(address, wrong)) == (400, "invalid_credential_request")
    # A wallet that has come by new tokens meanwhile still gets what was promised.
    wallet.refresh()
    assert wallet.call(address, told).status_code == 200


def test_what_can_never_be_made_is_denied(wallet: Wallet, monkeypatch: pytest.MonkeyPatch) -> None:
    _failing(monkeypatch, PassRefusal("CREDENTIAL_CLAIM_MISSING", type="x", claim="y"))
    assert error_of(wallet.ask(SD_JWT, [new_key()])) == (400, "credential_request_denied")


# Notifications.


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"event": "credential_stolen"}, "invalid_notification_request"),
        ({"event": None}, "invalid_notification_request"),
        ({"notification_id": None}, "invalid_notification_request"),
        ({"event_description": 'a "quote"'}, "invalid_notification_request"),
        ({"notification_id": "x"}, "invalid_notification_id"),
    ],
)
def test_notifications(wallet: Wallet, change: dict[str, Any], error: str) -> None:
    address = wallet.metadata["notification_endpoint"]
    told = {
        "notification_id": wallet.ask(SD_JWT, [new_key()]).json()["notification_id"],
        "event": "credential_failure",
    }
    assert error_of(wallet.call(address, {**told, **change})) == (400, error)
    assert wallet.call(address, told).status_code == 204
    assert wallet.call(address, {**told, "event": "credential_deleted"}).status_code == 204


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer x", "Basic x", "DPoP x", "Bearer \u00e4", "Bearer " + "x" * 500]
)
def test_tokens(wallet: Wallet, header: str) -> None:
    for name in ("credential_endpoint", "deferred_credential_endpoint", "notification_endpoint"):
        headers = {"Authorization": header.encode("latin-1")} if header else {}
        answer = wallet.client.post(wallet.metadata[name], json={}, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith(("Bearer realm=", "DPoP realm="))


def test_tokens_grow_old(wallet: Wallet, city: City) -> None:
    city.clock.forward(minutes=16)
    assert error_of(wallet.call(wallet.metadata["credential_endpoint"], {})) == (401, "invalid_token")
