"""Reading what is asked: a plate that can be meant in one way only, a known zone, a moment that has passed."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from sqlalchemy.orm import Session

from issuer.errors import IssuerRefusal
from issuer.statements.document import Question
from issuer.tariffs import zones
from passes.periods import BERLIN, parse_time
from passes.plates import Plate, correct_lookalikes, parse_with_season
from verifier.common import same_zone

LONGEST_PLATE: Final = 40
LONGEST_ZONE: Final = 48
LONGEST_TIME: Final = 40
_OFFSET: Final = re.compile(r"(Z|z|[+-][0-9]{2}:[0-9]{2})\Z")


def read_plate(text: str) -> Plate:
    """The plate that a person wrote, with 0 and O, 1 and I put right by their place.

    Raises PassRefusal, and PlateAmbiguous with all readings where there are several: none is guessed.
    """
    if not 0 < len(text.strip()) <= LONGEST_PLATE:
        raise IssuerRefusal("STATEMENT_PLATE")
    spelling, _ = correct_lookalikes(text.strip())
    return parse_with_season(spelling)[0]


def read_zone(session: Session, tenant: str, text: str) -> str | None:
    """The zone as the city writes it, also one that has ended; None for an empty text.

    Raises IssuerRefusal STATEMENT_ZONE: a mistyped zone must not turn into "no permit".
    """
    wanted = text.strip()
    if not wanted:
        return None
    found = [
        code for code in zones(session, tenant) if len(wanted) <= LONGEST_ZONE and same_zone(wanted, code)
    ]
    if not found:
        raise IssuerRefusal("STATEMENT_ZONE")
    return found[0]


def read_moment(text: str, now: datetime) -> datetime:
    """The moment, in UTC: RFC 3339, or a wall time in Europe/Berlin without offset.

    Raises PassRefusal TIME_FORMAT; IssuerRefusal STATEMENT_TIME_TWICE for a wall time in the hour that autumn
    repeats, with both ``readings``, and STATEMENT_FUTURE for one after ``now``.
    """
    wanted = text.strip()
    at = parse_time(wanted if len(wanted) <= LONGEST_TIME else "")
    if _OFFSET.search(wanted) is None:
        first, second = readings(at)
        if first != second:
            shown = " / ".join(
                one.astimezone(BERLIN).isoformat(timespec="seconds") for one in (first, second)
            )
            raise IssuerRefusal("STATEMENT_TIME_TWICE", readings=shown)
    if at > now:
        raise IssuerRefusal("STATEMENT_FUTURE")
    return at


def readings(at: datetime) -> tuple[datetime, datetime]:
    """The two moments (UTC) at which clocks in Berlin show the wall time of ``at``; mostly they are one."""
    wall = at.astimezone(BERLIN)
    first, second = (wall.replace(fold=fold).astimezone(UTC) for fold in (0, 1))
    return first, second


def read_question(
    session: Session, tenant: str, plate: str, zone: str, moment: str, now: datetime
) -> tuple[Plate, Question]:
    """All three. Raises what `read_plate`, `read_zone` and `read_moment` raise."""
    read = read_plate(plate)
    at = read_moment(moment, now)
    return read, Question(read.canonical, read_zone(session, tenant, zone), at)
