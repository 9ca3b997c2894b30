"""The comparison with the library's own system as background work: queued by the night, one short piece at a time.

Each piece is its own task, queued in the transaction that writes the piece before, so a crash repeats one piece and
nobody's process waits for hours. A system that is away is asked again later, for half a day.
"""

from __future__ import annotations

import logging
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from issuer.background.tasks import Json, Queue, RetryLater, Task
from issuer.database import let_others_write
from issuer.library import refresh
from issuer.library.refresh import Key, Stopped
from issuer.library.sources import SourceUnavailable, source_of
from issuer.models_delivery import NightlyRunRow
from issuer.nightly.reports import Report

if TYPE_CHECKING:
    from issuer.application import Application

TASK: Final = "library-comparison"
# The night's part that queues it, and the report of the comparison itself.
NAME: Final = "library"
REPORT: Final = "library-comparison"
_PATIENCE: Final = timedelta(hours=12)
_LOST_AFTER: Final = timedelta(hours=48)
_log = logging.getLogger("stadtpass.library")


def preview(application: Application, session: Session) -> dict[str, int]:
    """How many cards the night would ask about."""
    return {"to_ask": refresh.count_targets(session, application)} if _is_wanted(application) else {}


def run(application: Application, report: Report) -> None:
    """The night's part: queue the comparison, or do it here where there is no queue yet."""
    if not _is_wanted(application):
        return
    payload: Json = {"day": report.day.isoformat(), "after": None, "begun": False}
    with application.writing() as session:
        if _is_under_way(session, application, report.day):
            # Of many members the last would never be asked about if each night began anew.
            report.put(session, {"still_running": 1})
            return
        if application.enqueue(session, TASK, payload, once=f"{TASK}.{report.day.isoformat()}"):
            report.put(session, {"queued": 1})
            return
    comparison = Report(application, report.day, REPORT)
    source = source_of(application)
    try:
        if source is not None:
            refresh.run_now(application, source, comparison)
    except Stopped as stop:
        note_stop(application, comparison, stop)
    except SourceUnavailable as away:
        raise RetryLater(away.code) from away


def run_task(application: Application, payload: Json) -> None:
    """One piece of the comparison of ``payload["day"]``. Raises RetryLater while the library's system is away."""
    report = Report(application, date.fromisoformat(payload["day"]), REPORT)
    source = source_of(application)
    if source is None or _is_overtaken(application, report.day):
        return
    after: Key | None = tuple(payload["after"]) if payload["after"] else None
    try:
        if not payload["begun"]:
            report.begin()
            refresh.probe(source)
            with application.writing() as session:
                refresh.begin(session, application, report)
        with application.reading() as session:
            wanted = refresh.targets(session, application, after, refresh.batch_size(application))
        asked = refresh.ask_some(application, source, wanted)
        if asked.fault is not None and asked.last is None:
            raise asked.fault
        with application.writing() as session:
            refresh.take(session, application, asked, report)
            if asked.last is not None:
                _go_on(session, application, payload["day"], asked.last)
                return
        refresh.hold_all(application, report, let_others_write)
        report.end()
    except Stopped as stop:
        note_stop(application, report, stop)
    except SourceUnavailable as away:
        raise RetryLater(away.code) from away


def give_up(application: Application, payload: Json) -> None:
    """The library's system was away for half a day: the next night begins anew, and nobody is held back."""
    report = Report(application, date.fromisoformat(payload["day"]), REPORT)
    with application.writing() as session:
        refresh.forget(session, application)
        report.put(session, {"given_up": 1})
    report.end()


def note_stop(application: Application, report: Report, stop: Stopped) -> None:
    """Hold nobody back, and tell the operator: in the log, in ``/ready`` and in the night's report."""
    _log.error("the comparison with the library's system was stopped", extra={"code": stop.code})
    with application.writing() as session:
        refresh.forget(session, application)
        found = stop.params.get("found")
        report.put(session, {"stopped": 1, "would_block": found if isinstance(found, int) else 0})
    report.end()


def last_fault(session: Session, tenant: str) -> str:
    """``stopped`` or ``given_up`` if the newest comparison that has ended ended so; else nothing."""
    row = session.scalars(
        select(NightlyRunRow)
        .where(
            NightlyRunRow.tenant == tenant,
            NightlyRunRow.name == REPORT,
            NightlyRunRow.finished_at.is_not(None),
        )
        .order_by(NightlyRunRow.day.desc())
        .limit(1)
    ).first()
    if row is None:
        return ""
    return next((word for word in ("stopped", "given_up") if row.report.get(word)), "")


def _is_under_way(session: Session, application: Application, day: date) -> bool:
    """Whether the comparison of an earlier day has not ended, and not been at it for so long that it must be lost."""
    started = session.scalar(
        select(func.max(NightlyRunRow.started_at)).where(
            NightlyRunRow.tenant == application.tenant,
            NightlyRunRow.name == REPORT,
            NightlyRunRow.day < day,
            NightlyRunRow.finished_at.is_(None),
        )
    )
    return started is not None and started > application.now() - _LOST_AFTER


def _is_overtaken(application: Application, day: date) -> bool:
    """Whether a later day's comparison has begun: two at once would ask twice, and note for one another."""
    with application.reading() as session:
        newest = session.scalar(
            select(func.max(NightlyRunRow.day)).where(
                NightlyRunRow.tenant == application.tenant, NightlyRunRow.name == REPORT
            )
        )
    return newest is not None and newest > day


def _go_on(session: Session, application: Application, day: str, last: Key) -> None:
    """Queue the next piece, once for each place in the order, whoever has done the piece before twice."""
    payload: Json = {"day": day, "after": list(last), "begun": True}
    application.enqueue(session, TASK, payload, once=f"{TASK}.{day}.{'.'.join(last)}")


def _is_wanted(application: Application) -> bool:
    return bool(application.config.library.source) and application.config.library.refresh


TASKS: tuple[Task, ...] = (Task(TASK, Queue.LIBRARY, run_task, _PATIENCE, give_up),)
