"""Nonces that hold for some minutes, and what counts once: nonces, and the ids of proofs.

A nonce is random, carries its end, and is sealed with the service's secret: handing one out stores nothing, so that
nobody fills the register by asking. What has been used is stored as a keyed hash until it would have ended anyway.
"""

from __future__ import annotations

import base64
import hmac
import secrets
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.orm import Session

from issuer.application import Application
from issuer.models_eudi import EudiReplayRow

# For key proofs, OpenID4VCI 1.0, 7; and for DPoP proofs, RFC 9449, 8.
CREDENTIAL: Final = "c"
DPOP: Final = "d"
LIFETIME: Final = timedelta(minutes=5)

_RANDOM: Final = 16
_TIME: Final = 5
_TAG: Final = 16
_CHARACTERS: Final = 50


def new_nonce(application: Application, kind: str) -> str:
    """A nonce of ``kind`` that holds for five minutes from now."""
    until = int((application.now() + LIFETIME).timestamp())
    body = secrets.token_bytes(_RANDOM) + until.to_bytes(_TIME, "big")
    return _encoded(body + _tag(application, kind, body))


def nonce_until(application: Application, kind: str, text: str | None) -> datetime | None:
    """When a nonce of ours ends; None for what is none, of another kind or over. Whether it was used says `use`."""
    if text is None or len(text) != _CHARACTERS or not text.isascii():
        return None
    try:
        octets = base64.b64decode(text + "==", altchars=b"-_", validate=True)
    except ValueError:
        return None
    body, tag = octets[:-_TAG], octets[-_TAG:]
    # The last character has bits to spare: spelt in another way it would count twice.
    if _encoded(octets) != text or not hmac.compare_digest(tag, _tag(application, kind, body)):
        return None
    until = datetime.fromtimestamp(int.from_bytes(body[_RANDOM:], "big"), application.now().tzinfo)
    return until if until > application.now() else None


def use(session: Session, application: Application, kind: str, text: str, until: datetime) -> bool:
    """Use ``text`` up, in a writing transaction, for as long as it could come again; False if it was used before."""
    key = (application.tenant, application.hash_secret(f"eudi-once-{kind}", text))
    if session.get(EudiReplayRow, key) is not None:
        return False
    session.add(EudiReplayRow(tenant=key[0], used_hash=key[1], expires_at=until))
    session.flush()
    return True


def _encoded(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")


def _tag(application: Application, kind: str, body: bytes) -> bytes:
    return hmac.digest(application.derived("eudi-nonce", kind), body, "sha256")[:_TAG]
