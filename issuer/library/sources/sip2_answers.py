"""What answers of SIP2 mean: a log-in, the state of the library's system, and a patron. Pure.

Source: 3M Standard Interchange Protocol, version 2.00 (patron status, fields BL, BH, BV, BX); ``PA``, the account's
last day, and ``PC``, the category, are extensions that Koha, Evergreen and others send.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Final

from issuer.library.sources.patron import (
    LONGEST_NAME,
    Patron,
    PatronStanding,
    PatronUnknown,
    SourceMisbehaves,
    SourceUnavailable,
    one_line,
    settled,
)
from issuer.library.sources.sip2_messages import Message

PATRON_STATUS: Final = ("23", "24")
PATRON_INFORMATION: Final = ("63", "64")
# Places in BX, the messages that the system answers.
_STATUS_AT: Final = 0
_INFORMATION_AT: Final = 7
_FLAGS: Final = 14
# Places in the patron status.
_CHARGE_DENIED: Final = 0
_CARD_LOST: Final = 4
# Limits on what somebody may have on loan, from "too many items charged" to "too many items billed".
_ABOUT_ITEMS: Final = (5, 6, 7, 8, 9, 12, 13)
_OWES: Final = (10, 11)
_AMOUNT: Final = re.compile(r"(-?)([0-9]{1,7})(?:[.,]([0-9]{1,2}))?")
_DAY: Final = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})(?:[ Z]{4}[0-9]{6})?")


def check_login(answer: Message) -> None:
    """Raises SourceUnavailable LIBRARY_LOGIN_REFUSED; SourceMisbehaves LIBRARY_MESSAGE for another answer."""
    _check_code(answer, "94")
    if answer.fixed not in ("0", "1"):
        raise SourceMisbehaves("LIBRARY_MESSAGE")
    if answer.fixed == "0":
        raise SourceUnavailable("LIBRARY_LOGIN_REFUSED")


def messages_of(answer: Message) -> tuple[str, str]:
    """By which message a system in this state is asked about a patron, and by which it answers.

    Raises SourceUnavailable LIBRARY_OFFLINE; SourceMisbehaves LIBRARY_MESSAGE, LIBRARY_VERSION, LIBRARY_UNSUPPORTED.
    """
    _check_code(answer, "98")
    if answer.fixed[0] not in "YN":
        raise SourceMisbehaves("LIBRARY_MESSAGE")
    if answer.fixed[30:] != "2.00":
        raise SourceMisbehaves("LIBRARY_VERSION")
    if answer.fixed[0] == "N":
        # A proxy that only stands in says yes to every card.
        raise SourceUnavailable("LIBRARY_OFFLINE")
    supported = answer.value("BX") or ""
    if supported[_INFORMATION_AT : _INFORMATION_AT + 1] == "Y":
        return PATRON_INFORMATION
    if supported[_STATUS_AT : _STATUS_AT + 1] == "Y":
        return PATRON_STATUS
    raise SourceMisbehaves("LIBRARY_UNSUPPORTED")


def patron_of(answer: Message, code: str, card_number: str, today: date) -> Patron:
    """The patron ``card_number`` on ``today`` as the message ``code`` (24 or 64) tells.

    Raises PatronUnknown; SourceMisbehaves LIBRARY_MESSAGE, LIBRARY_FIELD, LIBRARY_OTHER_PATRON, LIBRARY_NAMELESS for
    somebody who is valid and has no name.
    """
    _check_code(answer, code)
    valid, told = answer.value("BL"), answer.value("AA")
    if valid not in ("Y", "N"):
        raise SourceMisbehaves("LIBRARY_FIELD", field="BL")
    if told != card_number and not (valid == "N" and not told):
        raise SourceMisbehaves("LIBRARY_OTHER_PATRON")
    if valid == "N":
        raise PatronUnknown("LIBRARY_PATRON_UNKNOWN")
    name = (answer.value("AE") or "").strip()
    if not name:
        raise SourceMisbehaves("LIBRARY_NAMELESS")
    if len(name) > LONGEST_NAME:
        raise SourceMisbehaves("LIBRARY_FIELD", field="AE")
    expires = _day(answer.value("PA"))
    return Patron(
        card_number=card_number,
        name=name,
        standing=settled(_standing(answer.fixed[:_FLAGS], expires, today), expires, today),
        expires=expires,
        open_fees_cents=_cents(answer),
        category=one_line(answer.value("PC") or ""),
        message=one_line(" ".join(answer.values("AF"))),
    )


def _check_code(answer: Message, code: str) -> None:
    if answer.code != code:
        raise SourceMisbehaves("LIBRARY_MESSAGE")


def _standing(flags: str, expires: date | None, today: date) -> PatronStanding:
    """The standing that the flags give. Whoever may not borrow because of what is on loan keeps a good card."""
    if flags.strip("Y "):
        raise SourceMisbehaves("LIBRARY_MESSAGE")
    if flags[_CARD_LOST] == "Y":
        return PatronStanding.INACTIVE
    if any(flags[place] == "Y" for place in _OWES):
        return PatronStanding.OWES_FEES
    ended = expires is not None and expires < today
    explained = ended or any(flags[place] == "Y" for place in _ABOUT_ITEMS)
    if flags[_CHARGE_DENIED] == "Y" and not explained:
        return PatronStanding.INACTIVE
    return PatronStanding.ACTIVE


def _day(text: str | None) -> date | None:
    if text is None or not text.strip():
        return None
    found = _DAY.fullmatch(text.strip())
    try:
        if found is None:
            raise ValueError
        return date(int(found[1]), int(found[2]), int(found[3]))
    except ValueError:
        raise SourceMisbehaves("LIBRARY_FIELD", field="PA") from None


def _cents(answer: Message) -> int | None:
    """BV in cents; what the patron has too much (a negative amount) is owed to nobody."""
    text = (answer.value("BV") or "").strip()
    if not text:
        return None
    found = _AMOUNT.fullmatch(text)
    if found is None:
        raise SourceMisbehaves("LIBRARY_FIELD", field="BV")
    cents = int(found[2]) * 100 + int((found[3] or "0").ljust(2, "0"))
    if cents and (answer.value("BH") or "EUR") != "EUR":
        raise SourceMisbehaves("LIBRARY_FIELD", field="BH")
    return 0 if found[1] else cents
