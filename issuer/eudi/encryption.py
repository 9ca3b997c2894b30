"""Encrypted requests and responses (OpenID4VCI 1.0, 10): ECDH-ES on P-256 with A128GCM or A256GCM, never compressed.

The key for requests follows from the service's secret and the calendar month, so nothing is stored, every process has
the same one, and wallets that have read the metadata late are still understood. Compression is not offered: what is
sent as ``zip`` is refused before it is unpacked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from issuer.application import Application
from issuer.eudi import jws
from issuer.eudi.errors import Refused
from keys.es256 import ORDER

ALGORITHM: Final = "ECDH-ES"
METHODS: Final = ("A128GCM", "A256GCM")
MEDIA_TYPE: Final = "application/jwt"
LONGEST: Final = 256 * 1024
_PARTS: Final = 5


class _Registry(jwe.JWERegistry):
    """A batch of credentials is longer than the library expects a message to be; `LONGEST` bounds what comes in."""

    max_protected_header_length = 4096
    max_ciphertext_length = 4 * 1024 * 1024


# Members that nobody knows are ignored (RFC 7516, 4), but for what ``crit`` names.
_REGISTRY: Final = _Registry(algorithms=[ALGORITHM, *METHODS], strict_check_header=False)


@dataclass(frozen=True, slots=True)
class ResponseKey:
    """What a wallet wants its answer encrypted with."""

    key: ECKey = field(repr=False)
    method: str
    kid: str | None

    def encrypt(self, content: bytes) -> str:
        """``content`` for the wallet alone, as compact JWE."""
        header = {"alg": ALGORITHM, "enc": self.method, **({"kid": self.kid} if self.kid is not None else {})}
        return jwe.encrypt_compact(header, content, self.key, registry=_REGISTRY)


def request_jwks(application: Application) -> list[dict[str, str]]:
    """The public key for requests, as the metadata names it."""
    key = _key(application, _month(application.now()))
    return [public_jwk(key)]


def decrypted(application: Application, body: bytes) -> dict[str, Any]:
    """The members of an encrypted request. Raises Refused."""
    try:
        content = opened(body.decode("ascii"), _keys(application))
    except (jws.JwsError, UnicodeDecodeError):
        raise Refused("invalid_encryption_parameters", "DECRYPT") from None
    try:
        return jws.read_object(content)
    except jws.JwsError:
        raise Refused("invalid_credential_request", "BODY") from None


def opened(text: str, keys: Sequence[ECKey]) -> bytes:
    """What the compact JWE ``text`` holds for the one of ``keys`` that its ``kid`` names. Raises JwsError."""
    header = _header(text)
    key = next((one for one in keys if jws.thumbprint(one) == header.get("kid")), None)
    if key is None:
        raise jws.JwsError("kid")
    try:
        return jwe.decrypt_compact(text, key, registry=_REGISTRY).plaintext or b""
    except (JoseError, ValueError, TypeError, KeyError) as fault:
        # What is inside the header's key is the library's to judge, and it says so in many ways.
        raise jws.JwsError("decrypt") from fault


def derived_key(application: Application, purpose: str, *parts: str) -> ECKey:
    """The private key on P-256 that follows from the service's secret, ``purpose`` and ``parts``."""
    # 512 bits, so that no number is noticeably likelier than another (FIPS 186-5, A.2.1).
    seed = b"".join(application.derived(purpose, *parts, half) for half in ("1", "2"))
    secret = int.from_bytes(seed, "big") % (ORDER - 1) + 1
    return ECKey.import_key(ec.derive_private_key(secret, ec.SECP256R1()))


def public_jwk(key: ECKey) -> dict[str, str]:
    """The public half of ``key`` as metadata name it."""
    return {**jws.jwk_of(key), "kid": jws.thumbprint(key), "use": "enc", "alg": ALGORITHM}


def response_key(wanted: object, *, encrypted: bool) -> ResponseKey | None:
    """What ``credential_response_encryption`` asks for; None where it is absent.

    Only an encrypted request may ask: otherwise somebody on the way could put in a key of their own. Raises Refused.
    """
    if wanted is None:
        return None
    if not encrypted:
        raise Refused("invalid_encryption_parameters", "ENCRYPTION_NOT_REQUESTED")
    try:
        if not isinstance(wanted, dict) or wanted.get("enc") not in METHODS or "zip" in wanted:
            raise jws.JwsError("parameters")
        told = wanted.get("jwk")
        key = jws.public_key(told)
        if not isinstance(told, dict) or told.get("alg") != ALGORITHM or told.get("use", "enc") != "enc":
            raise jws.JwsError("jwk")
        kid = told.get("kid")
        if kid is not None and not (isinstance(kid, str) and 0 < len(kid) <= 200):
            raise jws.JwsError("kid")
    except jws.JwsError:
        raise Refused("invalid_encryption_parameters", "ENCRYPTION_PARAMETERS") from None
    return ResponseKey(key, wanted["enc"], kid)


def _header(text: str) -> Mapping[str, Any]:
    parts = text.split(".")
    # With direct key agreement there is no encrypted key between the first two dots (RFC 7518, 4.6).
    if len(text) > LONGEST or len(parts) != _PARTS or parts[1]:
        raise jws.JwsError("form")
    header = jws.read_part(parts[0])
    if header.get("alg") != ALGORITHM or header.get("enc") not in METHODS:
        raise jws.JwsError("algorithm")
    if "zip" in header or "crit" in header:
        raise jws.JwsError("zip")
    jws.public_key(header.get("epk"))
    return header


def _keys(application: Application) -> list[ECKey]:
    now = application.now()
    before = now.replace(day=1) - timedelta(days=1)
    return [_key(application, _month(one)) for one in (now, before)]


def _month(at: datetime) -> str:
    return at.strftime("%Y-%m")


def _key(application: Application, month: str) -> ECKey:
    return derived_key(application, "eudi-encryption", month)
