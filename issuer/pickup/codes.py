"""Codes from letters, for holders without a mail address: twelve characters, asked together with the last day.

The alphabet is Crockford's base 32 (https://www.crockford.com/base32.html), which lacks I, L, O and U: what looks
alike on paper is read as the same. A code has 60 random bits, holds for thirty days, bears five wrong days and
opens one visit. A letter that somebody finds later in the waste paper opens nothing.
"""

from __future__ import annotations

import secrets
from datetime import date, timedelta
from typing import Final

from sqlalchemy.orm import Session

from issuer.application import Application
from issuer.doors import close_codes
from issuer.models import PassRow
from issuer.models_access import LetterCodeRow
from issuer.pickup.links import Channel, PassKey

ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LENGTH: Final = 12
TRIES: Final = 5
LIFETIME: Final = timedelta(days=30)
# More than a code with its separators ever has.
LONGEST_INPUT: Final = 40

_PURPOSE: Final = "letter-code"
_GROUP: Final = 4
_LOOKALIKES: Final = str.maketrans("OIL", "011")
_SEPARATORS: Final = str.maketrans("", "", " -–—.\u00a0\t")


def create_letter_code(
    session: Session, application: Application, type_id: str, number: str, *, family: bool = False
) -> str:
    """A new code for the pass, in the caller's writing transaction; a code made before opens nothing any more.

    Returns the twelve characters without separators, which are a secret; `grouped` makes them readable. A code for
    the ``family`` of a guardian (`issuer.pickup.family`) and one for their own card stand beside each other.
    """
    code = draw_code()
    keep_code(session, application, type_id, number, code, family=family)
    return code


def draw_code() -> str:
    """Twelve characters that open nothing before `keep_code` has them."""
    return "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))


def keep_code(
    session: Session,
    application: Application,
    type_id: str,
    number: str,
    code: str,
    *,
    family: bool = False,
) -> None:
    """Have ``code`` of `draw_code` open the pass, and no other, as `create_letter_code` does."""
    close_codes(session, application.tenant, type_id, number, family=family)
    now = application.now()
    session.add(
        LetterCodeRow(
            tenant=application.tenant,
            code_hash=application.hash_secret(_PURPOSE, code),
            type_id=type_id,
            number=number,
            created_at=now,
            expires_at=now + LIFETIME,
            tries_left=TRIES,
            family=family,
        )
    )
    session.flush()


def redeem_code(session: Session, application: Application, code: str, last_day: date) -> PassKey | None:
    """The pass for ``code`` if ``last_day`` is the last day of its period, in a writing transaction.

    Success uses the code up; a wrong day uses up one of five tries. None for whatever does not fit: nothing
    tells a wrong day from a code that does not exist.
    """
    if len(code) != LENGTH:
        return None
    key = (application.tenant, application.hash_secret(_PURPOSE, code))
    row = session.get(LetterCodeRow, key, with_for_update=True)
    if row is None or row.expires_at <= application.now() or row.tries_left <= 0:
        return None
    there = session.get(PassRow, (application.tenant, row.type_id, row.number))
    if there is None or there.period_last != last_day:
        row.tries_left -= 1
        return None
    row.tries_left = 0
    return PassKey(row.type_id, row.number, Channel.LETTER, row.family)


def confirm_code(session: Session, application: Application, type_id: str, number: str, code: str) -> bool:
    """Whether ``code`` opens this pass now, in a writing transaction; success uses it up as `redeem_code` does."""
    row = session.get(
        LetterCodeRow, (application.tenant, application.hash_secret(_PURPOSE, code)), with_for_update=True
    )
    if row is None or row.expires_at <= application.now() or row.tries_left <= 0:
        return False
    if (row.type_id, row.number, row.family) != (type_id, number, False):
        return False
    row.tries_left = 0
    session.flush()
    return True


def read_code(text: str) -> str:
    """``text`` as people type it, in the characters of the alphabet: ``abcd-efgo-1ilk`` is ``ABCDEFG0111K``.

    Empty for what cannot be a code.
    """
    if len(text) > LONGEST_INPUT:
        return ""
    plain = text.upper().translate(_SEPARATORS).translate(_LOOKALIKES)
    return plain if len(plain) == LENGTH and set(plain) <= set(ALPHABET) else ""


def grouped(code: str) -> str:
    """A code as letters and pages show it: ``ABCD-EFGH-JKMN``."""
    return "-".join(code[start : start + _GROUP] for start in range(0, len(code), _GROUP))
