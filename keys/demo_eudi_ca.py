"""A certificate authority for EUDI credentials, for demonstrations without a trusted list.

One root, shaped like an issuing authority of ISO/IEC 18013-5:2021, B.1.2, issues document signer and access
certificates directly, since that standard knows no authority between them. Every name says TEST and Demo, and no
wallet trusts any of it. The root's key exists only while it issues: later certificates come from a new root.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Self
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from keys.demo_ca import BACKDATED, LIFETIME
from keys.errors import KeyRefusal
from keys.eudi_certificates import DOCUMENT_SIGNING, EudiSigningIdentity, EudiUse
from keys.identity import PublicKey
from keys.store import Signer

_COUNTRY: Final = "DE"
_CITY: Final = "TEST Stadtpass Demo"
_NAMES: Final = {EudiUse.DOCUMENT_SIGNER: "Document Signer", EudiUse.ACCESS: "Access"}
_LAST_UTC_TIME: Final = datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class DemoEudiAuthority:
    """The root certificate and its private key, kept for as long as this object lives.

    ``base_url`` is the service's public address: its host stands in the certificates' alternative names.
    """

    root: x509.Certificate
    base_url: str
    _key: ec.EllipticCurvePrivateKey = field(repr=False)
    organisation: str = _CITY

    @classmethod
    def new(cls, at: datetime, base_url: str, organisation: str = _CITY) -> Self:
        """A new root, valid from 400 days before ``at`` (aware) for ten years after it, at most to the end of 2049.

        All its names begin with ``organisation``, which says TEST.
        Raises KeyRefusal EUDI_REQUEST where ``base_url`` has no host a certificate can name.
        """
        if at.tzinfo is None:
            raise ValueError("a time has no zone")
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name(organisation, "Issuing Authority")
        builder = (
            _builder(name, name, key.public_key(), at - BACKDATED, min(at + LIFETIME, _LAST_UTC_TIME))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(authority=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.IssuerAlternativeName(_own_names(base_url)), critical=False)
        )
        return cls(builder.sign(key, hashes.SHA256()), base_url, key, organisation)

    def issue(self, use: EudiUse, signer: Signer) -> EudiSigningIdentity:
        """A certificate over the key of ``signer``, as long as the root's own. Raises KeyRefusal EUDI_KEY_KIND."""
        root, public_key = self.root, signer.public_key()
        names = _own_names(self.base_url)
        builder = (
            _builder(
                _name(self.organisation, _NAMES[use]),
                root.subject,
                public_key,
                root.not_valid_before_utc,
                root.not_valid_after_utc,
            )
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(authority=False), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
            )
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
        )
        if use is EudiUse.DOCUMENT_SIGNER:
            where = x509.UniformResourceIdentifier("https://demo.invalid/no-revocations.crl")
            point = x509.DistributionPoint([where], None, None, None)
            builder = (
                builder.add_extension(x509.ExtendedKeyUsage([DOCUMENT_SIGNING]), critical=True)
                .add_extension(x509.IssuerAlternativeName(names), critical=False)
                # The standard demands the extension; nothing of a demo is ever revoked in a list.
                .add_extension(x509.CRLDistributionPoints([point]), critical=False)
            )
        certificate = builder.sign(self._key, hashes.SHA256())
        return EudiSigningIdentity(use, certificate, (), root, signer)

    @property
    def root_pem(self) -> bytes:
        """The trust anchor in PEM, for those who want to check a demo credential."""
        return self.root.public_bytes(Encoding.PEM)


def _own_names(base_url: str) -> list[x509.GeneralName]:
    parts = urlsplit(base_url)
    if not parts.hostname:
        raise KeyRefusal("EUDI_REQUEST", limit=64)
    return [x509.DNSName(parts.hostname), x509.UniformResourceIdentifier(f"{parts.scheme}://{parts.netloc}")]


def _builder(
    subject: x509.Name, issuer: x509.Name, public_key: PublicKey, first: datetime, last: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(first)
        .not_valid_after(last)
    )


def _name(organisation: str, what: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, _COUNTRY),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
            x509.NameAttribute(NameOID.COMMON_NAME, f"{organisation} {what}"),
        ]
    )


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )
