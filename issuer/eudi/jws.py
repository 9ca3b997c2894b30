"""Signed tokens that wallets send: compact JWS (RFC 7515) with ES256, and the public keys in them.

ES256 on P-256 is the one algorithm that HAIP 1.0 (section 7) demands of everybody; no other is taken.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey
from joserfc.util import urlsafe_b64decode

LONGEST: Final = 24 * 1024
_PARTS: Final = 3
_AHEAD: Final = timedelta(minutes=1)
_COORDINATE: Final = 43
_ALGORITHM: Final = "ES256"
# RFC 7518, 6.2.2, 6.3.2 and 6.4: members that only private and symmetric keys have.
_PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_BASE64URL: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


class _Registry(jws.JWSRegistry):
    """Certificates make headers long; what the library allows is meant for those without. `read` bounds the whole."""

    max_header_length = LONGEST
    max_payload_length = LONGEST


# Members that nobody knows are ignored (RFC 7515, 4), but for what ``crit`` names.
_REGISTRY: Final = _Registry(algorithms=[_ALGORITHM], strict_check_header=False)


class JwsError(ValueError):
    """No token of the kind that was asked for, or one whose signature does not hold."""


@dataclass(frozen=True, slots=True)
class Jws:
    """A token that was read, whose signature has not been checked yet."""

    header: dict[str, Any]
    claims: dict[str, Any]
    _text: str = field(repr=False)

    def verify(self, key: ECKey) -> None:
        """Raises JwsError unless ``key`` has signed it."""
        try:
            jws.deserialize_compact(self._text, key, registry=_REGISTRY)
        except (JoseError, ValueError) as fault:
            raise JwsError("signature") from fault

    def text(self, name: str, *, longest: int = 300) -> str | None:
        """The claim ``name``; None where it is absent. Raises JwsError for what is no text of this length."""
        value = self.claims.get(name)
        if value is None:
            return None
        if not isinstance(value, str) or not 0 < len(value) <= longest:
            raise JwsError(name)
        return value

    def seconds(self, name: str) -> float | None:
        """The time claim ``name`` in seconds since 1970; None where it is absent. Raises JwsError."""
        value = self.claims.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise JwsError(name)
        if not 0 <= value < 1 << 40:
            raise JwsError(name)
        return value


def read(text: object, types: Collection[str], *, longest: int = LONGEST) -> Jws:
    """Read a compact JWS whose ``typ`` is one of ``types``; its length is bounded before anything is parsed.

    Raises JwsError for anything else: other algorithms, ``crit``, repeated members, claims that are no object.
    """
    if not isinstance(text, str) or not 0 < len(text) <= longest or not text.isascii():
        raise JwsError("form")
    parts = text.split(".")
    if len(parts) != _PARTS or not all(parts):
        raise JwsError("form")
    header, claims = read_part(parts[0]), read_part(parts[1])
    if header.get("typ") not in types or header.get("alg") != _ALGORITHM or "crit" in header:
        raise JwsError("header")
    return Jws(header, claims, text)


def read_object(data: bytes) -> dict[str, Any]:
    """The JSON object ``data``, in which no member occurs twice. Raises JwsError."""
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as fault:
        raise JwsError("json") from fault
    if not isinstance(value, dict):
        raise JwsError("json")
    return value


def read_part(part: str) -> dict[str, Any]:
    """The JSON object in a part of a compact token. Raises JwsError."""
    return read_object(_decoded(part))


def public_key(value: object) -> ECKey:
    """The public key on P-256 in the JWK ``value``. Raises JwsError for other keys, and for private ones."""
    if not isinstance(value, dict) or _PRIVATE & value.keys():
        raise JwsError("jwk")
    if value.get("kty") != "EC" or value.get("crv") != "P-256":
        raise JwsError("jwk")
    for name in ("x", "y"):
        coordinate = value.get(name)
        if not isinstance(coordinate, str) or len(coordinate) != _COORDINATE or not coordinate.isascii():
            raise JwsError("jwk")
    try:
        key = ECKey.import_key({name: value[name] for name in ("kty", "crv", "x", "y")})
        # The point is checked when the key is made, not when it is imported.
        _ = key.public_key
    except (JoseError, ValueError) as fault:
        raise JwsError("jwk") from fault
    return key


def from_point(key: object) -> ECKey:
    """A key of a certificate. Raises JwsError unless it is on P-256."""
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise JwsError("key")
    return ECKey.import_key(key)


def jwk_of(key: ECKey) -> dict[str, str]:
    """The public members of ``key`` and nothing else."""
    members = key.as_dict(private=False)
    return {name: str(members[name]) for name in ("kty", "crv", "x", "y")}


def thumbprint(key: ECKey) -> str:
    """The SHA-256 thumbprint of RFC 7638, base64url."""
    return key.thumbprint()


def is_recent(issued: float, now: datetime, tolerance: timedelta, *, haip: bool) -> bool:
    """Whether ``issued`` (seconds since 1970) is ``now``, give or take ``tolerance`` for clocks that go wrong.

    FAPI 2.0 (5.3.2.1), which HAIP builds on, takes nothing that is more than a minute ahead.
    """
    ahead = timedelta(seconds=issued - now.timestamp())
    return -tolerance <= ahead <= (_AHEAD if haip else tolerance)


def _decoded(part: str) -> bytes:
    octets = part.encode()
    if not _BASE64URL.issuperset(octets):
        raise JwsError("form")
    try:
        return urlsafe_b64decode(octets)
    except ValueError as fault:
        raise JwsError("form") from fault


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member occurs twice")
    return members


def _no_constant(name: str) -> Any:
    raise ValueError(name)
