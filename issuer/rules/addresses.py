"""Which zone an address lies in: a zone, or what is missing or wrong about the address. Never a guess.

What could be meant in two ways is asked back: several postal codes, several streets written alike, a building whose
numbers lie in two zones.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import ClassVar

from issuer.errors import IssuerRefusal
from issuer.rules.house_numbers import HouseNumber, NumberRange, parse_house_number
from issuer.rules.zones import zone_on
from issuer.tariffs import TariffZone
from keys.texts import texts


@dataclass(frozen=True, slots=True)
class Address:
    """An address as a person writes it; ``postal_code`` may be empty, then it is asked for where that matters."""

    street: str
    house_number: str
    postal_code: str = ""


@dataclass(frozen=True, slots=True)
class StreetEntry:
    """Numbers of a street in one postal code; ``zone_code`` is empty where no resident zone is."""

    street: str
    postal_code: str
    numbers: NumberRange
    zone_code: str
    note: str = ""
    valid_from: date | None = None
    valid_until: date | None = None

    def holds_on(self, day: date) -> bool:
        """Whether the entry says something about ``day``."""
        return (self.valid_from is None or self.valid_from <= day) and (
            self.valid_until is None or day <= self.valid_until
        )


@dataclass(frozen=True, slots=True)
class _Answer:
    code: ClassVar[str]

    def facts(self) -> dict[str, object]:
        """What the sentence says."""
        return {}

    def sentence(self, language: str = "de") -> str:
        """The answer as a sentence for the person who gave the address."""
        return texts("issuer", language)(self.code, **self.facts())


@dataclass(frozen=True, slots=True)
class ZoneFound(_Answer):
    """The zone of the address as it is on the day, and the address in the directory's spelling.

    ``directory_code`` is the zone that the directory names; another one than ``zone`` where that was merged.
    """

    code: ClassVar[str] = "ADDRESS_ZONE"
    zone: TariffZone
    street: str
    house_number: str
    postal_code: str
    directory_code: str

    def facts(self) -> dict[str, object]:
        """What the sentence says."""
        place = f"{self.street} {self.house_number}".strip()
        return {
            "address": f"{place}, {self.postal_code}",
            "zone": self.zone.zone.code,
            "name": self.zone.zone.name,
        }


@dataclass(frozen=True, slots=True)
class NoZoneHere(_Answer):
    """The address is known and lies in no resident zone on the day; ``note`` is what the directory says to it."""

    code: ClassVar[str] = "ADDRESS_NO_ZONE"
    street: str
    postal_code: str
    note: str = ""

    def facts(self) -> dict[str, object]:
        """What the sentence says."""
        return {"street": self.street, "postal_code": self.postal_code, "note": self.note}

    def sentence(self, language: str = "de") -> str:
        """The answer as a sentence, with the directory's note if it has one."""
        said = texts("issuer", language)(self.code, **self.facts())
        return f"{said} {self.note}" if self.note else said


@dataclass(frozen=True, slots=True)
class StreetUnknown(_Answer):
    """No street is spelled so; up to five are spelled nearly so."""

    code: ClassVar[str] = "ADDRESS_STREET_UNKNOWN"
    suggestions: tuple[str, ...] = ()

    def sentence(self, language: str = "de") -> str:
        """The answer as a sentence, with the suggestions if there are some."""
        said = texts("issuer", language)
        if not self.suggestions:
            return said(self.code)
        return said("ADDRESS_STREET_NEARLY", suggestions=", ".join(self.suggestions))


@dataclass(frozen=True, slots=True)
class SeveralStreets(_Answer):
    """The spelling fits several streets."""

    code: ClassVar[str] = "ADDRESS_STREETS"
    streets: tuple[str, ...]

    def facts(self) -> dict[str, object]:
        """What the sentence says."""
        return {"streets": ", ".join(self.streets)}


@dataclass(frozen=True, slots=True)
class PostalCodeNeeded(_Answer):
    """The address exists in several postal codes."""

    code: ClassVar[str] = "ADDRESS_POSTAL_CODE"
    street: str
    postal_codes: tuple[str, ...]

    def facts(self) -> dict[str, object]:
        """What the sentence says."""
        return {"street": self.street, "postal_codes": ", ".join(self.postal_codes)}


