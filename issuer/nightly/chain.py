"""Checking the audit trail's chain every night, so that a break is seen the next day and not at the next audit."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from issuer import audit
from issuer.models_delivery import NightlyRunRow
from issuer.nightly.reports import Report

if TYPE_CHECKING:
    from issuer.application import Application

NAME: Final = "audit"
_log = logging.getLogger("stadtpass.nightly")


@dataclass(frozen=True, slots=True)
class LastCheck:
    """The newest check: when it ended (UTC), how many entries were whole, and the first broken one, if any."""

    at: datetime
    entries: int
    broken_at: int | None


def preview(_: Application, __: Session) -> dict[str, int]:
    """The check changes nothing, so there is nothing to say before."""
    return {}


def run(application: Application, report: Report) -> None:
    """Walk through the whole chain; what was found is the report of the day."""
    with application.reading() as session:
        found = audit.verify(session, application.tenant)
    if found.fault is not None:
        _log.error("the audit trail is broken", extra={"code": found.fault, "entry": found.broken_at})
    with application.writing() as session:
        # The newest check counts, not the sum of a day's.
        report.put(session, {"entries": found.entries, "broken_at": found.broken_at or 0})


def last_check(session: Session, tenant: str) -> LastCheck | None:
    """What the newest check that came to its end has found."""
    row = session.scalars(
        select(NightlyRunRow)
        .where(
            NightlyRunRow.tenant == tenant,
            NightlyRunRow.name == NAME,
            NightlyRunRow.finished_at.is_not(None),
        )
        .order_by(NightlyRunRow.day.desc())
        .limit(1)
    ).first()
    if row is None or row.finished_at is None:
        return None
    return LastCheck(row.finished_at, row.report.get("entries", 0), row.report.get("broken_at") or None)
