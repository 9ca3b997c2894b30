"""A wallet as the standards describe it: it holds credentials and shows of them what it is told to, for tests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from keys import es256
from keys.demo_eudi_ca import DemoEudiAuthority
from keys.envelope import create_key_file
from keys.eudi_certificates import EudiSigningIdentity, EudiUse
from keys.file_backend import FileKeyStore
from keys.store import Algorithm
from passes.sd_jwt import decoded, encoded
from verifier.credentials.chain import TrustAnchors

AT = datetime(2026, 11, 20, 11, tzinfo=UTC)
CITY_URL = "https://ausweise.stadt.example"
_ES256 = ec.ECDSA(hashes.SHA256())


@dataclass(frozen=True)
class Issuer:
    """A demo city's document signer and the anchor it leads to."""

    authority: DemoEudiAuthority
    identity: EudiSigningIdentity
    store: FileKeyStore

    @classmethod
    def new(cls, folder: Path, at: datetime = AT) -> Issuer:
        store = FileKeyStore.create(folder / "keys", create_key_file(folder / "unlock.key"))
        authority = DemoEudiAuthority.new(at, CITY_URL)
        signer = store.signer(store.create_key("eudi", Algorithm.ES256))
        return cls(authority, authority.issue(EudiUse.DOCUMENT_SIGNER, signer), store)

    @property
    def anchors(self) -> TrustAnchors:
        return TrustAnchors([self.authority.root])


def sign_es256(key: ec.EllipticCurvePrivateKey, data: bytes) -> bytes:
    return es256.raw_from_der(key.sign(data, _ES256))


def jws(key: ec.EllipticCurvePrivateKey, header: dict[str, Any], payload: object) -> str:
    signed = f"{encoded(json.dumps(header).encode())}.{encoded(json.dumps(payload).encode())}"
    return f"{signed}.{encoded(sign_es256(key, signed.encode()))}"


@dataclass
class Wallet:
    """One wallet key; ``at`` is its clock."""

    at: datetime = AT
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    @property
    def public_key(self) -> ec.EllipticCurvePublicKey:
        return self.key.public_key()

    def show_sd_jwt(
        self,
        credential: str,
        names: Collection[object] | None,
        audience: str,
        nonce: str,
        **binding: Any,
    ) -> str:
        """A presentation of the disclosures whose claim name or element is in ``names`` (None: all)."""
        token, *disclosures = credential.rstrip("~").split("~")
        shown = [one for one in disclosures if names is None or _named(json.loads(decoded(one))) in names]
        covered = "~".join([token, *shown, ""])
        payload = {
            "iat": int(self.at.timestamp()),
            "aud": audience,
            "nonce": nonce,
            "sd_hash": encoded(hashlib.sha256(covered.encode()).digest()),
        } | binding
        return covered + jws(self.key, {"alg": "ES256", "typ": "kb+jwt"}, payload)

    def show_mdoc(
        self,
        credential: str,
        names: Collection[str] | None,
        transcript: bytes,
        change: Callable[[dict[str, Any]], None] | None = None,
    ) -> bytes:
        """A DeviceResponse with the elements in ``names`` (None: all), signed over ``transcript``."""
        issued = cbor2.loads(decoded(credential))
        security = cbor2.loads(cbor2.loads(issued["issuerAuth"][2]).value)
        doctype = security["docType"]
        spaces = {
            space: [
                one for one in items if names is None or cbor2.loads(one.value)["elementIdentifier"] in names
            ]
            for space, items in issued["nameSpaces"].items()
        }
        device_spaces = cbor2.CBORTag(24, cbor2.dumps({}))
        told = ["DeviceAuthentication", cbor2.loads(transcript), doctype, device_spaces]
        protected = cbor2.dumps({1: -7})
        signed = cbor2.dumps(
            ["Signature1", protected, b"", cbor2.dumps(cbor2.CBORTag(24, cbor2.dumps(told)))]
        )
        response: dict[str, Any] = {
            "version": "1.0",
            "documents": [
                {
                    "docType": doctype,
                    "issuerSigned": {
                        "nameSpaces": {space: items for space, items in spaces.items() if items},
                        "issuerAuth": issued["issuerAuth"],
                    },
                    "deviceSigned": {
                        "nameSpaces": device_spaces,
                        "deviceAuth": {
                            "deviceSignature": [protected, {}, None, sign_es256(self.key, signed)]
                        },
                    },
                }
            ],
            "status": 0,
        }
        if change is not None:
            change(response)
        return cbor2.dumps(response)


def _named(disclosure: list[Any]) -> object:
    return disclosure[1] if len(disclosure) == 3 or not isinstance(disclosure[1], list | dict) else "element"
