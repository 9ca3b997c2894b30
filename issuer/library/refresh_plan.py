"""What follows for a card from what the library's own system says of its member. Pure.

The comparison holds cards back and lets them go again; a block that a person has set is theirs, whatever the
library's system says. A last day that is still to come is taken over when it is later than ours. One that is earlier
needs nothing before it has passed: then the account has expired, and the card is held back.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from issuer.library.sources import Patron, PatronStanding
from passes.model import PassStatus

UNKNOWN: Final = "unknown"
# Whoever renews late gets the same card again; for longer nobody keeps asking.
LAPSED_AT_MOST: Final = timedelta(days=92)
# Systems write "never ends" as a day far away; a card is given out for no longer than this at once.
LONGEST: Final = timedelta(days=3 * 366)
_NEAR: Final = timedelta(days=60)


@dataclass(frozen=True, slots=True)
class Card:
    """How a card stands with us; ``is_ours`` where it is the comparison that holds it back."""

    status: PassStatus
    last: date
    is_ours: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done: hold it back (``hold`` says why), let it go, let it hold until ``extend_to``.

    ``is_kept`` is a card that the library lets hold, and a person with us does not.
    """

    hold: str = ""
    release: bool = False
    extend_to: date | None = None
    is_kept: bool = False


def plan(card: Card, patron: Patron | None, today: date) -> Plan:
    """What follows on ``today`` from the answer; ``patron`` None is a card that the library does not know."""
    standing = UNKNOWN if patron is None else patron.standing.value
    if patron is None or patron.standing is not PatronStanding.ACTIVE:
        holds = card.status is PassStatus.ACTIVE and card.last >= today
        return Plan(hold=standing) if holds else Plan()
    if card.status is PassStatus.SUSPENDED and not card.is_ours:
        return Plan(is_kept=True)
    released = card.status is PassStatus.SUSPENDED
    return Plan(release=released, extend_to=_later_day(card.last, patron.expires, today))


def _later_day(ours: date, theirs: date | None, today: date) -> date | None:
    if theirs is None or theirs <= ours:
        return None
    if theirs <= today + LONGEST:
        return theirs
    # A day beyond the limit would move every night: only a card whose end is near goes on.
    return today + LONGEST if ours <= today + _NEAR else None
