"""An Apple-shaped authority, signers in memory and readers of finished passes for the Apple tests."""

import io
import json
import zipfile
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import NameOID

from keys.store import Algorithm
from keys.uri import KeyUri
from passes.apple import ApplePassFactory
from passes.model import City
from passes.pass_types import PassType
from tests.passes.carrier_samples import PERMIT, city

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
FIRST, LAST = NOW - timedelta(days=100), NOW + timedelta(days=100)
TOKEN = "a-token-of-more-than-16-signs"
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


class MemorySigner:
    """What the keystore hands out, with the key in memory; counts its signatures."""

    uri = KeyUri.parse("file:test")

    def __init__(self, key: PrivateKey) -> None:
        self._key = key
        self.algorithm = Algorithm.RS256 if isinstance(key, rsa.RSAPrivateKey) else Algorithm.ES256
        self.signed: list[bytes] = []

    def public_key(self) -> Any:
        return self._key.public_key()

    def sign(self, data: bytes) -> bytes:
        self.signed.append(data)
        if isinstance(self._key, rsa.RSAPrivateKey):
            return self._key.sign(data, padding.PKCS1v15(), hashes.SHA256())
        r, s = decode_dss_signature(self._key.sign(data, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def _name(**parts: str) -> x509.Name:
    oids = {"cn": NameOID.COMMON_NAME, "ou": NameOID.ORGANIZATIONAL_UNIT_NAME, "uid": NameOID.USER_ID}
    return x509.Name([x509.NameAttribute(oids[key], value) for key, value in parts.items()])


class Authority:
    """Root, intermediate and one pass certificate over a fresh key of ``kind``."""

    def __init__(self, kind: str) -> None:
        root_key, middle_key = (rsa.generate_private_key(65537, 2048) for _ in range(2))
        key: PrivateKey = (
            rsa.generate_private_key(65537, 2048)
            if kind == "rsa"
            else ec.generate_private_key(ec.SECP256R1())
        )
        root, middle = _name(cn="Test Root"), _name(cn="Test Developer Relations", ou="G4")
        leaf = _name(
            uid=city().apple_pass_type_identifier, cn="Pass Type ID: test", ou=city().apple_team_identifier
        )
        self.root = _issue(root, root, root_key.public_key(), root_key, ca=True)
        self.intermediate = _issue(middle, root, middle_key.public_key(), root_key, ca=True)
        self.certificate = _issue(leaf, middle, key.public_key(), middle_key, ca=False)
        self.key = key

    @property
    def signer(self) -> MemorySigner:
        return MemorySigner(self.key)


def _issue(
    name: x509.Name, issuer: x509.Name, public: Any, issuer_key: rsa.RSAPrivateKey, *, ca: bool
) -> x509.Certificate:
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(FIRST)
        .not_valid_after(LAST)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .sign(issuer_key, hashes.SHA256())
    )


@lru_cache(maxsize=2)
def authority(kind: str = "rsa") -> Authority:
    return Authority(kind)


def factory(pass_type: PassType = PERMIT, of: City | None = None, kind: str = "rsa") -> ApplePassFactory:
    made = authority(kind)
    return ApplePassFactory(
        pass_type, of or city(), made.certificate, (made.intermediate, made.root), made.signer
    )


def files_in(archive: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(archive)) as found:
        assert found.testzip() is None
        return {name: found.read(name) for name in found.namelist()}


def pass_in(archive: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(files_in(archive)["pass.json"])
    return found


def fields_of(data: dict[str, Any], style: str = "generic") -> dict[str, dict[str, Any]]:
    return {field["key"]: field for group in data[style].values() for field in group}
