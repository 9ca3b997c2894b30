"""What a library's system says of a patron, whichever way it is asked, and the ways in which it can say nothing."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Final, Protocol

from issuer.errors import IssuerRefusal

# Longer texts than these are cut: nobody reads them, and they are kept nowhere.
_LONGEST_MESSAGE: Final = 300
LONGEST_NAME: Final = 200
# What the codes of cards can hold (`passes.card_numbers`); `|` ends a field in SIP2.
_NUMBER: Final = re.compile(r"[!-{}~]([ -{}~]{0,38}[!-{}~])?")


class PatronStanding(StrEnum):
    """Whether an account may be used, and if not, why: the account states of PAIA 1.4."""

    ACTIVE = "active"
    INACTIVE = "inactive"
    EXPIRED = "expired"
    OWES_FEES = "owes_fees"
    EXPIRED_OWES_FEES = "expired_owes_fees"


@dataclass(frozen=True, slots=True)
class Patron:
    """A patron as the library's system has them.

    ``expires`` is the account's last day (Europe/Berlin, inclusive), ``open_fees_cents`` what is owed, each None
    where the system does not say. ``category`` and ``message`` are the system's own words, for the librarian's eyes.
    """

    card_number: str
    name: str = field(repr=False)
    standing: PatronStanding
    expires: date | None = None
    open_fees_cents: int | None = None
    category: str = ""
    message: str = field(default="", repr=False)


class PatronUnknown(IssuerRefusal):
    """The library's system has no such card."""


class SourceUnavailable(IssuerRefusal):
    """The library's system does not answer now; asking again later makes sense."""


class SourceMisbehaves(IssuerRefusal):
    """The library's system answers, and the answer makes no sense; asking again gives the same."""


class PatronSource(Protocol):
    """A library's system that can be asked about one card. Safe to use from several threads; it blocks."""

    def patron(self, card_number: str) -> Patron:
        """The patron with this card, the number exactly as printed.

        Raises PatronUnknown, SourceUnavailable, SourceMisbehaves, each with a code ``LIBRARY_...``.
        """
        ...


def may_be_asked(card_number: str) -> bool:
    """Whether a library's system can know this number at all: what no code of a card holds is not sent anywhere."""
    return _NUMBER.fullmatch(card_number) is not None and bool(card_number.strip("."))


def settled(standing: PatronStanding, expires: date | None, today: date) -> PatronStanding:
    """The standing on ``today``: an account whose last day has passed is expired, whatever else is said of it.

    One that is inactive for a reason of its own stays so: to say "expired" would promise that renewing helps.
    """
    if expires is None or expires >= today:
        return standing
    if standing is PatronStanding.ACTIVE:
        return PatronStanding.EXPIRED
    if standing is PatronStanding.OWES_FEES:
        return PatronStanding.EXPIRED_OWES_FEES
    return standing


def one_line(text: str, limit: int = _LONGEST_MESSAGE) -> str:
    """``text`` without control characters and line ends, cut to ``limit`` characters."""
    plain = "".join(" " if unicodedata.category(one)[0] in "CZ" else one for one in text[: 4 * limit])
    return " ".join(plain.split())[:limit]


def is_plain(text: str, limit: int) -> bool:
    """Whether ``text`` has at most ``limit`` characters and none that controls a screen or a line."""
    return len(text) <= limit and not any(
        unicodedata.category(one) in ("Cc", "Cs", "Zl", "Zp") for one in text
    )
