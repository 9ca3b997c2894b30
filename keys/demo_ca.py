"""A certificate authority shaped like Apple's, for demonstrations without Apple's credentials.

Root -> intermediate with WWDR's marker -> pass certificates with UID, OU, key usages and marker extension
as Apple issues them. Every issuer and organisation says TEST and Demo; no phone trusts any of it. The keys
of the authority exist only while it issues: whoever needs another pass type later makes a new authority.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from keys.apple_certificates import PASS_TYPE_EXTENSION, AppleSigningIdentity
from keys.errors import KeyRefusal
from keys.identity import PublicKey
from keys.store import Algorithm, KeyManager
from keys.uri import KeyUri, check_name

BACKDATED = timedelta(days=400)
LIFETIME = timedelta(days=3652)

# X.509 limits a common name to 64 characters (RFC 5280 appendix A.1).
_MAX_PASS_TYPE = 64 - len("Pass Type ID: ")
_RSA_BITS = 2048
_ORGANISATION = "TEST Stadtpass Demo"
_ROOT_NAME = "TEST Stadtpass Demo Root CA"
_INTERMEDIATE_NAME = "TEST Stadtpass Demo Developer Relations CA"
# Apple's marker of its WWDR intermediates, and its key usage for signing passes.
_WWDR_MARKER = ObjectIdentifier("1.2.840.113635.100.6.2.1")
_PASS_SIGNING = ObjectIdentifier("1.2.840.113635.100.4.14")
_DER_NULL = b"\x05\x00"
_DER_UTF8_STRING = 0x0C
# From 2050 on dates are GeneralizedTime (RFC 5280 4.1.2.5); Apple's are UTCTime, and so are these.
_LAST_UTC_TIME = datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class DemoIdentities:
    """What `create` made: the authority's certificates and one identity per pass type identifier."""

    root: x509.Certificate
    intermediate: x509.Certificate
    identities: dict[str, AppleSigningIdentity]
    uris: dict[str, KeyUri]

    @property
    def root_pem(self) -> bytes:
        """The root certificate in PEM, for those who want to check a demo pass with OpenSSL."""
        return self.root.public_bytes(Encoding.PEM)


@dataclass(frozen=True, slots=True)
class _Authority:
    """A root and an intermediate with their private keys."""

    root: x509.Certificate
    intermediate: x509.Certificate
    key: rsa.RSAPrivateKey

    @classmethod
    def new(cls, first: datetime, last: datetime) -> Self:
        root_key, key = _new_rsa(), _new_rsa()
        root_name = _name(("CN", _ROOT_NAME), ("OU", "TEST Demo Certification Authority"))
        name = _name(("CN", _INTERMEDIATE_NAME), ("OU", "TEST Demo"))
        root_issues = _Issuing(root_name, root_key.public_key(), first, last)
        root = _authority(root_issues, root_name, root_key.public_key(), path_length=1)
        middle = _authority(root_issues, name, key.public_key(), path_length=0)
        middle = middle.add_extension(x509.UnrecognizedExtension(_WWDR_MARKER, _DER_NULL), critical=False)
        return cls(root.sign(root_key, hashes.SHA256()), middle.sign(root_key, hashes.SHA256()), key)

    def issue(self, pass_type: str, team: str, public_key: PublicKey) -> x509.Certificate:
        """A pass certificate over ``public_key``, as long as the authority's own."""
        marker = bytes((_DER_UTF8_STRING, len(pass_type))) + pass_type.encode("ascii")
        # The last is not in Apple's certificates: with it, `openssl smime -verify` needs no `-purpose any`.
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH, _PASS_SIGNING, ExtendedKeyUsageOID.EMAIL_PROTECTION]
        middle = self.intermediate
        issuing = _Issuing(
            middle.subject, self.key.public_key(), middle.not_valid_before_utc, middle.not_valid_after_utc
        )
        subject = _name(("UID", pass_type), ("CN", f"Pass Type ID: {pass_type}"), ("OU", team))
        return (
            issuing.builder(subject, public_key)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(x509.UnrecognizedExtension(PASS_TYPE_EXTENSION, marker), critical=False)
            .sign(self.key, hashes.SHA256())
        )


def create(
    at: datetime, team: str, pass_type_ids: tuple[str, ...], manager: KeyManager, prefix: str = "apple-pass-"
) -> DemoIdentities:
    """Make a demo authority and, per pass type, an RSA-2048 key in ``manager`` with a certificate.

    Valid from 400 days before ``at`` (aware) for ten years after it, at most to the end of 2049. The keys
    are named ``prefix`` and pass type. Raises KeyRefusal for a pass type identifier that is too long or
    cannot name a key, and as `KeyManager.create_key` does.
    """
    if at.tzinfo is None:
        raise ValueError("a time has no zone")
    for pass_type in pass_type_ids:
        if len(pass_type) > _MAX_PASS_TYPE:
            raise KeyRefusal("DEMO_PASS_TYPE_LONG", found=pass_type[:80], limit=_MAX_PASS_TYPE)
        check_name(prefix + pass_type)
    now = at.astimezone(UTC).replace(microsecond=0)
    authority = _Authority.new(now - BACKDATED, min(now + LIFETIME, _LAST_UTC_TIME))
    identities: dict[str, AppleSigningIdentity] = {}
    uris: dict[str, KeyUri] = {}
    for pass_type in pass_type_ids:
        uris[pass_type] = manager.create_key(prefix + pass_type, Algorithm.RS256)
        signer = manager.signer(uris[pass_type])
        certificate = authority.issue(pass_type, team, signer.public_key())
        chain = (authority.intermediate, authority.root)
        identities[pass_type] = AppleSigningIdentity(certificate, chain, signer)
    return DemoIdentities(authority.root, authority.intermediate, identities, uris)


def _new_rsa() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=_RSA_BITS)


def _name(*attributes: tuple[str, str]) -> x509.Name:
    oids = {
        "UID": NameOID.USER_ID,
        "CN": NameOID.COMMON_NAME,
        "OU": NameOID.ORGANIZATIONAL_UNIT_NAME,
    }
    own = [x509.NameAttribute(oids[label], value) for label, value in attributes]
    organisation = x509.NameAttribute(NameOID.ORGANIZATION_NAME, _ORGANISATION)
    return x509.Name([*own, organisation, x509.NameAttribute(NameOID.COUNTRY_NAME, "DE")])


def _usage(*, signature: bool = False, authority: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


@dataclass(frozen=True, slots=True)
class _Issuing:
    """Who issues, and for how long."""

    name: x509.Name
    public_key: PublicKey
    first: datetime
    last: datetime

    def builder(self, subject: x509.Name, public_key: PublicKey) -> x509.CertificateBuilder:
        """A certificate over ``public_key``, but for what its use adds."""
        issued_by = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.public_key)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.first)
            .not_valid_after(self.last)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
            .add_extension(issued_by, critical=False)
        )


def _authority(
    issuing: _Issuing, subject: x509.Name, public_key: PublicKey, *, path_length: int
) -> x509.CertificateBuilder:
    constraints = x509.BasicConstraints(ca=True, path_length=path_length)
    builder = issuing.builder(subject, public_key).add_extension(constraints, critical=True)
    return builder.add_extension(_usage(authority=True), critical=True)
