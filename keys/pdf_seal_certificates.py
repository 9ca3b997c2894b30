"""Certificates for sealing PDFs: what must hold before a document leaves with a seal that readers of PDFs check.

The seal carries its signer's certificate and those between it and the trust anchor (PAdES, ETSI EN 319 142-1, 6.3);
the anchor is in the reader's own list. What the certificate is for: signing documents (RFC 9336), or by its key usage
alone, as certificates for electronic seals often have it (ETSI EN 319 412-3 with EN 319 412-2, 4.3.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Final

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier

from keys.certified_identity import CertifiedIdentity, request_for
from keys.store import Signer

# id-kp-documentSigning (RFC 9336, 3.1).
PDF_SIGNING: Final = ObjectIdentifier("1.3.6.1.5.5.7.3.36")


class PdfSealUse(StrEnum):
    """What the certificate is for: there is one use."""

    SEAL = "pdf-seal"


@dataclass(frozen=True)
class PdfSealIdentity(CertifiedIdentity):
    """What seals PDFs. Codes begin with PDF_SEAL."""

    family: ClassVar[str] = "PDF_SEAL"

    def lacking(self) -> str:
        """As the class says: no authority, for signatures, and if it names extended uses, then for documents.

        A certificate without extended key usage is taken with contentCommitment alone: for digitalSignature without
        that, it may as well be one for servers.
        """
        constraints = self.extension(x509.BasicConstraints)
        if constraints is not None and constraints.ca:
            return "basicConstraints CA:FALSE"
        usage = self.extension(x509.KeyUsage)
        if usage is None or not (usage.digital_signature or usage.content_commitment):
            return "keyUsage contentCommitment"
        extended = self.extension(x509.ExtendedKeyUsage)
        if extended is None:
            return "" if usage.content_commitment else f"extendedKeyUsage {PDF_SIGNING.dotted_string}"
        wanted = (PDF_SIGNING, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE)
        if not any(one in extended for one in wanted):
            return f"extendedKeyUsage {PDF_SIGNING.dotted_string}"
        return ""


def pdf_seal_request(signer: Signer, common_name: str, country: str, organisation: str) -> bytes:
    """A PKCS#10 request (RFC 2986) in PEM for the key, to be sent to the authority; works with a key in an HSM.

    It asks for the uses that the seal needs. Raises KeyRefusal PDF_SEAL_KEY_KIND, PDF_SEAL_REQUEST for a name X.509
    cannot hold.
    """
    extensions: list[tuple[x509.ExtensionType, bool]] = [
        (seal_usage(), True),
        (x509.ExtendedKeyUsage([PDF_SIGNING]), False),
    ]
    family = PdfSealIdentity.family
    return request_for(signer, common_name, country, organisation, extensions, family)


def seal_usage() -> x509.KeyUsage:
    """The key usage of a certificate for seals: signatures that stand for the content."""
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=True,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
