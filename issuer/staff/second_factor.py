"""The second factor: six digits from an app, new every thirty seconds (TOTP, RFC 6238 with SHA-1 as all apps use it).

A code counts once: whoever reads it over somebody's shoulder is too late. The secret is stored encrypted under a key
that follows from the service's secret, so a copy of the database alone gives no codes.
"""

from __future__ import annotations

import base64
import hmac
import secrets
from datetime import datetime
from typing import Final
from urllib.parse import quote, urlencode

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from issuer.application import Application

STEP_SECONDS: Final = 30
DIGITS: Final = 6
SECRET_BYTES: Final = 20  # RFC 4226, 4 (R6): the length of the hash
# Clocks of phones go wrong: one step before and after counts (RFC 6238, 5.2).
_WINDOW: Final = 1
_NONCE_BYTES: Final = 12
_KEY_PURPOSE: Final = "staff-totp"


def code_at(secret: bytes, step: int) -> str:
    """The digits that ``secret`` has in the time ``step`` (RFC 4226, 5.3)."""
    digest = hmac.digest(secret, step.to_bytes(8, "big"), "sha1")
    start = digest[-1] & 0x0F
    number = int.from_bytes(digest[start : start + 4], "big") & 0x7FFFFFFF
    return f"{number % 10**DIGITS:0{DIGITS}}"


def step_of(at: datetime) -> int:
    """The time step of the aware time ``at``."""
    return int(at.timestamp()) // STEP_SECONDS


def accepted_step(secret: bytes, code: str, at: datetime, last_step: int | None) -> int | None:
    """The step whose code ``code`` is, if it counts at ``at`` and is newer than ``last_step``; else None."""
    digits = code.replace(" ", "")
    if len(digits) != DIGITS or not digits.isascii() or not digits.isdigit():
        return None
    now = step_of(at)
    found = None
    for step in range(now - _WINDOW, now + _WINDOW + 1):
        # All are compared, so that time tells nothing.
        if hmac.compare_digest(code_at(secret, step), digits) and (last_step is None or step > last_step):
            found = step
    return found


def sealed(application: Application, account_id: str, secret: bytes) -> str:
    """``secret`` as it is stored for the account."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return base64.b64encode(nonce + _cipher(application).encrypt(nonce, secret, account_id.encode())).decode()


def opened(application: Application, account_id: str, stored: str) -> bytes | None:
    """The secret in ``stored``; None if it was made with another service's secret or for another account."""
    data = base64.b64decode(stored)
    try:
        return _cipher(application).decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], account_id.encode())
    except InvalidTag:
        return None


def setup_uri(issuer: str, login: str, secret: bytes) -> str:
    """What apps read from the QR code (Key Uri Format of Google Authenticator, which all apps follow)."""
    label = quote(f"{issuer}:{login}", safe="")
    return (
        f"otpauth://totp/{label}?{urlencode({'secret': as_text(secret), 'issuer': issuer}, quote_via=quote)}"
    )


def as_text(secret: bytes) -> str:
    """The secret as it is typed into an app: base 32."""
    return base64.b32encode(secret).decode().rstrip("=")


def _cipher(application: Application) -> AESGCM:
    return AESGCM(application.derived(_KEY_PURPOSE))
