"""Valid permits by zone on the first of a month: counted from the register's history, told, and stored for good.

A month is counted as of 00:00 (Europe/Berlin) of its first day, whenever that is done: revisions say which zone a
permit had at that moment, the audit trail which status, and the period whether the day lies in it. A renewal leaves
no gap, so the last day of now is as good as the one of then. What was stored is never counted again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Final

import msgspec
from sqlalchemy import Text, cast, insert, select
from sqlalchemy.orm import Session

from issuer import audit
from issuer.audit import ENDS_OF_LIFE, AuditEvent
from issuer.figures.suppression import suppress
from issuer.models import AuditEntryRow, PassRow, RevisionRow, TenantRow
from issuer.models_figures import OpenDataCountRow, OpenDataMonthRow
from issuer.nightly.reports import Report
from issuer.register import subject
from issuer.rules.zones import zone_on
from issuer.tariffs import zones
from passes.model import PassStatus
from passes.pass_types import PassTypes
from passes.periods import Period, berlin_day

if TYPE_CHECKING:
    from issuer.application import Application

NAME: Final = "open-data"
_ACTOR: Final = "nightly"
# How audit entries that changed a status name the one before.
_STATUS: Final = '"status":'


@dataclass(frozen=True, slots=True)
class ZoneCount:
    """The valid permits of a zone, which is called ``name`` on the day that was counted."""

    name: str
    permits: int


def zoned_types(types: PassTypes) -> dict[str, str]:
    """The pass types that name a zone, each with the attribute that does."""
    return {one.id: spec.name for one in types for spec in one.spec.attributes if spec.kind == "zone"}


def count_on(session: Session, application: Application, day: date) -> dict[str, ZoneCount]:
    """The permits that were valid when ``day`` (Europe/Berlin) began, by the code of their zone, sorted.

    Permits of a zone that was merged count for the one that its area belongs to by then; a zone without permits
    counts zero. Permits that the nightly run has deleted since are missing, so the day must not lie further back than
    they are kept.
    """
    tenant, at = application.tenant, Period(day, day).starts_at
    known = zones(session, tenant)
    found: Counter[str] = Counter()
    names = {zone.zone.code: zone.on(day).zone.name for zone in known.values() if zone.holds_on(day)}
    for code, name in _zones_of_valid(session, tenant, zoned_types(application.pass_types), day, at):
        now = zone_on(known, code, day)
        holding = now.zone.code if now is not None else code
        found[holding] += 1
        names.setdefault(holding, now.zone.name if now is not None else name)
    return {code: ZoneCount(names[code], found[code]) for code in sorted(names)}


def _zones_of_valid(
    session: Session, tenant: str, types: Mapping[str, str], day: date, at: datetime
) -> Iterator[tuple[str, str]]:
    """Code and name of the zone of each permit that is valid at the moment ``at`` with which ``day`` begins."""
    earlier = _statuses_before(session, tenant, at)
    rows = session.connection().execute(
        select(
            PassRow.type_id,
            PassRow.number,
            PassRow.status,
            # As text: decoding whole attributes of 100,000 permits takes longer than reading them.
            cast(RevisionRow.attributes, Text),
        )
        .join(
            RevisionRow,
            (RevisionRow.tenant == PassRow.tenant)
            & (RevisionRow.type_id == PassRow.type_id)
            & (RevisionRow.number == PassRow.number),
        )
        .where(
            PassRow.tenant == tenant,
            PassRow.type_id.in_(types),
            PassRow.period_first <= day,
            PassRow.period_last >= day,
            RevisionRow.issued_at <= at,
            RevisionRow.superseded_at.is_(None) | (RevisionRow.superseded_at > at),
        )
        .execution_options(yield_per=5000)
    )
    zone_only = {
        name: msgspec.json.Decoder(msgspec.defstruct("Zoned", [(name, tuple[str, str] | None, None)])).decode
        for name in set(types.values())
    }
    for type_id, number, status, attributes in rows:
        if earlier.get(subject(type_id, number), status) != PassStatus.ACTIVE.value:
            continue
        name = types[type_id]
        zone: tuple[str, str] | None = getattr(zone_only[name](attributes), name)
        if zone is not None:
            yield zone


def _statuses_before(session: Session, tenant: str, at: datetime) -> dict[str, str]:
    """The status at the moment ``at`` of everything whose status has changed since, by subject of the audit trail.

    Of a number that came free and was given again, only the changes of the pass that has it now count.
    """
    rows = session.execute(
        select(AuditEntryRow.subject, AuditEntryRow.action, AuditEntryRow.before)
        .where(
            AuditEntryRow.tenant == tenant,
            AuditEntryRow.at > at,
            AuditEntryRow.before.contains(_STATUS, autoescape=True) | AuditEntryRow.action.in_(ENDS_OF_LIFE),
        )
        .order_by(AuditEntryRow.sequence)
        .execution_options(yield_per=5000)
    )
    found: dict[str, str] = {}
    for about, action, before in rows:
        if action in ENDS_OF_LIFE:
            found.pop(about, None)
        elif about not in found:
            status = msgspec.json.decode(before).get("status")
            if isinstance(status, str):
                found[about] = status
    return found


def due_months(session: Session, application: Application) -> list[date]:
    """The first days of the months that are to be counted and are not stored, oldest first; none where it is off.

    The first one begins after the register was set up, and is no earlier than the setting ``open_data_from``. What
    lies so far back that permits of then may have been deleted is left out for good.
    """
    settings = application.settings(session)
    tenant = session.get(TenantRow, application.tenant)
    if not settings.open_data or tenant is None:
        return []
    today = berlin_day(application.now())
    kept_since = today - timedelta(days=application.config.retention.passes_after_end)
    begins = max(kept_since, berlin_day(tenant.created_at)) + timedelta(days=1)
    if settings.open_data_from:
        begins = max(begins, date.fromisoformat(f"{settings.open_data_from}-01"))
    stored = set(
        session.scalars(
            select(OpenDataMonthRow.month).where(
                OpenDataMonthRow.tenant == application.tenant, OpenDataMonthRow.month >= begins
            )
        )
    )
    month = begins if begins.day == 1 else next_month(begins)
    due = []
    while month <= today:
        if month not in stored:
            due.append(month)
        month = next_month(month)
    return due


def next_month(day: date) -> date:
    """The first day of the month after that of ``day``."""
    return date(day.year + day.month // 12, day.month % 12 + 1, 1)


def store_month(
    application: Application, month: date, counts: Mapping[str, ZoneCount], report: Report
) -> bool:
    """Store what may be told of ``counts`` as those of ``month`` (its first day), unless the month is stored.

    Says whether it was stored now. The order in which counts are hidden goes by what was told before.
    """
    with application.writing() as session:
        tenant = application.tenant
        if session.get(OpenDataMonthRow, (tenant, month)) is not None:
            return False
        threshold = application.settings(session).open_data_threshold
        told = suppress(
            {code: one.permits for code, one in counts.items()},
            threshold,
            told_before(session, tenant, month),
        )
        session.add(
            OpenDataMonthRow(
                tenant=tenant,
                month=month,
                threshold=threshold,
                total=told.total,
                stored_at=application.now(),
            )
        )
        session.flush()
        rows = [
            {
                "tenant": tenant,
                "month": month,
                "zone_code": code,
                "zone_name": one.name,
                "permits": told.counts[code],
            }
            for code, one in counts.items()
        ]
        if rows:
            session.execute(insert(OpenDataCountRow), rows)
        hidden = sum(count is None for count in told.counts.values())
        event = AuditEvent(
            "store-open-data",
            f"open-data/{month:%Y-%m}",
            after={"zones": len(rows), "hidden": hidden, "threshold": threshold},
        )
        audit.append(session, tenant, [event], application.now(), _ACTOR)
        report.add(session, {"months": 1})
    return True


def told_before(session: Session, tenant: str, month: date) -> dict[str, int]:
    """The newest count that was told of each zone before ``month``."""
    rows = session.execute(
        select(OpenDataCountRow.zone_code, OpenDataCountRow.permits)
        .where(
            OpenDataCountRow.tenant == tenant,
            OpenDataCountRow.month < month,
            OpenDataCountRow.permits.is_not(None),
        )
        .order_by(OpenDataCountRow.month)
    )
    return {code: permits for code, permits in rows if permits is not None}


def preview(application: Application, session: Session) -> dict[str, int]:
    """How many months would be stored now."""
    count = len(due_months(session, application))
    return {"months": count} if count else {}


def run(application: Application, report: Report) -> None:
    """Count and store every month that is due, oldest first, each in one short transaction."""
    with application.reading() as session:
        due = due_months(session, application)
    for month in due:
        with application.reading() as session:
            counts = count_on(session, application, month)
        store_month(application, month, counts, report)
