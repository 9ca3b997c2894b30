"""What a change of zones or fees reaches besides permits: open applications, streets, and what people will pay."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from issuer.cases.states import ENDED
from issuer.models_cases import CaseRow
from issuer.models_rules import StreetEntryRow
from issuer.rules.changes import FeeChange, ZoneChange
from issuer.rules.touched import zones_with_fee
from issuer.tariffs import FeeTable, TariffZone, fees, zones

FIRST: Final = 10


@dataclass(frozen=True, slots=True)
class FeeStep:
    """What a term costs before and after, in cents; None: not offered. The class is empty for all."""

    tariff_class: str
    channel: str
    term_months: int
    before: int | None
    after: int | None


@dataclass(frozen=True, slots=True)
class Reach:
    """``cases`` are the numbers of the first of ``case_count`` open applications, ``streets`` names as well.

    ``zones`` are the codes for whose addresses the rule counts.
    """

    cases: tuple[str, ...]
    case_count: int
    streets: tuple[str, ...]
    street_count: int
    zones: tuple[str, ...]
    fees: tuple[FeeStep, ...]


def reach_of(session: Session, tenant: str, change: ZoneChange | FeeChange) -> Reach:
    """What ``change``, which `issuer.rules.changes.preview` has accepted, reaches; nothing is changed."""
    known, table = zones(session, tenant), fees(session, tenant)
    if isinstance(change, ZoneChange):
        codes: Collection[str] = [change.code]
        steps = _of_zone(change, known, table)
        cases = _cases(session, tenant, codes)
    else:
        content = {
            "tariff_class": change.tariff_class,
            "channel": change.channel,
            "term_months": change.term_months,
        }
        codes = zones_with_fee(known, table, content, change.valid_from)
        before = table.fee(change.tariff_class, change.channel, change.term_months, change.valid_from)
        steps = [FeeStep(change.tariff_class, change.channel, change.term_months, before, change.cents)]
        cases = _cases(session, tenant, codes, (change.channel, change.term_months))
    streets = _streets(session, tenant, codes)
    holding = [one for one in codes if one not in known or known[one].holds_on(change.valid_from)]
    return Reach(
        tuple(cases[:FIRST]),
        len(cases),
        tuple(streets[:FIRST]),
        len(streets),
        tuple(sorted(holding)),
        tuple(steps),
    )


def _of_zone(change: ZoneChange, known: Mapping[str, TariffZone], table: FeeTable) -> list[FeeStep]:
    """The terms whose fee is another one in the zone, or in the zone that takes its place."""
    day = change.valid_from
    zone = known.get(change.code)
    before = zone.on(day).tariff_class if zone is not None else None
    if change.merged_into is not None:
        after: str | None = known[change.merged_into].on(day).tariff_class
    elif change.ends:
        after = None
    else:
        after = before if change.tariff_class is None else change.tariff_class
        after = after or ""
    steps = []
    for channel, months in sorted({(channel, months) for _, channel, months in table.rows}):
        old, new = (_fee(table, one, channel, months, day) for one in (before, after))
        if old != new:
            steps.append(FeeStep(after or before or "", channel, months, old, new))
    return steps


def _fee(table: FeeTable, tariff_class: str | None, channel: str, months: int, day: date) -> int | None:
    return None if tariff_class is None else table.fee(tariff_class, channel, months, day)


def _cases(
    session: Session, tenant: str, codes: Collection[str], paid_so: tuple[str, int] | None = None
) -> list[str]:
    rows = session.execute(
        select(CaseRow.number, CaseRow.facts, CaseRow.channel)
        .where(CaseRow.tenant == tenant, CaseRow.state.not_in(sorted(ENDED)))
        .order_by(CaseRow.number)
    )
    return [
        number
        for number, facts, channel in rows
        if facts.get("zone") in codes and (paid_so is None or (channel, facts.get("term_months")) == paid_so)
    ]


def _streets(session: Session, tenant: str, codes: Collection[str]) -> list[str]:
    return list(
        session.scalars(
            select(StreetEntryRow.street)
            .where(StreetEntryRow.tenant == tenant, StreetEntryRow.zone_code.in_(sorted(codes)))
            .distinct()
            .order_by(StreetEntryRow.street)
        )
    )
