"""A stand-in for an EUDI Wallet that fetches credentials: strict about OpenID4VCI 1.0 and what it builds on.

It speaks to the service over HTTP alone and believes nothing: every answer is checked against the specification
before it is used. Faults on demand: each step takes what it is to do wrong.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from httpx import Client, Response
from joserfc import jwe
from joserfc.jwk import ECKey

PRE_AUTHORIZED = "urn:ietf:params:oauth:grant-type:pre-authorized_code"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JSON = {"Content-Type": "application/json"}
REDIRECT = "eu.wallet.example:/cb"
CLIENT = "https://wallet.example"


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def new_key() -> ECKey:
    return ECKey.generate_key("P-256", private=True)


def public(key: ECKey) -> dict[str, Any]:
    return {name: key.as_dict(private=False)[name] for name in ("kty", "crv", "x", "y")}


def signed(key: ECKey, header: Mapping[str, Any], claims: Mapping[str, Any]) -> str:
    told = {"alg": "ES256", **header}
    parts = f"{b64(json.dumps(told).encode())}.{b64(json.dumps(claims).encode())}"
    private = key.private_key
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    r, s = decode_dss_signature(private.sign(parts.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{parts}.{b64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def unsigned_parts(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims of a token, unchecked."""
    header, claims = (json.loads(base64.urlsafe_b64decode(one + "==")) for one in token.split(".")[:2])
    return header, claims


@dataclass
class WalletProvider:
    """Who vouches for wallets and keys: an authority, and a certificate of its own under it."""

    at: datetime
    authority_key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )
    leaf_key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    def __post_init__(self) -> None:
        self.anchor = self._certificate("Wallet Authority", "Wallet Authority", self.authority_key, ca=True)
        self.leaf = self._certificate("Wallet Provider", "Wallet Authority", self.leaf_key, ca=False)

    @property
    def anchor_pem(self) -> bytes:
        return self.anchor.public_bytes(Encoding.PEM)

    @property
    def x5c(self) -> list[str]:
        return [base64.b64encode(self.leaf.public_bytes(Encoding.DER)).decode()]

    def attest_wallet(self, key: ECKey, **claims: Any) -> str:
        told = {
            "iss": "https://provider.example",
            "sub": CLIENT,
            "wallet_name": "Example Wallet",
            "exp": int((self.at + timedelta(hours=12)).timestamp()),
            "iat": int(self.at.timestamp()),
            "cnf": {"jwk": public(key)},
        }
        header = {"typ": "oauth-client-attestation+jwt", "x5c": self.x5c}
        return signed(self._own(), header, {**told, **claims})

    def attest_keys(
        self, keys: list[ECKey], nonce: str | None, *, typ: str = "key-attestation+jwt", **claims: Any
    ) -> str:
        told: dict[str, Any] = {
            "iat": int(self.at.timestamp()),
            "exp": int((self.at + timedelta(hours=12)).timestamp()),
            "attested_keys": [public(one) for one in keys],
            "key_storage": ["iso_18045_high"],
            "user_authentication": ["iso_18045_high"],
        }
        if nonce is not None:
            told["nonce"] = nonce
        told = {name: value for name, value in {**told, **claims}.items() if value is not None}
        return signed(self._own(), {"typ": typ, "x5c": self.x5c}, told)

    def _own(self) -> ECKey:
        return ECKey.import_key(self.leaf_key)

    def _certificate(
        self, name: str, issuer: str, key: ec.EllipticCurvePrivateKey, *, ca: bool
    ) -> x509.Certificate:
        def named(text: str) -> x509.Name:
            return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

        return (
            x509.CertificateBuilder()
            .subject_name(named(name))
            .issuer_name(named(issuer))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.at - timedelta(days=30))
            .not_valid_after(self.at + timedelta(days=300))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .sign(self.authority_key, hashes.SHA256())
        )


