"""Compact JWS as credentials, key bindings and status lists are: ES256, JSON without repeated names, one spelling."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from passes.sd_jwt import decoded
from verifier.credentials.chain import check_signature
from verifier.credentials.outcome import PresentationRefused, malformed

_MAX_DEPTH = 12


@dataclass(frozen=True, slots=True)
class UnverifiedJws:
    """A JWS as it was read; nothing in it is to be believed before `verify`."""

    header: Mapping[str, Any]
    payload: dict[str, Any]
    _signed: bytes
    _signature: bytes

    def verify(self, key: ec.EllipticCurvePublicKey, code: str) -> None:
        """Check the signature. Raises PresentationRefused with ``code``."""
        check_signature(key, self._signature, self._signed, code)


def read_jws(token: str, typ: str) -> UnverifiedJws:
    """A compact JWS (RFC 7515 7.1) of JSON with ``typ`` and ES256.

    Raises PresentationRefused PRESENTATION_MALFORMED, also for ``crit``, which names what must be understood and
    nothing is; PRESENTATION_ALGORITHM for another algorithm, ``none`` above all.
    """
    parts = token.split(".")
    if len(parts) != 3:
        raise malformed("no compact JWS")
    try:
        head, body, signature = (decoded(one) for one in parts)
    except ValueError:
        raise malformed("no base64url") from None
    header, payload = read_json(head), read_json(body)
    if not isinstance(header, dict) or not isinstance(payload, dict):
        raise malformed("no object")
    if header.get("alg") != "ES256":
        raise PresentationRefused("PRESENTATION_ALGORITHM")
    if header.get("typ") != typ or "crit" in header:
        raise malformed("typ or crit")
    return UnverifiedJws(header, payload, f"{parts[0]}.{parts[1]}".encode("ascii"), signature)


def read_json(data: bytes) -> Any:
    """JSON (RFC 8259) without repeated names, NaN, or deep nesting. Raises PresentationRefused."""
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise malformed("no JSON") from None
    if _depth(value) > _MAX_DEPTH:
        raise malformed("nested too deep")
    return value


def integer(payload: Mapping[str, Any], name: str, *, optional: bool = False) -> int | None:
    """A time or number claim as whole seconds. Raises PresentationRefused."""
    value = payload.get(name)
    if value is None and optional:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 53:
        raise malformed(name)
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a name twice")
    return made


def _no_number(_text: str) -> Any:
    raise ValueError("no number")


def _depth(value: Any) -> int:
    deepest, level = 0, [value]
    while level:
        deepest += 1
        if deepest > _MAX_DEPTH:
            break
        level = [
            inner
            for one in level
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
    return deepest
