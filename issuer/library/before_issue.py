"""Asking the library's own system about a member before a card is issued at the desk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from issuer.errors import IssuerRefusal
from issuer.library.sources import (
    Patron,
    PatronSource,
    PatronStanding,
    PatronUnknown,
    SourceMisbehaves,
    SourceUnavailable,
    ask,
)
from keys.texts import texts

_AGAINST: Final = {
    PatronStanding.INACTIVE: "LIBRARY_MEMBER_BLOCKED",
    PatronStanding.EXPIRED: "LIBRARY_MEMBER_EXPIRED",
    PatronStanding.OWES_FEES: "LIBRARY_MEMBER_OWES",
    PatronStanding.EXPIRED_OWES_FEES: "LIBRARY_MEMBER_EXPIRED_OWES",
}


class MemberNotInOrder(IssuerRefusal):
    """The library's own system says something against a card for this member."""


@dataclass(frozen=True, slots=True)
class Unchecked:
    """The library's system gave no answer that can be used. The card may be issued, and the desk shows so."""

    fault: SourceUnavailable | SourceMisbehaves

    def sentence(self, language: str = "de") -> str:
        """What the desk shows beside the form."""
        return f"{texts('issuer', language)('LIBRARY_UNCHECKED')} {self.fault.sentence(language)}"


def check_before_issue(source: PatronSource | None, card_number: str) -> Patron | Unchecked | None:
    """The member with ``card_number`` as the library has them; None where no system is connected.

    Takes a few seconds at most and no transaction. Raises MemberNotInOrder LIBRARY_MEMBER_UNKNOWN,
    LIBRARY_MEMBER_BLOCKED, LIBRARY_MEMBER_EXPIRED, LIBRARY_MEMBER_OWES, LIBRARY_MEMBER_EXPIRED_OWES.
    """
    if source is None:
        return None
    try:
        patron = ask(source, card_number)
    except PatronUnknown:
        raise MemberNotInOrder("LIBRARY_MEMBER_UNKNOWN") from None
    except (SourceUnavailable, SourceMisbehaves) as fault:
        return Unchecked(fault)
    code = _AGAINST.get(patron.standing)
    if code is not None:
        raise MemberNotInOrder(code)
    return patron