@dataclass(frozen=True, slots=True)
class PostalCodeOther(_Answer):
    """The street exists, but not in the postal code that was given; ``postal_codes`` are those where it does."""

    code: ClassVar[str] = "ADDRESS_POSTAL_CODE_OTHER"
    street: str
    postal_codes: tuple[str, ...]

    def facts(self) -> dict[str, object]:
        """What the sentence says."""
        return {"street": self.street, "postal_codes": ", ".join(self.postal_codes)}


@dataclass(frozen=True, slots=True)
class NumberUnreadable(_Answer):
    """The house number is missing or none."""

    code: ClassVar[str] = "ADDRESS_NUMBER_FORMAT"
    street: str

    def facts(self) -> dict[str, object]:
        """What the sentence says."""
        return {"street": self.street}


@dataclass(frozen=True, slots=True)
class NumberUnknown(_Answer):
    """The directory has the street, but not this number on the day."""

    code: ClassVar[str] = "ADDRESS_NUMBER_UNKNOWN"
    street: str
    house_number: str

    def facts(self) -> dict[str, object]:
        """What the sentence says."""
        return {"street": self.street, "number": self.house_number}


@dataclass(frozen=True, slots=True)
class SeveralZones(_Answer):
    """The numbers of the building lie in several zones (empty: in none)."""

    code: ClassVar[str] = "ADDRESS_ZONES"
    street: str
    house_number: str
    zone_codes: tuple[str, ...]

    def facts(self) -> dict[str, object]:
        """What the sentence says."""
        zones = ", ".join(code or "–" for code in self.zone_codes)
        return {"street": self.street, "number": self.house_number, "zones": zones}


AddressAnswer = (
    ZoneFound
    | NoZoneHere
    | StreetUnknown
    | SeveralStreets
    | PostalCodeNeeded
    | PostalCodeOther
    | NumberUnreadable
    | NumberUnknown
    | SeveralZones
)


def zone_of(
    address: Address, entries: Sequence[StreetEntry], known: Mapping[str, TariffZone], day: date
) -> AddressAnswer:
    """The zone of ``address`` on ``day``, from the ``entries`` of its street (under whatever spelling)."""
    postal_code = address.postal_code.strip()
    here = [one for one in entries if not postal_code or one.postal_code == postal_code]
    if not here:
        return PostalCodeOther(entries[0].street, _sorted(one.postal_code for one in entries))
    try:
        numbers = parse_house_number(address.house_number) if address.house_number.strip() else ()
    except IssuerRefusal:
        return NumberUnreadable(here[0].street)
    shown = _shown(numbers)
    today = [one for one in here if one.holds_on(day)]
    found = [_matching(today, one) for one in numbers] if numbers else [_without_number(today)]
    if not numbers and not found[0]:
        return NumberUnreadable(here[0].street)
    streets = _sorted(one.street for entry in found for one in entry)
    codes = _sorted(one.postal_code for entry in found for one in entry)
    if len(streets) > 1:
        return SeveralStreets(streets)
    if len(codes) > 1:
        return PostalCodeNeeded(streets[0], codes)
    if not all(found):
        return NumberUnknown(here[0].street, shown)
    zones = _sorted(one.zone_code for entry in found for one in entry)
    first = found[0][0]
    if len(zones) > 1:
        return SeveralZones(first.street, shown, zones)
    if not first.zone_code:
        return NoZoneHere(first.street, first.postal_code, first.note)
    zone = zone_on(known, first.zone_code, day)
    if zone is None:
        return NoZoneHere(first.street, first.postal_code, first.note)
    return ZoneFound(zone, first.street, shown, first.postal_code, first.zone_code)


def _matching(entries: Iterable[StreetEntry], number: HouseNumber) -> list[StreetEntry]:
    return [one for one in entries if number in one.numbers]


def _without_number(entries: Iterable[StreetEntry]) -> list[StreetEntry]:
    """Some addresses have no number; only a street that lies in one zone as a whole can say which."""
    return [one for one in entries if one.numbers.whole_street]


def _shown(numbers: Sequence[HouseNumber]) -> str:
    if not numbers:
        return ""
    return str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]}-{numbers[-1]}"


def _sorted(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(values)))
