"""What a change of rules touches: permits that run on, permits that stand in its way, permits issued under it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final, Self

from sqlalchemy.orm import Session

from issuer.models_rules import RuleChangeRow
from issuer.rules.issued import IssuedPermit, permits_in, permits_of_type
from issuer.tariffs import FeeTable, TariffZone, fees, zones
from passes.periods import Period, berlin_day

FIRST_NUMBERS: Final = 20
_ONE_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Preview:
    """What a change touches from ``valid_from`` on.

    ``count`` permits run beyond the day before; they keep what they have, and the rule meets them when they are
    renewed, the first one from ``first_renewal`` on. ``numbers`` are the first of them. ``hindering`` are permits
    issued already under the rule that would change: then it can be changed from ``earliest`` on.
    """

    valid_from: date
    count: int
    numbers: tuple[str, ...]
    first_renewal: date | None
    hindering: tuple[str, ...]
    earliest: date | None

    @classmethod
    def of(
        cls, valid_from: date, running: Iterable[IssuedPermit], hindering: Iterable[tuple[IssuedPermit, date]]
    ) -> Self:
        """The preview from the permits that run on and from those in the way, with the day their rule was used."""
        met = list(running)
        in_the_way = list(hindering)
        return cls(
            valid_from,
            len(met),
            tuple(one.number for one in met[:FIRST_NUMBERS]),
            min((one.period.last for one in met), default=valid_from - _ONE_DAY) + _ONE_DAY if met else None,
            tuple(one.number for one, _ in in_the_way),
            max(day for _, day in in_the_way) + _ONE_DAY if in_the_way else None,
        )


def touched(
    session: Session,
    tenant: str,
    subject: str,
    target: str,
    content: Mapping[str, Any],
    day: date,
    known: Mapping[str, TariffZone],
    table: FeeTable,
) -> Iterator[IssuedPermit]:
    """The running permits that a change from ``day`` on meets when they are renewed, by number."""
    match subject:
        case "zone":
            yield from permits_in(session, tenant, [target], ending_from=day)
        case "fee":
            codes = zones_with_fee(known, table, content, day)
            for one in permits_in(session, tenant, codes, ending_from=day):
                if _paid_so(one, content):
                    yield one
        case "kind":
            type_id, _, kind = target.partition("/")
            for one in permits_of_type(session, tenant, type_id, ending_from=day):
                if one.record.get("permit_kind") == kind:
                    yield one


def hindering(
    session: Session,
    tenant: str,
    subject: str,
    target: str,
    content: Mapping[str, Any],
    day: date,
    known: Mapping[str, TariffZone],
    table: FeeTable,
) -> Iterator[tuple[IssuedPermit, date]]:
    """The permits that were issued by the rule as it is for ``day`` or later, each with the day it was applied to.

    A zone's end is applied to the permit's first day, fee and class to the day of issue. A name hinders nothing.
    """
    issued_since = Period(day, day).starts_at
    if subject == "zone" and target in known and content["ends"]:
        for one in permits_in(session, tenant, [target], beginning_from=day):
            yield one, one.period.first
    elif subject == "zone" and target in known and content["tariff_class"] is not None:
        for one in permits_in(session, tenant, [target], created_from=issued_since):
            yield one, berlin_day(one.created_at)
    elif subject == "fee":
        codes = zones_with_fee(known, table, content, day)
        for one in permits_in(session, tenant, codes, created_from=issued_since):
            if _paid_so(one, content):
                yield one, berlin_day(one.created_at)


def used_by(session: Session, tenant: str, row: RuleChangeRow) -> list[str]:
    """The numbers of the permits issued under a change that was made."""
    known, table = zones(session, tenant), fees(session, tenant)
    since = max(row.made_at, Period(row.valid_from, row.valid_from).starts_at)
    content = row.content
    match row.subject:
        case "zone":
            codes = {row.target, *filter(None, [content["merged_into"]])}
            begun = permits_in(
                session, tenant, codes, beginning_from=row.valid_from, created_from=row.made_at
            )
            issued = permits_in(session, tenant, [row.target], created_from=since)
            return sorted({one.number for one in (*begun, *issued)})
        case "fee":
            codes_with_fee = zones_with_fee(known, table, content, row.valid_from)
            found = permits_in(session, tenant, codes_with_fee, created_from=since)
            return [one.number for one in found if _paid_so(one, content)]
        case "kind":
            type_id, _, kind = row.target.partition("/")
            of_type = permits_of_type(session, tenant, type_id, created_from=since)
            return [one.number for one in of_type if one.record.get("permit_kind") == kind]
        case _:
            return []


def zones_with_fee(
    known: Mapping[str, TariffZone], table: FeeTable, content: Mapping[str, Any], day: date
) -> list[str]:
    """The zones whose fee is that of the row: of its class, or of any that has no row of its own."""
    tariff_class, channel, months = content["tariff_class"], content["channel"], content["term_months"]
    found = []
    for code, zone in known.items():
        own = zone.on(day).tariff_class
        if tariff_class:
            decides = own == tariff_class
        else:
            row = table.row_on(own, channel, months, day)
            decides = row is None or row[0] == ""
        if decides:
            found.append(code)
    return found


def _paid_so(permit: IssuedPermit, content: Mapping[str, Any]) -> bool:
    """Whether the permit has the row's channel and term; what its record does not say is taken as meant."""
    record = permit.record
    channel, months = record.get("channel"), record.get("term_months")
    return channel in (None, "", content["channel"]) and months in (None, content["term_months"])
