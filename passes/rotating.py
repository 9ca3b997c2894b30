"""The rotating form of a seal for Google Wallet: a static seal behind a time code (TOTP, RFC 6238).

``SP1R:<seconds>:<8 digits>:<base45>``. The signature decides whether the seal is genuine; the time code
tells a checking device that holds the epoch key whether the code was shown just now. Without the prefix
it is an ordinary static copy, so nothing here proves that a code was not copied.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass

from passes.seal import MAX_TEXT, MalformedSeal

PREFIX = "SP1R:"
STEP_SECONDS = 30
DIGITS = 8
KEY_BYTES = 20

_FORM = re.compile(r"SP1R:(0|[1-9][0-9]{0,10}):([0-9]{8}):(.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class RotatingCode:
    """The parts of a rotating code: when the wallet says it was shown, its digits, and the seal's base45."""

    shown_at: int
    digits: str
    token: str


def split(text: str) -> RotatingCode:
    """Take a rotating code apart. Raises MalformedSeal; call it only for text with the prefix."""
    found = _FORM.fullmatch(text) if len(text) <= MAX_TEXT + 32 else None
    if found is None:
        raise MalformedSeal("SEAL_MALFORMED", fault="rotating code")
    return RotatingCode(int(found[1]), found[2], found[3])


def pass_key(epoch_key: bytes, number: str) -> bytes:
    """The 20-byte TOTP key of one pass: HMAC-SHA-256 of the epoch key over the pass number, cut."""
    return hmac.digest(epoch_key, number.encode(), "sha256")[:KEY_BYTES]


def totp(key: bytes, at: int) -> str:
    """The 8 digits for second ``at`` (RFC 6238 with HMAC-SHA-1 and steps of 30 s, as Google Wallet)."""
    mac = hmac.new(key, (at // STEP_SECONDS).to_bytes(8, "big"), hashlib.sha1).digest()
    offset = mac[-1] & 15
    value = int.from_bytes(mac[offset : offset + 4], "big") & 0x7FFFFFFF
    return f"{value % 10**DIGITS:0{DIGITS}d}"


def is_fresh(code: RotatingCode, epoch_key: bytes, number: str, now: int, tolerance: int) -> bool:
    """Whether the digits fit the time shown and that time is now, give or take ``tolerance`` seconds.

    A statement about freshness only; whether the seal is genuine is the signature's business.
    """
    expected = totp(pass_key(epoch_key, number), code.shown_at)
    in_time = -tolerance <= now - code.shown_at <= tolerance + STEP_SECONDS
    return hmac.compare_digest(expected, code.digits) and in_time
