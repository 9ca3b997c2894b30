"""Loading the zones or the fees of a city again from its files, without rewriting what has been valid.

A table that was loaded has no days before it: what a row says now, it says for the past as well. So a file may add,
and correct what has not begun and nobody has used; for everything else there are changes from a day on
(`issuer.rules.changes`), which leave the state before as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from sqlalchemy.orm import Session

from issuer.errors import IssuerRefusal
from issuer.models import ALWAYS
from issuer.rules.issued import permits_in
from issuer.tariffs import FeeTable, TariffZone, fees, fees_from_csv, zones, zones_from_csv

_SHOWN: Final = 10


@dataclass(frozen=True, slots=True)
class Difference:
    """What a file says otherwise than the city's table; ``fixed`` if it was valid or used already.

    ``subject`` is zone or fee, ``what`` the zone's code or class, channel, term and first day of the fee. ``before``
    and ``after`` are short texts for people, empty where there is nothing.
    """

    subject: str
    what: str
    before: str
    after: str
    fixed: bool

    def __str__(self) -> str:
        """In one line, for a list."""
        return f"{self.what}: {self.before or '–'} → {self.after or '–'}"


def reload_zones(
    session: Session, tenant: str, path: Path, today: date, encoding: str | None = None
) -> tuple[int, list[Difference]]:
    """Load zones as `issuer.tariffs.zones_from_csv`, in the caller's writing transaction.

    Returns the number of rows and what differs from before; nothing is refused here (`refuse_history`). Raises as
    `zones_from_csv`.
    """
    before = zones(session, tenant)
    count = zones_from_csv(session, tenant, path, encoding)
    after = zones(session, tenant)
    used = _used_zones(session, tenant, before)
    return count, list(_of_zones(before, after, today, used))


def reload_fees(
    session: Session, tenant: str, path: Path, today: date, encoding: str | None = None
) -> tuple[int, list[Difference]]:
    """Load fees as `issuer.tariffs.fees_from_csv`; otherwise as `reload_zones`."""
    before = fees(session, tenant)
    count = fees_from_csv(session, tenant, path, encoding)
    known = zones(session, tenant).values()
    classes = {zone.tariff_class for zone in known} | {
        one.tariff_class for zone in known for one in zone.versions
    }
    return count, list(_of_fees(before, fees(session, tenant), today, {"", *classes}))


RELOADS: Final[Mapping[str, Callable[..., tuple[int, list[Difference]]]]] = {
    "zones": reload_zones,
    "fees": reload_fees,
}


def refuse_history(table: str, found: Collection[Difference]) -> None:
    """Raises IssuerRefusal RULE_RELOAD_ZONES, _FEES or _MEMBERSHIP_FEES if anything in ``found`` was valid or used.

    The caller then rolls its transaction back.
    """
    fixed = [one for one in found if one.fixed]
    if fixed:
        told = "; ".join(map(str, fixed[:_SHOWN])) + (" …" if len(fixed) > _SHOWN else "")
        raise IssuerRefusal(f"RULE_RELOAD_{table.upper().replace('-', '_')}", count=len(fixed), told=told)


def _used_zones(session: Session, tenant: str, known: Mapping[str, TariffZone]) -> set[str]:
    """The codes of the zones in which a permit was ever issued."""
    return {code for code in known if next(permits_in(session, tenant, [code]), None) is not None}


def _of_zones(
    before: Mapping[str, TariffZone], after: Mapping[str, TariffZone], today: date, used: Collection[str]
) -> Iterator[Difference]:
    for code, zone in sorted(after.items()):
        old = before.get(code)
        if old is None:
            yield Difference("zone", code, "", _zone_text(zone), fixed=False)
        elif old != zone:
            begun = old.valid_from is None or old.valid_from <= today
            yield Difference("zone", code, _zone_text(old), _zone_text(zone), fixed=begun or code in used)


def _zone_text(zone: TariffZone) -> str:
    days = f"{zone.valid_from or ''}–{zone.valid_until or ''}".strip("–")
    merged = f"→ {zone.merged_into}" if zone.merged_into else ""
    parts = [zone.zone.name, zone.tariff_class, days, merged]
    return " ".join(part for part in parts if part)


def _of_fees(
    before: FeeTable, after: FeeTable, today: date, classes: Collection[str]
) -> Iterator[Difference]:
    """What is different on any day at which a fee begins, for every class that a zone has or a row names."""
    keys = {(channel, months) for _, channel, months in (*before.rows, *after.rows)}
    named = {one for one, _, _ in (*before.rows, *after.rows)}
    days = {first for table in (before, after) for steps in table.rows.values() for first, _ in steps}
    for channel, months in sorted(keys):
        told: set[tuple[date, int | None, int | None]] = set()
        for tariff_class in sorted({*classes, *named}):
            for day in sorted(days):
                old = before.fee(tariff_class, channel, months, day)
                new = after.fee(tariff_class, channel, months, day)
                # What holds for all classes is told once.
                if old != new and (day, old, new) not in told:
                    told.add((day, old, new))
                    first = "" if day == ALWAYS else day.isoformat()
                    what = " ".join(filter(None, (tariff_class, channel, str(months), first)))
                    # What nobody could pay before, nobody has paid.
                    fixed = day <= today and old is not None
                    yield Difference("fee", what, _fee_text(old), _fee_text(new), fixed)


def _fee_text(cents: int | None) -> str:
    return "" if cents is None else str(cents)