@dataclass
class Wallet:
    """One wallet on one phone. ``provider`` vouches for it; without one it is anonymous."""

    client: Client
    now: Callable[[], datetime]
    issuer: str
    provider: WalletProvider | None = None
    uses_dpop: bool = False
    dpop_key: ECKey = field(default_factory=new_key)
    instance_key: ECKey = field(default_factory=new_key)
    dpop_nonce: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    server: dict[str, Any] = field(default_factory=dict)
    tokens: dict[str, Any] = field(default_factory=dict)

    def discover(self) -> None:
        """Read both metadata documents, as the specifications say where they are."""
        parts = urlsplit(self.issuer)
        origin, path = f"{parts.scheme}://{parts.netloc}", parts.path
        answer = self.client.get(f"{origin}/.well-known/openid-credential-issuer{path}")
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json"), answer.text
        self.metadata = answer.json()
        assert self.metadata["credential_issuer"] == self.issuer
        server = self.client.get(f"{origin}/.well-known/oauth-authorization-server{path}")
        assert server.status_code == 200
        self.server = server.json()
        assert self.server["issuer"] == self.issuer

    def read_offer(self, link: str) -> dict[str, Any]:
        """The offer behind a deeplink, by reference."""
        parts = urlsplit(link)
        assert parts.scheme in ("openid-credential-offer", "haip-vci")
        told = parse_qs(parts.query, strict_parsing=True)
        assert set(told) == {"credential_offer_uri"}
        answer = self.client.get(told["credential_offer_uri"][0])
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json"), answer.text
        offer: dict[str, Any] = answer.json()
        assert offer["credential_issuer"] == self.issuer
        ids = offer["credential_configuration_ids"]
        assert ids and len(set(ids)) == len(ids)
        assert set(ids) <= set(self.metadata["credential_configurations_supported"])
        return offer

    # Requests to the authorization server.

    def post(
        self, address: str, fields: Mapping[str, str], *, headers: Mapping[str, str] | None = None
    ) -> Response:
        """A form with what authenticates the wallet; one more time where the server wants its nonce in the proof."""
        for attempt in range(2):
            given = {**FORM, **self.authentication(), **(headers or {})}
            if self.uses_dpop and "DPoP" not in given:
                given["DPoP"] = self.dpop_proof(address)
            answer = self.client.post(address, data=dict(fields), headers=given)
            self._keep_nonce(answer)
            if attempt == 0 and answer.status_code == 400 and answer.json().get("error") == "use_dpop_nonce":
                continue
            break
        assert "no-store" in answer.headers["cache-control"]
        return answer

    def authentication(self, **claims: Any) -> dict[str, str]:
        """The attestation headers; none for an anonymous wallet."""
        if self.provider is None:
            return {}
        told = {
            "iss": CLIENT,
            "aud": self.issuer,
            "jti": secrets.token_urlsafe(16),
            "iat": int(self.now().timestamp()),
            **claims,
        }
        proof = signed(self.instance_key, {"typ": "oauth-client-attestation-pop+jwt"}, told)
        return {
            "OAuth-Client-Attestation": self.provider.attest_wallet(self.instance_key),
            "OAuth-Client-Attestation-PoP": proof,
        }

    def dpop_proof(
        self, address: str, token: str | None = None, *, key: ECKey | None = None, **claims: Any
    ) -> str:
        key = key or self.dpop_key
        told: dict[str, Any] = {
            "jti": secrets.token_urlsafe(16),
            "htm": "POST",
            "htu": address,
            "iat": int(self.now().timestamp()),
        }
        if self.dpop_nonce is not None:
            told["nonce"] = self.dpop_nonce
        if token is not None:
            told["ath"] = b64(hashlib.sha256(token.encode()).digest())
        told = {name: value for name, value in {**told, **claims}.items() if value is not None}
        return signed(key, {"typ": "dpop+jwt", "jwk": public(key)}, told)

    def token(self, **fields: str) -> Response:
        """A token request; what comes of it is checked and kept."""
        answer = self.post(self.server["token_endpoint"], fields)
        if answer.status_code == 200:
            self._keep_tokens(answer.json())
        else:
            check_error(answer)
        return answer

    def redeem(self, offer: Mapping[str, Any], tx_code: str | None = None, **fields: str) -> Response:
        """Tokens for a pre-authorized code."""
        grant = offer["grants"][PRE_AUTHORIZED]
        told = {"grant_type": PRE_AUTHORIZED, "pre-authorized_code": grant["pre-authorized_code"], **fields}
        if tx_code is not None:
            told["tx_code"] = tx_code
        return self.token(**told)

    def refresh(self, **fields: str) -> Response:
        told = {"grant_type": "refresh_token", "refresh_token": self.tokens["refresh_token"], **fields}
        return self.token(**told)

    def push(self, scope: str, verifier: str, **fields: str) -> Response:
        """A pushed authorization request; fields that are empty are left out."""
        told = {
            "response_type": "code",
            "client_id": CLIENT,
            "redirect_uri": REDIRECT,
            "scope": scope,
            "state": "a state",
            "code_challenge": b64(hashlib.sha256(verifier.encode()).digest()),
            "code_challenge_method": "S256",
            **fields,
        }
        told = {name: value for name, value in told.items() if value}
        answer = self.post(self.server["pushed_authorization_request_endpoint"], told)
        if answer.status_code != 201:
            check_error(answer)
        return answer

    def page(self, request_uri: str) -> str:
        """The address at which the holder's browser begins."""
        address = self.server["authorization_endpoint"]
        return f"{address}?client_id={quote(CLIENT, safe='')}&request_uri={quote(request_uri, safe='')}"

    def redeem_code(self, code: str, verifier: str, **fields: str) -> Response:
        told = {
            "grant_type": "authorization_code",
            "code": code,
            "code_verifier": verifier,
            "redirect_uri": REDIRECT,
            "client_id": CLIENT,
            **fields,
        }
        return self.token(**told)

    # Requests to the credential issuer.

    def nonce(self) -> str:
        answer = self.client.post(self.metadata["nonce_endpoint"])
        assert answer.status_code == 200
        assert "no-store" in answer.headers["cache-control"]
        self._keep_nonce(answer)
        nonce = answer.json()["c_nonce"]
        assert isinstance(nonce, str)
        return nonce

    def proof(
        self, key: ECKey, nonce: str | None, header: Mapping[str, Any] | None = None, **claims: Any
    ) -> str:
        told: dict[str, Any] = {"aud": self.issuer, "iat": int(self.now().timestamp())}
        if nonce is not None:
            told["nonce"] = nonce
        told = {name: value for name, value in {**told, **claims}.items() if value is not None}
        shown = {"typ": "openid4vci-proof+jwt", "jwk": public(key), **(header or {})}
        return signed(key, {name: value for name, value in shown.items() if value is not None}, told)

    def call(
        self,
        address: str,
        content: Mapping[str, Any],
        *,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        encrypt_for: Mapping[str, Any] | None = None,
        enc: str = "A256GCM",
    ) -> Response:
        """A request with the access token; one more time where the server wants its nonce in the proof."""
        token = token or self.tokens["access_token"]
        for attempt in range(2):
            given = {**JSON, **self.bearing(address, token), **(headers or {})}
            body = json.dumps(content).encode()
            if encrypt_for is not None:
                given["Content-Type"] = "application/jwt"
                header = {"alg": "ECDH-ES", "enc": enc, "kid": encrypt_for["kid"]}
                body = jwe.encrypt_compact(
                    header, body, ECKey.import_key(dict(encrypt_for)), algorithms=["ECDH-ES", enc]
                ).encode()
            answer = self.client.post(address, content=body, headers=given)
            self._keep_nonce(answer)
            wants = 'error="use_dpop_nonce"' in answer.headers.get("www-authenticate", "")
            if attempt == 0 and answer.status_code == 401 and wants:
                continue
            break
        return answer

    def bearing(self, address: str, token: str) -> dict[str, str]:
        if not self.uses_dpop:
            return {"Authorization": f"Bearer {token}"}
        return {"Authorization": f"DPoP {token}", "DPoP": self.dpop_proof(address, token)}

    def ask(self, configuration: str, keys: list[ECKey], **more: Any) -> Response:
        """A credential request with one jwt proof for each key, under a fresh nonce."""
        nonce = self.nonce()
        proofs = {"jwt": [self.proof(one, nonce) for one in keys]}
        return self.ask_with(configuration, proofs, **more)

    def ask_with(self, configuration: str, proofs: Any, **more: Any) -> Response:
        content = {**self.named(configuration), "proofs": proofs, **more}
        answer = self.call(self.metadata["credential_endpoint"], content)
        check_credential_answer(answer)
        return answer

    def named(self, configuration: str) -> dict[str, str]:
        """How the wallet has to name what it wants: by identifier if the token came with identifiers."""
        for one in self.tokens.get("authorization_details", ()):
            if one["credential_configuration_id"] == configuration:
                return {"credential_identifier": one["credential_identifiers"][0]}
        return {"credential_configuration_id": configuration}

    def _keep_nonce(self, answer: Response) -> None:
        self.dpop_nonce = answer.headers.get("dpop-nonce", self.dpop_nonce)

    def _keep_tokens(self, told: dict[str, Any]) -> None:
        assert told["token_type"] == ("DPoP" if self.uses_dpop else "Bearer")
        assert isinstance(told["expires_in"], int)
        # Final 1.0: the nonce has an endpoint of its own.
        assert "c_nonce" not in told
        for one in told.get("authorization_details", ()):
            assert one["type"] == "openid_credential"
            assert one["credential_identifiers"]
        self.tokens = told


def check_error(answer: Response) -> None:
    """An error answer of the authorization server or the issuer: its form, and nothing that must not be in it."""
    assert answer.headers["content-type"] == "application/json", answer.text
    told = answer.json()
    assert re.fullmatch(r"[a-z_]+", told["error"])
    assert re.fullmatch(r"[\x20-\x21\x23-\x5b\x5d-\x7e]*", told.get("error_description", ""))


def check_credential_answer(answer: Response) -> None:
    if answer.status_code >= 400:
        check_error(answer)
        return
    assert "no-store" in answer.headers["cache-control"]
    if answer.headers["content-type"] == "application/jwt":
        return
    told = answer.json()
    if answer.status_code == 202:
        assert set(told) >= {"transaction_id", "interval"}
        assert "credentials" not in told
        assert told["interval"] > 0
    else:
        assert answer.status_code == 200
        assert told["credentials"]
        assert all(isinstance(one["credential"], str) for one in told["credentials"])
        assert "transaction_id" not in told
        assert "interval" not in told


def error_of(answer: Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]
