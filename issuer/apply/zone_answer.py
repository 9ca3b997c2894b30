"""Which zone an address lies in, said so that a person knows what to do: now, from a later day on, or why not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from issuer.models_rules import StreetEntryRow
from issuer.rules.addresses import (
    Address,
    AddressAnswer,
    NoZoneHere,
    NumberUnknown,
    NumberUnreadable,
    PostalCodeNeeded,
    PostalCodeOther,
    SeveralStreets,
    SeveralZones,
    StreetUnknown,
    ZoneFound,
)
from issuer.rules.city_rules import CityRules
from issuer.rules.directory import find_address
from keys.texts import Texts
from passes.display import day_text

# How far ahead the first day of a permit may lie.
FARTHEST: Final = timedelta(days=90)
_MOST_DAYS: Final = 20


@dataclass(frozen=True, slots=True)
class Choice:
    """What might have been meant, to be chosen: as ``field`` of the form with ``value``."""

    field: str
    value: str


@dataclass(frozen=True, slots=True)
class ZoneAnswer:
    """What the directory says; ``from_day`` is set where the zone of ``found`` begins only then."""

    answer: AddressAnswer
    from_day: date | None = None

    @property
    def found(self) -> ZoneFound | None:
        """The zone, if there is one now or soon."""
        return self.answer if isinstance(self.answer, ZoneFound) else None

    @property
    def field(self) -> str:
        """The field that the answer is about."""
        match self.answer:
            case PostalCodeNeeded() | PostalCodeOther():
                return "postal_code"
            case NumberUnreadable() | NumberUnknown() | SeveralZones():
                return "house_number"
            case _:
                return "street"

    @property
    def choices(self) -> tuple[Choice, ...]:
        """What can be chosen from instead of typing again."""
        match self.answer:
            case StreetUnknown(suggestions):
                return tuple(Choice("street_choice", one) for one in suggestions)
            case SeveralStreets(streets):
                return tuple(Choice("street_choice", one) for one in streets)
            case PostalCodeNeeded(_, codes) | PostalCodeOther(_, codes):
                return tuple(Choice("postal_code_choice", one) for one in codes)
            case _:
                return ()

    def sentence(self, say: Texts) -> str:
        """What the directory says, in one sentence."""
        return self.answer.sentence(say.language)

    def advice(self, say: Texts, contact: str) -> list[str]:
        """What follows from it for the person, as sentences."""
        match self.answer:
            case ZoneFound(zone, _, _, _, directory_code) if directory_code != zone.zone.code:
                said = [say("APPLY_ADDRESS_MERGED", before=directory_code, now=zone.zone.code)]
            case NoZoneHere():
                said = [say("APPLY_ADDRESS_NO_ZONE", contact=contact)]
            case StreetUnknown() | NumberUnknown() | SeveralZones():
                said = [say("APPLY_ADDRESS_SURE", contact=contact)]
            case _:
                said = []
        if self.from_day is not None:
            said.insert(0, say("APPLY_ADDRESS_LATER", day=day_text(self.from_day, say.language)))
        return said


def answer_for(
    session: Session, tenant: str, rules: CityRules, address: Address, begins: date, today: date
) -> ZoneAnswer:
    """The zone of ``address`` on the day on which the permit begins, or on the first later one within reach."""
    now = find_address(session, tenant, address, begins, rules.zones)
    if isinstance(now, NoZoneHere | NumberUnknown):
        for day in _days_ahead(session, tenant, rules, begins, today + FARTHEST):
            later = find_address(session, tenant, address, day, rules.zones)
            if isinstance(later, ZoneFound):
                return ZoneAnswer(later, day)
    return ZoneAnswer(now)


def _days_ahead(session: Session, tenant: str, rules: CityRules, after: date, last: date) -> list[date]:
    """The days up to ``last`` on which something begins: a zone, or an entry of the directory."""
    of_zones = {one.valid_from for one in rules.zones.values() if one.valid_from is not None}
    of_streets = session.scalars(
        select(StreetEntryRow.valid_from)
        .where(
            StreetEntryRow.tenant == tenant,
            StreetEntryRow.valid_from > after,
            StreetEntryRow.valid_from <= last,
        )
        .distinct()
        .limit(_MOST_DAYS)
    )
    days = of_zones | {one for one in of_streets if one is not None}
    return sorted(one for one in days if after < one <= last)[:_MOST_DAYS]
