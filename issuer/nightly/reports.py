"""The proof of a night's work: what was done on which day, in numbers and without anything personal.

Counts are written in the transaction that does what they count, so a run that was killed and began again reports
what happened, neither less nor twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.orm import Session

from issuer.models_delivery import NightlyRunRow

if TYPE_CHECKING:
    from issuer.application import Application

# SQLite lets whoever waits ask again every 100 ms at most; without a gap between two chunks nobody would get a turn.
# The row by which a night is begun once, whoever looks at the clock.
NIGHT = "nightly"


@dataclass(frozen=True, slots=True)
class Report:
    """The report of one part of the work on ``day`` (Europe/Berlin)."""

    application: Application
    day: date
    name: str

    def begin(self) -> None:
        """Note that the part begins, or goes on."""
        with self.application.writing() as session:
            row = self._row(session)
            row.finished_at = None

    def add(self, session: Session, counts: Mapping[str, int]) -> None:
        """Add ``counts`` in the transaction that did what they count."""
        changed = {name: count for name, count in counts.items() if count}
        if changed:
            row = self._row(session)
            row.report = row.report | {
                name: row.report.get(name, 0) + count for name, count in changed.items()
            }
            session.flush()

    def put(self, session: Session, counts: Mapping[str, int]) -> None:
        """Set ``counts``, whatever the day's report said of them before; of a part that counts no deeds."""
        row = self._row(session)
        row.report = row.report | dict(counts)
        session.flush()

    def counts(self, session: Session) -> dict[str, int]:
        """What the day's report says until now."""
        return dict(self._row(session).report)

    def end(self) -> None:
        """Note that the part has come to its end."""
        with self.application.writing() as session:
            self._row(session).finished_at = self.application.now()

    def _row(self, session: Session) -> NightlyRunRow:
        row = session.get(NightlyRunRow, (self.application.tenant, self.day, self.name))
        if row is None:
            row = NightlyRunRow(
                tenant=self.application.tenant,
                day=self.day,
                name=self.name,
                started_at=self.application.now(),
                finished_at=None,
                report={},
            )
            session.add(row)
            session.flush()
        return row


def newest(session: Session, tenant: str, limit: int) -> list[NightlyRunRow]:
    """The reports of the newest nights, newest first; at most ``limit``."""
    return list(
        session.scalars(
            select(NightlyRunRow)
            .where(NightlyRunRow.tenant == tenant, NightlyRunRow.name != NIGHT)
            .order_by(NightlyRunRow.day.desc(), NightlyRunRow.name)
            .limit(limit)
        )
    )


def of_part(session: Session, tenant: str, name: str, limit: int) -> list[NightlyRunRow]:
    """The newest reports of the part ``name``, newest first; at most ``limit``."""
    return list(
        session.scalars(
            select(NightlyRunRow)
            .where(NightlyRunRow.tenant == tenant, NightlyRunRow.name == name)
            .order_by(NightlyRunRow.day.desc())
            .limit(limit)
        )
    )


def of_day(session: Session, tenant: str, day: date) -> list[NightlyRunRow]:
    """The reports of one day, in order of their names."""
    return list(
        session.scalars(
            select(NightlyRunRow)
            .where(NightlyRunRow.tenant == tenant, NightlyRunRow.day == day, NightlyRunRow.name != NIGHT)
            .order_by(NightlyRunRow.name)
        )
    )
