"""Passwords: which are taken, and how they are stored.

Length is what counts (NIST SP 800-63B-4, 3.1.1.2; BSI ORP.4.A22): at least twelve characters, no rules about kinds of
characters, no regular changes; refused is what attackers try first. Stored is argon2id with the second recommended
parameters of RFC 9106 (64 MiB, three passes); a hash with other parameters is renewed at the next log-in.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from functools import lru_cache
from importlib.resources import files
from typing import Final

from argon2 import PasswordHasher, profiles
from argon2.exceptions import InvalidHashError, VerificationError

from issuer.errors import IssuerRefusal

SHORTEST: Final = 12
LONGEST: Final = 128

_HASHER: Final = PasswordHasher.from_parameters(profiles.RFC_9106_LOW_MEMORY)
# Each takes 64 MiB and four threads: a flood of log-ins must not take the whole machine.
_HASHING: Final = threading.BoundedSemaphore(4)
_SHORTEST_NAME: Final = 4


def normalised(password: str) -> str:
    """``password`` as it is compared: NFC, so that every keyboard's ü is the same (RFC 8265)."""
    return unicodedata.normalize("NFC", password)


def check_password(password: str, *names: str) -> None:
    """Whether somebody with the ``names`` (log-in name, display name) may have ``password``.

    Raises IssuerRefusal STAFF_PASSWORD_SHORT, STAFF_PASSWORD_LONG, STAFF_PASSWORD_CHARACTERS for control characters,
    STAFF_PASSWORD_COMMON for one of the packaged list, of one repeated piece or of a run, STAFF_PASSWORD_NAME.
    """
    if len(password) > LONGEST:
        raise IssuerRefusal("STAFF_PASSWORD_LONG", limit=LONGEST)
    plain = normalised(password)
    if len(plain) < SHORTEST:
        raise IssuerRefusal("STAFF_PASSWORD_SHORT", least=SHORTEST)
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in plain):
        raise IssuerRefusal("STAFF_PASSWORD_CHARACTERS")
    folded = plain.casefold()
    if _is_common(folded):
        raise IssuerRefusal("STAFF_PASSWORD_COMMON")
    parts = {part for name in names for part in re.split(r"[\W_]+", normalised(name).casefold())}
    rest = folded
    for part in sorted(parts, key=len, reverse=True):
        if len(part) >= _SHORTEST_NAME:
            rest = rest.replace(part, "")
    # A name may be a word of a longer sentence, but not nearly all of the password.
    if rest != folded and len(rest) < SHORTEST // 2:
        raise IssuerRefusal("STAFF_PASSWORD_NAME")


def hash_password(password: str) -> str:
    """What is stored of ``password``; takes some 100 ms, so never inside a writing transaction."""
    with _HASHING:
        return _HASHER.hash(normalised(password))


def is_password(stored: str | None, password: str) -> bool:
    """Whether ``password`` is the one behind ``stored``; without one it takes as long, and is not."""
    if len(password) > LONGEST:
        return False
    with _HASHING:
        try:
            return _HASHER.verify(stored or _nobodys(), normalised(password)) and stored is not None
        except (VerificationError, InvalidHashError):
            return False


def is_outdated(stored: str) -> bool:
    """Whether ``stored`` was made with other parameters than those of today."""
    return _HASHER.check_needs_rehash(stored)


@lru_cache(maxsize=1)
def _nobodys() -> str:
    """A hash that no password of an account has, for those who do not exist."""
    return _HASHER.hash("")


@lru_cache(maxsize=1)
def _common() -> frozenset[str]:
    lines = files("issuer.staff").joinpath("common_passwords.txt").read_text("utf-8").splitlines()
    return frozenset(line.strip() for line in lines if line and not line.startswith("#"))


def _is_common(folded: str) -> bool:
    """In the list, with digits and signs around it or not; one piece over and over; or a run along the alphabet."""
    core = folded.strip("0123456789!?.,*#-_+ ")
    if folded in _common() or (core in _common() and len(core) * 2 > len(folded)):
        return True
    if len(set(folded)) < 5 or re.fullmatch(r"(.{1,6})\1+.{0,5}", folded):
        return True
    runs = ("abcdefghijklmnopqrstuvwxyz", "01234567890123456789", "qwertzuiopü", "qwertyuiop", "asdfghjklöä")
    return any(folded in one or folded in one[::-1] for one in runs)
