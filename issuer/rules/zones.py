"""Zones over the years: what became of one that was merged into another.

Permits of a merged zone run to their end; the area belongs to the successor from its day on, and they hold in all
of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from issuer.tariffs import TariffZone


def zone_on(known: Mapping[str, TariffZone], code: str, day: date) -> TariffZone | None:
    """The zone that the area of ``code`` belongs to on ``day``, with its name and class of that day.

    None if there is no such zone, it has not begun, or it has ended without a successor.
    """
    seen: set[str] = set()
    while code in known and code not in seen:
        seen.add(code)
        zone = known[code]
        if zone.holds_on(day):
            return zone.on(day)
        if zone.valid_until is None or day <= zone.valid_until or zone.merged_into is None:
            return None
        code = zone.merged_into
    return None


def area_of(known: Mapping[str, TariffZone], code: str, day: date) -> tuple[str, ...]:
    """The codes whose permits hold on ``day`` where ``code`` is or was: the zone of then, and those merged into it.

    ``code`` alone where it has ended without a successor, has not begun or is unknown.
    """
    zone = zone_on(known, code, day)
    if zone is None:
        return (code,)
    return (zone.zone.code, *predecessors(known, zone.zone.code, day))


def predecessors(known: Mapping[str, TariffZone], code: str, day: date) -> tuple[str, ...]:
    """The codes of the zones that were merged into ``code`` until ``day``, over any number of steps, sorted."""
    return tuple(
        sorted(
            other
            for other, zone in known.items()
            if other != code
            and zone.merged_into is not None
            and (found := zone_on(known, other, day)) is not None
            and found.zone.code == code
        )
    )
