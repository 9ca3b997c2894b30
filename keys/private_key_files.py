"""Private keys as they arrive from outside: PEM (PKCS#8, PKCS#1, SEC 1) and PKCS#12 (.p12, .pfx)."""

from __future__ import annotations

from dataclasses import dataclass, field

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.hazmat.primitives.serialization.pkcs12 import load_pkcs12

from keys.errors import KeyRefusal
from keys.identity import PrivateKey, check_public_key

MAX_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class PrivateMaterial:
    """A private key with the certificate that belongs to it and others that came along, if any."""

    private_key: PrivateKey = field(repr=False)
    certificate: x509.Certificate | None = None
    others: tuple[x509.Certificate, ...] = ()


def check_private_key(private_key: object) -> PrivateKey:
    """Return ``private_key`` if it is P-256 or RSA of 2048 to 4096 bits. Raises KeyRefusal otherwise."""
    if not isinstance(private_key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise KeyRefusal("KEY_KIND")
    check_public_key(private_key.public_key())
    return private_key


def read_pem(content: bytes, password: str | None = None) -> PrivateMaterial:
    """Read one PEM private key; certificates in the same file are not read.

    Raises KeyRefusal for a missing or wrong password and for anything that is no such key.
    """
    _check_size(content)
    try:
        key: object = load_pem_private_key(content, _encoded(password))
    except TypeError as error:
        # cryptography's word for a password that is missing, or given for a key that has none
        raise KeyRefusal("PRIVATE_KEY_PASSWORD") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyRefusal("PRIVATE_KEY_FILE") from error
    return PrivateMaterial(check_private_key(key))


def read_p12(content: bytes, password: str | None = None) -> PrivateMaterial:
    """Read a PKCS#12 file with one private key, as Keychain exports Apple's pass certificates.

    Raises KeyRefusal for a missing or wrong password and for a file without a private key.
    """
    _check_size(content)
    try:
        found = load_pkcs12(content, _encoded(password))
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        # PKCS#12 does not tell a wrong password from damage.
        raise KeyRefusal("PRIVATE_KEY_P12") from error
    if found.key is None:
        raise KeyRefusal("PRIVATE_KEY_P12")
    others = tuple(item.certificate for item in found.additional_certs)
    certificate = None if found.cert is None else found.cert.certificate
    return PrivateMaterial(check_private_key(found.key), certificate, others)


def _encoded(password: str | None) -> bytes | None:
    return None if password is None else password.encode()


def _check_size(content: bytes) -> None:
    if len(content) > MAX_BYTES:
        raise KeyRefusal("PRIVATE_KEY_FILE")
