"""Passes with other days than the demo's, and what the night's tests ask again and again."""

from __future__ import annotations

from datetime import date
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import InstrumentedAttribute

from issuer.application import Application
from issuer.models import Base, HolderRow, PassRow
from issuer.models_delivery import NightlyRunRow
from tests.service import PERMIT


def give_period(application: Application, number: str, first: date, last: date) -> None:
    """Let the permit ``number`` hold from ``first`` to ``last``."""
    with application.writing() as session:
        session.execute(
            update(PassRow)
            .where(PassRow.tenant == application.tenant, PassRow.type_id == PERMIT, PassRow.number == number)
            .values(period_first=first, period_last=last)
        )


def far_away(application: Application) -> None:
    """Let every pass hold until 2040, so that a test has only its own passes to look at."""
    with application.writing() as session:
        session.execute(
            update(PassRow)
            .where(PassRow.tenant == application.tenant)
            .values(period_first=date(2026, 1, 1), period_last=date(2040, 12, 31))
        )


def holder_of(application: Application, number: str, **values: str) -> str:
    """Give the holder of the permit ``number`` other values; returns the holder's reference."""
    with application.writing() as session:
        ref = session.scalars(
            select(PassRow.holder_ref).where(
                PassRow.tenant == application.tenant, PassRow.type_id == PERMIT, PassRow.number == number
            )
        ).one()
        if values:
            session.execute(
                update(HolderRow)
                .where(HolderRow.tenant == application.tenant, HolderRow.ref == ref)
                .values(**values)
            )
        return ref


def state(application: Application, number: str) -> str:
    with application.reading() as session:
        return session.scalars(
            select(PassRow.status).where(
                PassRow.tenant == application.tenant, PassRow.type_id == PERMIT, PassRow.number == number
            )
        ).one()


def report(application: Application, name: str) -> dict[str, Any]:
    """All that the reports of one part say, over all days."""
    with application.reading() as session:
        rows = session.scalars(
            select(NightlyRunRow).where(
                NightlyRunRow.tenant == application.tenant, NightlyRunRow.name == name
            )
        ).all()
    total: dict[str, Any] = {}
    for row in rows:
        for key, count in row.report.items():
            total[key] = total.get(key, 0) + count
    return total


def snapshot(application: Application) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of the tenant in every table."""
    found: dict[str, list[tuple[Any, ...]]] = {}
    with application.reading() as session:
        for table in Base.metadata.sorted_tables:
            if "tenant" in table.c:
                rows = session.execute(select(table).where(table.c.tenant == application.tenant))
                found[table.name] = sorted((tuple(row) for row in rows), key=repr)
    return found


def count(application: Application, table: type[Base], **equal: Any) -> int:
    with application.reading() as session:
        query = select(func.count()).select_from(table).filter_by(tenant=application.tenant, **equal)
        return session.scalar(query) or 0


def column(application: Application, wanted: InstrumentedAttribute[Any], **equal: Any) -> list[Any]:
    with application.reading() as session:
        query = select(wanted).filter_by(tenant=application.tenant, **equal)
        return list(session.scalars(query))
