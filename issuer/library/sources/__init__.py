"""What a library's own system says of a card: one protocol, whichever way the system is asked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Protocol

from issuer.application import Application
from issuer.errors import IssuerRefusal


class PatronStanding(StrEnum):
    """Whether a patron may borrow, and if not, why."""

    ACTIVE = "active"
    INACTIVE = "inactive"
    EXPIRED = "expired"
    OWES_FEES = "owes_fees"
    EXPIRED_OWES_FEES = "expired_owes_fees"


@dataclass(frozen=True, slots=True)
class Patron:
    """A patron as the library's system has them."""

    card_number: str
    name: str
    standing: PatronStanding
    expires: date | None = None
    open_fees_cents: int | None = None
    category: str = ""
    message: str = ""


class PatronUnknown(IssuerRefusal):
    """The library's system has no such card."""


class SourceUnavailable(IssuerRefusal):
    """The library's system does not answer; asking again may help."""


class SourceMisbehaves(IssuerRefusal):
    """The library's system answers what makes no sense."""


class PatronSource(Protocol):
    """A library's system that can be asked about one card."""

    def patron(self, card_number: str) -> Patron:
        """The patron with this card. Raises PatronUnknown, SourceUnavailable, SourceMisbehaves."""


def source_of(application: Application) -> PatronSource | None:
    """The system that the operator has connected; None without one."""
    del application
    return None
