"""Certificates for EUDI credentials: what must hold before a credential or a request is signed with one.

A credential carries its signer's certificate and those between it and the trust anchor, never the anchor and never
a self-signed one (HAIP 1.0, 6.1.1; ISO/IEC 18013-5, 9.1.2.4). There are two uses: the document signer under a city's
credentials and status lists, and the access certificate with which it asks wallets (OpenID4VP, ``x509_hash``).
Profile of a document signer: ISO/IEC 18013-5:2021, B.1.4, as far as it can be held against any authority.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import ClassVar, Final
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID, ObjectIdentifier

from keys.certified_identity import CertifiedIdentity, request_for
from keys.errors import KeyRefusal
from keys.store import Signer

# Extended key usage of a document signer (ISO/IEC 18013-5:2021, B.1.4, id-mdl-kp-mdlDS).
DOCUMENT_SIGNING: Final = ObjectIdentifier("1.0.18013.5.1.2")
_LONGEST_NAME: Final = 64


class EudiUse(StrEnum):
    """What a certificate is for: signing credentials and their status lists, or asking wallets."""

    DOCUMENT_SIGNER = "document-signer"
    ACCESS = "access"


@dataclass(frozen=True)
class EudiSigningIdentity(CertifiedIdentity):
    """What signs credentials, or asks for them; ``use`` is an `EudiUse`. Codes begin with EUDI."""

    family: ClassVar[str] = "EUDI"

    @cached_property
    def x5c(self) -> tuple[str, ...]:
        """The certificates of a JOSE header, in base64 of their DER (RFC 7515 4.1.6): leaf first, no anchor."""
        return tuple(b64encode(one).decode("ascii") for one in self.x5chain)

    @cached_property
    def x5chain(self) -> tuple[bytes, ...]:
        """The same in DER, for a COSE header (RFC 9360 2)."""
        return tuple(one.public_bytes(Encoding.DER) for one in (self.certificate, *self.intermediates))

    @cached_property
    def hosts(self) -> frozenset[str]:
        """The host names the certificate speaks for: its alternative names of the kinds DNS and URI."""
        names = self.extension(x509.SubjectAlternativeName)
        if names is None:
            return frozenset()
        hosts = set(names.get_values_for_type(x509.DNSName))
        hosts |= {
            urlsplit(one).hostname or "" for one in names.get_values_for_type(x509.UniformResourceIdentifier)
        }
        return frozenset(hosts - {""})

    def lacking(self) -> str:
        """As the class says; a document signer must be one, with a country."""
        constraints = self.extension(x509.BasicConstraints)
        if constraints is not None and constraints.ca:
            return "basicConstraints CA:FALSE"
        usage = self.extension(x509.KeyUsage)
        if usage is None or not usage.digital_signature:
            return "keyUsage digitalSignature"
        if self.extension(x509.AuthorityKeyIdentifier) is None:
            return "authorityKeyIdentifier"
        if self.use is not EudiUse.DOCUMENT_SIGNER:
            return ""
        extended = self.extension(x509.ExtendedKeyUsage)
        if extended is None or DOCUMENT_SIGNING not in extended:
            return f"extendedKeyUsage {DOCUMENT_SIGNING.dotted_string}"
        return "" if self.certificate.subject.get_attributes_for_oid(NameOID.COUNTRY_NAME) else "countryName"


def signing_request(signer: Signer, common_name: str, country: str, organisation: str, host: str) -> bytes:
    """A PKCS#10 request (RFC 2986) in PEM for the key, to be sent to the authority; works with a key in an HSM.

    ``host`` is asked for as alternative name, which an ``iss`` of that host needs. Raises KeyRefusal EUDI_KEY_KIND,
    EUDI_REQUEST for a name X.509 cannot hold.
    """
    try:
        names = x509.SubjectAlternativeName(
            [x509.DNSName(host), x509.UniformResourceIdentifier(f"https://{host}")]
        )
    except ValueError as error:
        raise KeyRefusal("EUDI_REQUEST", limit=_LONGEST_NAME) from error
    family = EudiSigningIdentity.family
    return request_for(signer, common_name, country, organisation, [(names, False)], family)
