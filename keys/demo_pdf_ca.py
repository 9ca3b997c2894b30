"""A certificate authority for seals in PDFs, for demonstrations: readers of PDFs do not know it.

A root issues through an authority between, as those in the lists of PDF readers do, so that what is checked with a
demo seal is the whole way. Every name says TEST and Demo. The private keys of both exist only while they issue.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from keys.demo_ca import BACKDATED, LIFETIME
from keys.errors import KeyRefusal
from keys.identity import PublicKey
from keys.pdf_seal_certificates import PDF_SIGNING, PdfSealIdentity, PdfSealUse, seal_usage
from keys.store import Algorithm, Signer

_ORGANISATION: Final = "TEST Stadtpass Demo"
_LAST_UTC_TIME: Final = datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC)


def demo_pdf_seal(at: datetime, signer: Signer) -> PdfSealIdentity:
    """A certificate over the key of ``signer`` under a new root, whose ``anchor`` is for those who want to check.

    All count from 400 days before ``at`` (aware) for ten years after it, at most to the end of 2049. Raises
    KeyRefusal PDF_SEAL_KEY_KIND.
    """
    if at.tzinfo is None:
        raise ValueError("a time has no zone")
    if signer.algorithm is not Algorithm.ES256:
        raise KeyRefusal("PDF_SEAL_KEY_KIND")
    first, last = at - BACKDATED, min(at + LIFETIME, _LAST_UTC_TIME)
    root_key, middle_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root_name = _name("TEST Stadtpass Demo Document Root")
    middle_name = _name("TEST Stadtpass Demo Document Authority")
    root = _authority(
        _builder(root_name, root_name, root_key.public_key(), first, last), root_key, root_key, 1
    )
    middle = _authority(
        _builder(middle_name, root_name, middle_key.public_key(), first, last), middle_key, root_key, 0
    )
    public_key = signer.public_key()
    leaf = _builder(_name("TEST Stadtpass Demo Document Seal"), middle_name, public_key, first, last)
    certificate = (
        _with_keys(leaf, public_key, middle_key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(seal_usage(), critical=True)
        .add_extension(x509.ExtendedKeyUsage([PDF_SIGNING]), critical=False)
        .sign(middle_key, hashes.SHA256())
    )
    return PdfSealIdentity(PdfSealUse.SEAL, certificate, (middle,), root, signer)


def _authority(
    builder: x509.CertificateBuilder,
    key: ec.EllipticCurvePrivateKey,
    issuer: ec.EllipticCurvePrivateKey,
    below: int,
) -> x509.Certificate:
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    return (
        _with_keys(builder, key.public_key(), issuer)
        .add_extension(x509.BasicConstraints(ca=True, path_length=below), critical=True)
        .add_extension(usage, critical=True)
        .sign(issuer, hashes.SHA256())
    )


def _with_keys(
    builder: x509.CertificateBuilder, public_key: PublicKey, issuer: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    above = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key())
    return builder.add_extension(
        x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False
    ).add_extension(above, critical=False)


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


def _name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "DE"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, _ORGANISATION),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )
