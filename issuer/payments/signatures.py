"""Signatures of notifications: HMAC-SHA-256 over a timestamp and the body, as Stripe and others sign theirs.

The header is ``t=SECONDS,v1=HEX[,v1=HEX]`` (https://docs.stripe.com/webhooks#verify-manually): the hash is over
``SECONDS.BODY``, several of it stand there while a secret is being changed. A message is taken for five minutes.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from issuer.payments.provider import NotificationRefused

HEADER: Final = "stadtpass-payment-signature"
TOLERANCE_SECONDS: Final = 300
_FORM: Final = re.compile(r"t=([0-9]{1,12})((?:,v1=[0-9a-f]{64}){1,4})")


def signature(secret: bytes, body: bytes, at: datetime) -> str:
    """The header's value for ``body`` at the aware time ``at``."""
    seconds = int(at.timestamp())
    return f"t={seconds},v1={_hash(secret, seconds, body)}"


def check(header: str, body: bytes, secrets: Sequence[bytes], at: datetime) -> None:
    """Raise NotificationRefused unless one of ``secrets`` has signed ``body`` within five minutes of ``at``."""
    found = _FORM.fullmatch(header)
    if found is None:
        raise NotificationRefused("signature-form")
    seconds = int(found[1])
    given = found[2].replace("v1=", "").strip(",").split(",")
    # All of them are compared, whatever the first ones say: how long it takes shall tell nothing.
    fits = False
    for secret in secrets:
        wanted = _hash(secret, seconds, body)
        for one in given:
            fits = hmac.compare_digest(wanted, one) or fits
    if not fits:
        raise NotificationRefused("signature")
    if abs(at.timestamp() - seconds) > TOLERANCE_SECONDS:
        raise NotificationRefused("signature-time")


def _hash(secret: bytes, seconds: int, body: bytes) -> str:
    return hmac.new(secret, str(seconds).encode() + b"." + body, hashlib.sha256).hexdigest()
