"""The night's work: what time alone changes. Begun once per day (Europe/Berlin), in parts that can be run again.

The parts come in an order that matters: a pass that expires tonight is not reminded of, and warnings are out before
the long work of deletion begins.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from issuer.background.tasks import Json, Queue, RetryLater, Task
from issuer.cases import deadlines
from issuer.figures import months
from issuer.library import refresh_task as library
from issuer.models_delivery import NightlyRunRow
from issuer.nightly import certificates, chain, expiry, reminders, residence, retention
from issuer.nightly.reports import NIGHT, Report
from issuer.payments import reconcile as payments
from passes.periods import BERLIN, berlin_day

if TYPE_CHECKING:
    from issuer.application import Application
    from issuer.background.engine import Engine

TASK: Final = "nightly"
_AHEAD: Final = timedelta(days=1)
_log = logging.getLogger("stadtpass.nightly")
Counts = dict[str, int]


@dataclass(frozen=True, slots=True)
class Part:
    """One part: what it would do now, and doing it."""

    name: str
    preview: Callable[[Application, Session], Counts]
    run: Callable[[Application, Report, Engine | None], None]


PARTS: Final = (
    Part(expiry.NAME, expiry.preview, lambda application, report, _: expiry.run(application, report)),
    Part(payments.NAME, payments.preview, lambda application, report, _: payments.run(application, report)),
    Part(library.NAME, library.preview, lambda application, report, _: library.run(application, report)),
    Part(
        deadlines.NAME, deadlines.preview, lambda application, report, _: deadlines.run(application, report)
    ),
    Part(
        reminders.NAME, reminders.preview, lambda application, report, _: reminders.run(application, report)
    ),
    Part(
        certificates.NAME,
        certificates.preview,
        lambda application, report, _: certificates.run(application, report),
    ),
    Part(
        residence.NAME, residence.preview, lambda application, report, _: residence.run(application, report)
    ),
    # Before anything of what it counts is deleted.
    Part(months.NAME, months.preview, lambda application, report, _: months.run(application, report)),
    Part(retention.NAME, retention.preview, retention.run),
    Part(chain.NAME, chain.preview, lambda application, report, _: chain.run(application, report)),
)


def due_day(now: datetime, nightly_at: str) -> date:
    """The day (Europe/Berlin) whose night's work should have begun by the aware time ``now``.

    A time that the change to summer time skips has passed with the hour after it.
    """
    wall = now.astimezone(BERLIN)
    begun = wall.time() >= time.fromisoformat(nightly_at)
    return wall.date() if begun else wall.date() - timedelta(days=1)


def enqueue_due(application: Application) -> bool:
    """Queue the night's work if it is time and nobody has; called every half minute by every worker.

    However many nights were missed, the work is caught up once: it goes by what is so now. A night of a later day
    counts for all before it, so the hour that autumn repeats starts nothing twice; but no later one than tomorrow,
    which only a clock that was wrong can have begun.
    """
    day = due_day(application.now(), application.config.background.nightly_at)
    with application.reading() as session:
        if _begun(session, application.tenant, day):
            return False
    with application.writing() as session:
        if _begun(session, application.tenant, day):
            return False
        if not application.enqueue(session, TASK, {"day": day.isoformat()}):
            return False
        session.add(
            NightlyRunRow(
                tenant=application.tenant,
                day=day,
                name=NIGHT,
                started_at=application.now(),
                finished_at=None,
                report={},
            )
        )
    return True


def run_task(application: Application, payload: Json) -> None:
    """Do the night's work of ``payload["day"]``. Raises RetryLater if a part of it failed."""
    from issuer.background import engine  # noqa: PLC0415 - whoever runs tasks has loaded it

    day = date.fromisoformat(payload["day"])
    try:
        run_night(application, day, engine.running())
    except RetryLater:
        raise
    except Exception as fault:
        raise RetryLater("night-incomplete") from fault
    with application.writing() as session:
        row = session.get(NightlyRunRow, (application.tenant, day, NIGHT))
        if row is not None:
            row.finished_at = application.now()


def run_night(application: Application, day: date | None = None, engine: Engine | None = None) -> None:
    """Do all parts now; their reports are those of ``day``, today if None. Doing it again does what is left to do.

    A part that fails keeps no other from its work. Once all have had their turn, the first fault is raised.
    """
    of_day = day or berlin_day(application.now())
    faults: list[Exception] = []
    for part in PARTS:
        try:
            report = Report(application, of_day, part.name)
            report.begin()
            part.run(application, report, engine)
            report.end()
        except Exception as fault:
            # Its text may name people, so only its kind is logged.
            _log.error("part failed", extra={"part": part.name, "fault": type(fault).__name__})
            _log.debug("part failed", exc_info=fault, extra={"part": part.name})
            faults.append(fault)
    if faults:
        raise faults[0]


def preview(application: Application) -> dict[str, Counts]:
    """What each part would do now, in one state of the register; nothing is changed."""
    with application.reading() as session:
        return {part.name: part.preview(application, session) for part in PARTS}


def _begun(session: Session, tenant: str, day: date) -> bool:
    newest = session.scalar(
        select(func.max(NightlyRunRow.day)).where(
            NightlyRunRow.tenant == tenant, NightlyRunRow.name == NIGHT, NightlyRunRow.day <= day + _AHEAD
        )
    )
    return newest is not None and newest >= day


# The next night comes anyway; until then a failing one is tried again.
TASKS: tuple[Task, ...] = (Task(TASK, Queue.JOBS, run_task, patience=timedelta(hours=20)),)
