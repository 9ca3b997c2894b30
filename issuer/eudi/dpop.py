"""DPoP (RFC 9449): tokens that work only together with a key of the wallet, proven anew with every request.

Proofs carry a nonce of ours (section 8 and 9), so that none can be made ahead. A proof is checked before anything is
used up, and its id is used up before the code or token of the request is: a wallet that has to come again with a
nonce must find its code unused.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from sqlalchemy.orm import Session

from issuer.application import Application
from issuer.eudi import jws, once
from issuer.eudi.errors import Refused, unauthorized
from issuer.web.reader import AnyRequest

HEADER: Final = "dpop"
NONCE_HEADER: Final = "DPoP-Nonce"
_TYPE: Final = ("dpop+jwt",)
_LONGEST: Final = 8 * 1024
# The nonce says how fresh a proof is; clocks of phones go wrong by minutes.
_TOLERANCE: Final = timedelta(minutes=10)
_PORTS: Final = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True)
class Proof:
    """A proof that holds: ``jkt`` is the thumbprint of its key. Its id has yet to be used up."""

    jkt: str
    jti: str
    until: datetime
    resource: bool

    def use(self, session: Session, application: Application) -> None:
        """Use the proof up in a writing transaction. Raises Refused for one that was seen before."""
        if not once.use(session, application, "dpop", f"{self.jkt}:{self.jti}", self.until):
            raise _invalid(application, "DPOP_REPLAYED", resource=self.resource)


def fresh_nonce(application: Application) -> dict[str, str]:
    """The header that gives the wallet its next nonce (RFC 9449, 8.2)."""
    return {NONCE_HEADER: once.new_nonce(application, once.DPOP)}


def check(
    application: Application, request: AnyRequest, address: str, access_token: str | None = None
) -> Proof | None:
    """The proof in the header of a POST to the URL ``address``; None without one. ``access_token`` comes with it.

    Raises Refused: invalid_dpop_proof, or use_dpop_nonce with a nonce in the header, which costs the wallet nothing
    but a second request.
    """
    resource = access_token is not None
    given = request.headers.getall(HEADER, [])
    if not given:
        return None
    if len(given) > 1:
        raise _invalid(application, "DPOP_TWICE", resource=resource)
    try:
        proof = jws.read(given[0], _TYPE, longest=_LONGEST)
        key = jws.public_key(proof.header.get("jwk"))
        proof.verify(key)
        claims = {name: proof.text(name) for name in ("htm", "jti", "nonce", "ath")}
        htu, issued = proof.text("htu", longest=2000), proof.seconds("iat")
    except jws.JwsError:
        raise _invalid(application, "DPOP_INVALID", resource=resource) from None
    now = application.now()
    haip = application.config.eudi.haip
    if claims["jti"] is None or issued is None or not jws.is_recent(issued, now, _TOLERANCE, haip=haip):
        raise _invalid(application, "DPOP_TIME", resource=resource)
    if claims["htm"] != "POST" or htu is None or not is_same_address(htu, address):
        raise _invalid(application, "DPOP_ADDRESS", resource=resource)
    if access_token is not None and not hmac.compare_digest(claims["ath"] or "", _ath(access_token)):
        raise _invalid(application, "DPOP_TOKEN", resource=True)
    if once.nonce_until(application, once.DPOP, claims["nonce"]) is None:
        raise _wants_nonce(application, resource=resource)
    until = now + 2 * _TOLERANCE
    return Proof(jws.thumbprint(key), claims["jti"], until, resource)


def is_same_address(told: str, address: str) -> bool:
    """Whether ``told`` (htu) names ``address``: without query and fragment, after RFC 3986, 6.2.2 and 6.2.3."""
    try:
        return _normal(told) == _normal(address)
    except ValueError:
        return False


def _normal(address: str) -> tuple[str, str, int | None, str]:
    parts = urlsplit(address)
    scheme = parts.scheme.lower()
    return scheme, (parts.hostname or "").lower(), parts.port or _PORTS.get(scheme), parts.path or "/"


def _ath(access_token: str) -> str:
    digest = hashlib.sha256(access_token.encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def _wants_nonce(application: Application, *, resource: bool) -> Refused:
    headers = fresh_nonce(application)
    if resource:
        return unauthorized("use_dpop_nonce", "DPOP_NONCE", dpop=True, headers=headers)
    return Refused("use_dpop_nonce", "DPOP_NONCE", headers=headers)


def _invalid(application: Application, reason: str, *, resource: bool) -> Refused:
    headers: Mapping[str, str] = fresh_nonce(application)
    if resource:
        return unauthorized("invalid_dpop_proof", reason, dpop=True, headers=headers)
    return Refused("invalid_dpop_proof", reason, headers=headers)


def missing(application: Application) -> Refused:
    """The refusal of a request to the authorization server that should have had a proof."""
    return _invalid(application, "DPOP_MISSING", resource=False)
