"""SD-JWT VC: a credential whose holder shows what is asked for and no more.

RFC 9901 (SD-JWT) and draft-ietf-oauth-sd-jwt-vc; header ``typ: dc+sd-jwt`` and ``x5c``, SHA-256, ES256, bound to the
holder's key (``cnf``). Here it is written; `verifier.credentials` reads it.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec

from keys.eudi_certificates import EudiSigningIdentity
from keys.store import Signer
from passes.credential_frame import StatusReference, Validity, coordinates
from passes.errors import PassRefusal

TYP: Final = "dc+sd-jwt"
SALT_BYTES: Final = 16
_DIGEST_BYTES: Final = 32
# Claims that say whether and from whom a credential counts are never withheld (SD-JWT VC, 2.2.2.2); the next line
# are RFC 9901's own words, which no claim may be called.
REGISTERED: Final = frozenset({"iss", "nbf", "exp", "iat", "cnf", "vct", "vct#integrity", "status"})
RESERVED: Final = frozenset({"_sd", "...", "_sd_alg"})

_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))

Json = str | int | float | bool | None | list["Json"] | dict[str, "Json"]


@dataclass(frozen=True, slots=True)
class Selective:
    """A claim or array element that the holder may withhold; what it holds may be selective again."""

    value: Claim


@dataclass(frozen=True, slots=True)
class Decoy:
    """A digest with nothing behind it, in place of a claim that this holder does not have."""


DECOY: Final = Decoy()
Claim = str | int | bool | None | Selective | Decoy | Sequence["Claim"] | Mapping[str, "Claim"]


def issue(
    identity: EudiSigningIdentity,
    *,
    vct: str,
    vct_integrity: str,
    claims: Mapping[str, Claim],
    holder: ec.EllipticCurvePublicKey,
    validity: Validity,
    status: StatusReference | None,
    issuer: str | None = None,
) -> str:
    """One credential: the signed JWT and all its disclosures, each followed by ``~``.

    ``claims`` are the claims of the subject, with `Selective` and `DECOY` where they stand; ``vct_integrity`` is the
    hash of the type metadata (``sha256-...``); ``issuer``, if given, is an ``https`` URL whose host the certificate
    names. Salts are of 128 random bits, digests stand in an order that says nothing of the claims.
    Raises PassRefusal: CREDENTIAL_CLAIM for a claim that is called like one of the format's own, CREDENTIAL_ISSUER,
    HOLDER_KEY; KeyRefusal if the key store no longer answers.
    """
    if issuer is not None and not _is_host_of(issuer, identity):
        raise PassRefusal("CREDENTIAL_ISSUER", issuer=issuer)
    if taken := REGISTERED & claims.keys():
        raise PassRefusal("CREDENTIAL_CLAIM", claim=", ".join(sorted(taken)))
    disclosures: list[str] = []
    body = _object(claims, disclosures)
    x, y = coordinates(holder)
    payload: dict[str, Any] = {"iss": issuer} if issuer is not None else {}
    payload |= {
        "vct": vct,
        "vct#integrity": vct_integrity,
        "iat": validity.issued_at,
        "nbf": validity.not_before,
        "exp": validity.expires,
        "cnf": {"jwk": {"kty": "EC", "crv": "P-256", "x": encoded(x), "y": encoded(y)}},
    }
    if status is not None:
        payload["status"] = {"status_list": {"idx": status.index, "uri": status.uri}}
    payload |= body
    if disclosures:
        payload["_sd_alg"] = "sha-256"
    token = _signed(identity.signer, _header(TYP, identity.x5c), payload)
    return "~".join([token, *disclosures, ""])


def sign_jws(signer: Signer, header: Mapping[str, object], payload: Mapping[str, object]) -> str:
    """A compact JWS (RFC 7515 7.1) of JSON, signed with ES256."""
    return _signed(signer, encoded(_json(header)), payload)


@lru_cache(maxsize=64)
def _header(typ: str, x5c: tuple[str, ...]) -> str:
    """The encoded header, which is the same for all credentials of a certificate."""
    return encoded(_json({"alg": "ES256", "typ": typ, "x5c": x5c}))


def _signed(signer: Signer, header: str, payload: Mapping[str, object]) -> str:
    signed = f"{header}.{encoded(_json(payload))}"
    return f"{signed}.{encoded(signer.sign(signed.encode('ascii')))}"


def encoded(data: bytes) -> str:
    """Base64url without padding (RFC 7515 2)."""
    return urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def decoded(text: str) -> bytes:
    """The bytes behind base64url without padding, in its one spelling. Raises ValueError."""
    data = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if encoded(data) != text:
        raise ValueError("another spelling")
    return data


def digest(disclosure: str) -> str:
    """The digest under which a disclosure stands in the token (RFC 9901 4.2.3)."""
    return encoded(hashlib.sha256(disclosure.encode("ascii")).digest())


def _json(value: object) -> bytes:
    return _ENCODER.encode(value).encode()


def _object(claims: Mapping[str, Claim], disclosures: list[str]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    digests: list[str] = []
    for name, claim in claims.items():
        if name in RESERVED:
            raise PassRefusal("CREDENTIAL_CLAIM", claim=name)
        if isinstance(claim, Selective):
            digests.append(_disclosed([name, _value(claim.value, disclosures)], disclosures))
        elif isinstance(claim, Decoy):
            digests.append(encoded(secrets.token_bytes(_DIGEST_BYTES)))
        else:
            made[name] = _value(claim, disclosures)
    if digests:
        # Digests are random numbers: sorted, they no longer stand in the order of the claims.
        made["_sd"] = sorted(digests)
    return made


def _value(claim: Claim, disclosures: list[str]) -> Any:
    if claim is None or isinstance(claim, str | int):
        return claim
    if isinstance(claim, Mapping):
        return _object(claim, disclosures)
    if not isinstance(claim, Sequence):
        raise TypeError("a selective claim directly inside another")
    made: list[Any] = []
    for one in claim:
        if isinstance(one, Selective):
            made.append({"...": _disclosed([_value(one.value, disclosures)], disclosures)})
        elif isinstance(one, Decoy):
            made.append({"...": encoded(secrets.token_bytes(_DIGEST_BYTES))})
        else:
            made.append(_value(one, disclosures))
    return made


def _disclosed(content: list[Any], disclosures: list[str]) -> str:
    disclosure = encoded(_json([encoded(secrets.token_bytes(SALT_BYTES)), *content]))
    disclosures.append(disclosure)
    return digest(disclosure)


def _is_host_of(issuer: str, identity: EudiSigningIdentity) -> bool:
    parts = urlsplit(issuer)
    return parts.scheme == "https" and parts.hostname in identity.hosts
